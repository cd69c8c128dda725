"""Operator: an honest score of clusters, shown in the panel *Evaluation*."""

from typing import ClassVar

import fiftyone as fo
from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.adapter.clusterings import clustering_keys
from uvl_plugin.adapter.frames import FRAMES
from uvl_plugin.insight import check_evaluate

from ._clusters import patches_field_of
from ._forms import mark
from ._jobs import JobOperator, run_job, show_message
from ._vectors import unit_of
from .evaluation_panel import PANEL

_NO_LABELS = "(no labels)"


class EvaluateClusters(JobOperator):
    about: ClassVar = {
        "name": "evaluate_clusters",
        "label": "Evaluate clusters",
        "description": "How good clusters are, with labels and without",
        "icon": "fact_check",
        "risk_level": "medium",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view(require_flat=True)
        inputs = types.Object()
        fields = list(_cluster_fields(ctx.dataset))
        inputs.enum(
            "clusters", fields, default=fields[0] if fields else None, required=True,
            label="Cluster field",
        )  # fmt: skip
        inputs.enum(
            "ground_truth",
            [_NO_LABELS, *_label_fields(ctx.dataset, **_clusters(ctx))],
            default=_NO_LABELS,
            label="Labels to compare with",
            description="Labels that the clustering has not seen.",
        )
        inputs.bool(
            "stability",
            default=False,
            label="Cluster again to see how stable it is",
            description="With other seeds and on parts of the samples: some times as long.",
        )
        inputs.bool(
            "many_to_one",
            default=False,
            label="Several clusters may stand for one label",
            description="For far more clusters than labels.",
        )
        inputs.str("path", label="JSON file", description="To write as well; on the server.")
        try:
            arguments = self._arguments(ctx)
            check_evaluate(
                samples, arguments["clusters"], arguments["ground_truth"],
                patches_field=arguments["patches_field"],
            )  # fmt: skip
        except uvl.UVLError as error:
            mark(inputs, error, "clusters")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        samples, arguments = ctx.target_view(require_flat=True), self._arguments(ctx)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: uvl.evaluate(samples, **arguments, progress=progress),
            show=lambda result: self._show(ctx, result, arguments),
            summary=lambda result: result.to_dict(),
        )

    def _arguments(self, ctx):
        truth = ctx.params.get("ground_truth") or _NO_LABELS
        return {
            **_clusters(ctx),
            "ground_truth": None if truth == _NO_LABELS else truth,
            "stability": ctx.params.get("stability", False),
            "many_to_one": ctx.params.get("many_to_one", False),
            "path": ctx.params.get("path") or None,
        }

    def _show(self, ctx, result, arguments):
        unit = unit_of(ctx.dataset, arguments["clusters"], arguments["patches_field"])
        yield ctx.ops.reload_dataset()
        yield ctx.ops.open_panel(PANEL, is_active=True, layout="horizontal")
        yield show_message(ctx, "success", evaluated_message(result, unit))


def evaluated_message(result, unit="images"):
    """Sentences for a person."""
    noun = "samples" if unit == "images" else unit
    said = f"{result.n_items} {noun} in {result.n_clusters} clusters, {result.n_noise} in none."
    if result.agreement is not None:
        said += (
            f" Accuracy {result.agreement.accuracy:.3f}, on held-out {noun} "
            f"{result.held_out.one_to_one:.3f}; NMI {result.agreement.nmi:.3f}."
        )
    if result.separation is not None:
        said += f" Silhouette {result.separation.silhouette:.3f}."
    return f"{said} The panel Evaluation shows all of it."


def _clusters(ctx):
    """The chosen cluster field, as the verb takes it."""
    fields = _cluster_fields(ctx.dataset)
    path = ctx.params.get("clusters") or next(iter(fields), "")
    return fields.get(path, {"clusters": path, "patches_field": None})


def _cluster_fields(dataset):
    """What the verb takes, by path: fields of runs, the newest first, then others of one label."""
    found = {}
    for key in reversed(clustering_keys(dataset)):
        config = dataset.get_run_info(key).config
        patches_field = patches_field_of(config)
        for path in (config.field, config.level_field):
            name = path if patches_field is None else path.rpartition(".")[2]
            found[path] = {"clusters": name, "patches_field": patches_field}
    for path in _classifications(dataset):
        found.setdefault(path, {"clusters": path, "patches_field": None})
    return found


def _classifications(dataset):
    kind = {"ftype": fo.EmbeddedDocumentField}
    schema = dataset.get_field_schema(**kind)
    of_frames = dataset.get_frame_field_schema(**kind) or {}
    every = {**schema, **{f"{FRAMES}{name}": field for name, field in of_frames.items()}}
    return [path for path, field in every.items() if field.document_type is fo.Classification]


def _label_fields(dataset, clusters, patches_field):
    """Names of the fields of the same items that hold one label or a text."""
    if patches_field is not None:
        texts = dataset.get_field_schema(ftype=fo.StringField, flat=True)
        return [path.rpartition(".")[2] for path in texts if path.startswith(f"{patches_field}.")]
    if clusters.startswith(FRAMES):
        texts = dataset.get_frame_field_schema(ftype=fo.StringField)
        texts = [f"{FRAMES}{name}" for name in texts if name != "filepath"]
    else:
        texts = [
            name for name in dataset.get_field_schema(ftype=fo.StringField) if name != "filepath"
        ]
    of_frames = clusters.startswith(FRAMES)
    labels = [path for path in _classifications(dataset) if path.startswith(FRAMES) == of_frames]
    return [*labels, *texts]

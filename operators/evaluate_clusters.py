"""Operator: an honest score of clusters, shown in the panel *Evaluation*."""

from typing import ClassVar

import fiftyone as fo
from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.adapter.clusterings import clustering_keys
from uvl_plugin.insight import check_evaluate

from ._forms import mark
from ._jobs import JobOperator, run_job, show_message
from .evaluation_panel import PANEL

_NO_LABELS = "(no labels)"


class EvaluateClusters(JobOperator):
    about: ClassVar = {
        "name": "evaluate_clusters",
        "label": "Evaluate clusters",
        "description": "How good clusters are, with labels and without",
        "icon": "fact_check",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view(require_flat=True)
        inputs = types.Object()
        fields = _cluster_fields(ctx)
        inputs.enum(
            "clusters", fields, default=fields[0] if fields else None, required=True,
            label="Cluster field",
        )  # fmt: skip
        inputs.enum(
            "ground_truth",
            [_NO_LABELS, *_label_fields(ctx)],
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
            check_evaluate(samples, arguments["clusters"], arguments["ground_truth"])
        except uvl.UVLError as error:
            mark(inputs, error, "clusters")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        samples, arguments = ctx.target_view(require_flat=True), self._arguments(ctx)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: uvl.evaluate(samples, **arguments, progress=progress),
            show=lambda result: self._show(ctx, result),
            summary=lambda result: result.to_dict(),
        )

    def _arguments(self, ctx):
        fields = _cluster_fields(ctx)
        truth = ctx.params.get("ground_truth") or _NO_LABELS
        return {
            "clusters": ctx.params.get("clusters") or (fields[0] if fields else ""),
            "ground_truth": None if truth == _NO_LABELS else truth,
            "stability": ctx.params.get("stability", False),
            "many_to_one": ctx.params.get("many_to_one", False),
            "path": ctx.params.get("path") or None,
        }

    def _show(self, ctx, result):
        yield ctx.ops.reload_dataset()
        yield ctx.ops.open_panel(PANEL, is_active=True, layout="horizontal")
        yield show_message(ctx, "success", evaluated_message(result))


def evaluated_message(result):
    """Sentences for a person."""
    said = f"{result.n_items} samples in {result.n_clusters} clusters, {result.n_noise} in none."
    if result.agreement is not None:
        said += (
            f" Accuracy {result.agreement.accuracy:.3f}, on held-out samples "
            f"{result.held_out.one_to_one:.3f}; NMI {result.agreement.nmi:.3f}."
        )
    if result.separation is not None:
        said += f" Silhouette {result.separation.silhouette:.3f}."
    return f"{said} The panel Evaluation shows all of it."


def _cluster_fields(ctx):
    """Fields of runs, the newest first, then other fields of one label."""
    runs = [ctx.dataset.get_run_info(key).config for key in clustering_keys(ctx.dataset)]
    own = [path for config in runs[::-1] for path in (config.field, config.level_field)]
    return [*own, *(path for path in _classifications(ctx) if path not in own)]


def _classifications(ctx):
    schema = ctx.dataset.get_field_schema(ftype=fo.EmbeddedDocumentField)
    return [path for path, field in schema.items() if field.document_type is fo.Classification]


def _label_fields(ctx):
    texts = ctx.dataset.get_field_schema(ftype=fo.StringField)
    return [*_classifications(ctx), *(path for path in texts if path != "filepath")]

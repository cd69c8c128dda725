"""Operator: what to label next, as a tag, a rank and a saved view."""

from typing import ClassVar

import fiftyone as fo
from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.adapter.clusterings import clustering_keys
from uvl_plugin.adapter.frames import FRAMES
from uvl_plugin.adapter.runs import origin_of
from uvl_plugin.picking.base import pickers
from uvl_plugin.picking.coverage import Coverage
from uvl_plugin.picking.quotas import QUOTAS
from uvl_plugin.selecting import EXCLUDED, check_select

from ._clusters import patches_field_of
from ._forms import choose, chosen, free_name, mark
from ._jobs import JobOperator, run_job, show_message
from ._vectors import add_names, choose_vectors, chosen_names, chosen_number, chosen_vectors

_BUDGET = 200
_NO_LABEL = ("filepath", "mask_path")  # texts that are no labels
_NO_RUN, _NO_LABELS = "(no clusters)", "(none yet)"
_QUOTAS = {
    "free": "As the picker likes",
    "equal": "As many of each cluster",
    "size": "By the size of the clusters",
    "uncertainty": "Most of the large and loose clusters",
}
_THRESHOLD = "Near-duplicates count as one: the greatest distance, 1 - cosine. Empty: found from the vectors."
_RADIUS = (
    "An item counts as covered where a labelled or picked one is within this distance, 1 - cosine. "
    "Empty: found from the vectors and the number."
)


class SelectSamples(JobOperator):
    about: ClassVar = {
        "name": "select_samples",
        "label": "Pick what to label",
        "description": "The images, objects, frames or videos whose labels teach most",
        "icon": "playlist_add_check",
        "risk_level": "medium",
    }

    def resolve_input(self, ctx):
        inputs = types.Object()
        inputs.int("budget", default=_BUDGET, min=1, label="How many")
        runs = clustering_keys(ctx.dataset)
        if runs:
            inputs.enum(
                "run_key", [*runs, _NO_RUN], default=runs[-1], label="Clustering",
                description="Reasons name its clusters; its vectors are compared.",
            )  # fmt: skip
        if _run(ctx) is None:
            choose_vectors(inputs, ctx)
        else:
            quotas = types.DropdownView()
            for name in QUOTAS:
                quotas.add_choice(name, label=_QUOTAS[name])
            inputs.enum("quotas", quotas.values(), default=QUOTAS[0], label="Of each cluster",
                        view=quotas)  # fmt: skip
        choose(inputs, ctx, pickers, "picker", Coverage.name)
        self._add_known(inputs, ctx)
        if _items_of(ctx)[0].startswith(FRAMES):
            inputs.float("gap", label="Least seconds between frames of a video",
                         description="Empty: 1. 0: none.")  # fmt: skip
        inputs.float("threshold", label="Near-duplicates", description=_THRESHOLD)
        inputs.float("radius", label="Covered within", description=_RADIUS)
        add_names(inputs, _free_field(ctx), "Where the rank goes; also the tag and the saved view.")
        try:
            check_select(ctx.target_view(), **self._arguments(ctx))
        except uvl.UVLError as error:
            mark(inputs, error, "budget")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        samples, arguments = ctx.target_view(), self._arguments(ctx)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: uvl.select(samples, **arguments, progress=progress),
            show=lambda result: self._show(ctx, result),
            summary=_summary,
        )

    def _add_known(self, inputs, ctx):
        inputs.enum(
            "labels", [_NO_LABELS, *_label_fields(ctx)], default=_NO_LABELS, label="Labels",
            description="What has a label here is not picked again, and says what is in doubt.",
        )  # fmt: skip
        inputs.str(
            "skip_tags", default=", ".join(_earlier(ctx)), label="Leave out",
            description="Tags, with commas between them: earlier picks, and what is excluded.",
        )  # fmt: skip

    def _arguments(self, ctx):
        run_key, labels = _run(ctx), ctx.params.get("labels") or _NO_LABELS
        tags = ctx.params.get("skip_tags")
        tags = _earlier(ctx) if tags is None else [tag.strip() for tag in tags.split(",")]
        of = {"run_key": run_key, "quotas": ctx.params.get("quotas") or QUOTAS[0]}
        return {
            "budget": int(ctx.params.get("budget") or _BUDGET),
            **(chosen_vectors(ctx) if run_key is None else of),
            "picker": chosen(ctx, pickers, "picker", Coverage.name),
            "labels": None if labels == _NO_LABELS else labels,
            "skip_tags": [tag for tag in tags if tag],
            "gap": chosen_number(ctx, "gap"),
            "threshold": chosen_number(ctx, "threshold"),
            "radius": chosen_number(ctx, "radius"),
            **chosen_names(ctx, _free_field(ctx)),
        }

    def _show(self, ctx, result):
        ctx.dataset.reload()
        view = ctx.dataset.load_saved_view(result.view)
        yield ctx.ops.reload_dataset()
        yield ctx.ops.set_view(view=view, name=result.view)
        yield show_message(ctx, "success", str(result))


def _summary(result):
    return {
        "field": result.field,
        "picked": len(result.ids),
        "of": result.n_items,
        "clusters": result.clusters,
        "radius": result.radius,
        "covered_before": result.covered_before,
        "covered": result.covered,
        "without_vector": result.n_missing,
        "view": result.view,
    }


def _run(ctx):
    """Key of the chosen clustering; None for none."""
    runs = clustering_keys(ctx.dataset)
    chosen_key = ctx.params.get("run_key") or (runs[-1] if runs else _NO_RUN)
    return None if chosen_key == _NO_RUN else chosen_key


def _items_of(ctx):
    """Path of the vectors that are compared, and the field of the labels that have them."""
    run_key = _run(ctx)
    if run_key is None:
        vectors = chosen_vectors(ctx)
        return vectors["embeddings"], vectors.get("patches_field")
    if run_key not in clustering_keys(ctx.dataset):
        return "", None  # the check says so
    config = ctx.dataset.get_run_info(run_key).config
    return config.embeddings, patches_field_of(config)


def _label_fields(ctx):
    """Fields of the same items that hold one label or a text, what the plugin wrote left out."""
    path, patches_field = _items_of(ctx)
    dataset = ctx.dataset
    if patches_field is not None:
        fields = dataset.get_field_schema(flat=True)
        known = {
            name: kind for name, kind in fields.items() if name.startswith(f"{patches_field}.")
        }
    elif path.startswith(FRAMES):
        fields = dataset.get_frame_field_schema() or {}
        known = {f"{FRAMES}{name}": kind for name, kind in fields.items()}
    else:
        known = dataset.get_field_schema()
    return [
        name.rpartition(".")[2] if patches_field is not None else name
        for name, kind in known.items()
        if _is_label(kind) and not origin_of(dataset, name) and not name.endswith(_NO_LABEL)
    ]


def _is_label(field):
    return isinstance(field, fo.StringField) or (
        isinstance(field, fo.EmbeddedDocumentField) and field.document_type is fo.Classification
    )


def _earlier(ctx):
    """Names of earlier picks, and the tag of what is excluded."""
    dataset = ctx.dataset
    of_frames = dataset.get_frame_field_schema(ftype=fo.IntField) or {}
    paths = [
        *dataset.get_field_schema(ftype=fo.IntField, flat=True),
        *(f"{FRAMES}{name}" for name in of_frames),
    ]
    found = [path for path in paths if origin_of(dataset, path).get("made_by") == "select"]
    return [*EXCLUDED, *(path.rpartition(".")[2] for path in found)]


def _free_field(ctx):
    path, _ = _items_of(ctx)
    before = path.rpartition(".")[0]
    dataset = ctx.dataset
    every = [*dataset.get_field_schema(flat=True)]
    every += [f"{FRAMES}{name}" for name in dataset.get_frame_field_schema() or ()]
    taken = [name.rpartition(".")[2] for name in every if name.rpartition(".")[0] == before]
    return free_name("pick", taken)

"""Operator: vectors to clusters in a field."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin import api
from uvl_plugin.adapter.clusterings import clustering_keys
from uvl_plugin.adapter.frames import FRAMES
from uvl_plugin.clustering.base import clusterers

from ._clusters import shown_field, unit_of_run
from ._forms import choose, chosen, free_name, mark
from ._jobs import JobOperator, run_job, show_message
from ._vectors import choose_vectors, chosen_vectors

_DEFAULT = "auto"
_NOBODY = "(no earlier run)"
_FIELD = (
    "Empty: the name of the run. Of objects and clips an attribute of their labels, of frames "
    f"'{FRAMES}' and a name."
)


class ComputeClusters(JobOperator):
    about: ClassVar = {
        "name": "compute_clusters",
        "label": "Compute clusters",
        "description": "Group images, objects, frames or videos whose vectors are close to each other",
        "icon": "workspaces",
        "risk_level": "medium",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view(require_flat=True)
        inputs = types.Object()
        choose_vectors(inputs, ctx)
        choose(inputs, ctx, clusterers, "algorithm", _DEFAULT)
        inputs.str(
            "run_key",
            default=_free_key(ctx),
            label="Name of this run",
            description="Stands before the number of each cluster.",
        )
        inputs.str("field", label="Field", description=_FIELD)
        earlier = clustering_keys(ctx.dataset)
        if earlier:
            inputs.enum(
                "like",
                [_NOBODY, *earlier],
                default=_NOBODY,
                label="Keep the names of",
                description="Clusters that are still the same as in that run keep their names.",
            )
        inputs.bool("overwrite", default=False, label="Overwrite an earlier run of this name")
        self._check(ctx, samples, inputs)
        return types.Property(inputs, view=types.View(label="Compute clusters"))

    def _check(self, ctx, samples, inputs):
        try:
            arguments = self._arguments(ctx)
            del arguments["algorithm"]
            api.check_cluster(samples, **arguments)
        except uvl.UVLError as error:
            mark(inputs, error, "run_key")

    def execute(self, ctx):
        samples = ctx.target_view(require_flat=True)
        arguments = self._arguments(ctx)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: uvl.cluster(samples, **arguments, progress=progress),
            show=lambda result: self._show(ctx, result, arguments["run_key"]),
            summary=lambda result: {
                "field": arguments["field"],
                "clusters": result.n_clusters,
                "noise": result.n_noise,
                "without_vector": result.n_missing,
            },
        )

    def _arguments(self, ctx):
        run_key, vectors = ctx.params.get("run_key") or _free_key(ctx), chosen_vectors(ctx)
        before = FRAMES if vectors["embeddings"].startswith(FRAMES) else ""
        return {
            "algorithm": chosen(ctx, clusterers, "algorithm", _DEFAULT),
            **vectors,
            "run_key": run_key,
            "field": ctx.params.get("field") or f"{before}{run_key}",
            "like": None if ctx.params.get("like") in (None, "", _NOBODY) else ctx.params["like"],
            "overwrite": ctx.params.get("overwrite", False),
        }

    def _show(self, ctx, result, run_key):
        field, unit = shown_field(ctx, run_key), unit_of_run(ctx, run_key)
        yield ctx.ops.reload_dataset()
        yield ctx.ops.set_active_fields([field])
        yield show_message(ctx, "success", clustered_message(result, field, unit))


def clustered_message(result, field, unit="images"):
    """Sentence for a person."""
    said = f"{len(result)} {unit} in {result.n_clusters} clusters"
    if result.n_noise:
        said += f", {result.n_noise} of them in none (noise)"
    if result.n_missing:
        said += f"; {result.n_missing} have no vector and so no cluster"
    why = f" {result.report['sentence']}" if "sentence" in result.report else ""
    group = "FRAME LABELS" if unit == "frames" else "LABELS"
    return f"{said}.{why} Open '{field}' under {group} in the sidebar to filter them."


def _free_key(ctx):
    fields = [*ctx.dataset.get_field_schema(), *(ctx.dataset.get_frame_field_schema() or ())]
    return free_name("clusters", [*ctx.dataset.list_runs(), *fields])

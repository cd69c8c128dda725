"""Operator: what a cluster is, shown by its members."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.explaining import check_explain

from ._clusters import choose_cluster, choose_run, chosen_run
from ._forms import mark
from ._jobs import JobOperator, run_job, show_message

_HEATMAP = "why"


class ExplainCluster(JobOperator):
    about: ClassVar = {
        "name": "explain_cluster",
        "label": "Explain a cluster",
        "description": "Typical, farthest and boundary members, and where in them it is decided",
        "icon": "lightbulb",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view(require_flat=True)
        inputs = types.Object()
        run_key = choose_run(inputs, ctx)
        choose_cluster(inputs, ctx, run_key)
        inputs.int("count", default=9, min=1, max=100, label="Members of each kind")
        inputs.bool(
            "maps",
            default=True,
            label="Show where in the pictures it is decided",
            description="Covers parts of each picture in turn; takes some seconds a picture.",
        )
        if ctx.params.get("cluster"):
            try:
                check_explain(samples, **self._arguments(ctx))
            except uvl.UVLError as error:
                mark(inputs, error, "run_key")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        samples, arguments = ctx.target_view(require_flat=True), self._arguments(ctx)
        count = int(ctx.params.get("count") or 9)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: uvl.explain(samples, **arguments, count=count, progress=progress),
            show=lambda result: self._show(ctx, result),
            summary=lambda result: {"shown": result.shown, "said": str(result)},
        )

    def _arguments(self, ctx):
        return {
            "cluster": ctx.params.get("cluster", ""),
            "run_key": chosen_run(ctx),
            "heatmap": _HEATMAP if ctx.params.get("maps", True) else None,
        }

    def _show(self, ctx, result):
        fields = [ctx.dataset.get_run_info(chosen_run(ctx)).config.field]
        yield ctx.ops.reload_dataset()
        yield ctx.ops.set_view(ctx.dataset.select(result.shown, ordered=True))
        yield ctx.ops.set_active_fields([*fields, _HEATMAP] if result.heatmaps else fields)
        yield show_message(ctx, "success", explained_message(result))


def explained_message(result):
    """Sentences for a person."""
    said = (
        f"{result} The grid shows first the members nearest to its centre, then those at its "
        "boundary, then the farthest."
    )
    if result.failures:
        said += f" {len(result.failures)} pictures could not be read."
    return said

"""Operator: what a cluster is, shown by its members."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.adapter.frames import FRAMES
from uvl_plugin.core.progress import part
from uvl_plugin.explaining import check_explain

from ._clusters import (
    choose_cluster,
    choose_run,
    chosen_run,
    members_view,
    shown_field,
    unit_of_run,
)
from ._forms import mark
from ._jobs import JobOperator, run_job, show_message

_HEATMAP = "why"


class ExplainCluster(JobOperator):
    about: ClassVar = {
        "name": "explain_cluster",
        "label": "Explain a cluster",
        "description": "Typical, farthest and boundary members, and where in them it is decided",
        "icon": "lightbulb",
        "risk_level": "medium",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view(require_flat=True)
        inputs = types.Object()
        run_key = choose_run(inputs, ctx)
        choose_cluster(inputs, ctx, run_key)
        inputs.int("count", default=9, min=1, max=100, label="Members of each kind")
        if _has_maps(ctx, run_key):
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

        def work(progress):
            whole = part(progress, 0.0, 0.8)
            found = uvl.explain(samples, **arguments, count=count, progress=whole)
            view = members_view(ctx, arguments["run_key"], found.shown, part(progress, 0.8, 1.0))
            return found, view

        return run_job(
            ctx,
            self.about["label"],
            work,
            show=lambda result: self._show(ctx, *result),
            summary=lambda result: {"shown": result[0].shown, "said": str(result[0])},
        )

    def _arguments(self, ctx):
        maps = ctx.params.get("maps", True) and _has_maps(ctx, chosen_run(ctx))
        return {
            "cluster": ctx.params.get("cluster", ""),
            "run_key": chosen_run(ctx),
            "heatmap": _HEATMAP if maps else None,
        }

    def _show(self, ctx, result, view):
        run_key = chosen_run(ctx)
        fields = [shown_field(ctx, run_key).removeprefix(FRAMES)]  # as the view calls them
        yield ctx.ops.reload_dataset()
        yield ctx.ops.set_view(view)
        yield ctx.ops.set_active_fields([*fields, _HEATMAP] if result.heatmaps else fields)
        yield show_message(ctx, "success", explained_message(result))


def _has_maps(ctx, run_key):
    """Whether the items are whole pictures, over which the App draws maps."""
    return not run_key or unit_of_run(ctx, run_key) == "images"


def explained_message(result):
    """Sentences for a person."""
    said = (
        f"{result} The grid shows first the members nearest to its centre, then those at its "
        "boundary, then the farthest."
    )
    if result.failures:
        said += f" {len(result.failures)} pictures could not be read."
    return said

"""Operator: vectors, similarity indexes and clusters brought up to date at once."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.updating import check_update

from ._jobs import JobOperator, run_job, show_message


class UpdateDataset(JobOperator):
    about: ClassVar = {
        "name": "update_dataset",
        "label": "Update everything",
        "description": "Embed what is new, add it to the indexes, assign it to clusters",
        "icon": "update",
        "risk_level": "high",
    }

    def resolve_input(self, ctx):
        inputs = types.Object()
        try:
            _show_plan(inputs, check_update(ctx.dataset))
        except uvl.UVLError as error:
            prop = inputs.view("plan", types.Error(label=str(error)))
            prop.invalid, prop.error_message = True, str(error)
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: uvl.update(ctx.dataset, progress=progress),
            show=lambda result: self._show(ctx, result),
            summary=lambda result: {
                "embedded": sum(each.n_embedded for each in result.embedded.values()),
                "failed": result.n_failed,
                "added": sum(each.n_added for each in result.indexed.values()),
                "removed": sum(each.n_removed for each in result.indexed.values()),
                "assigned": sum(len(each.clusters) for each in result.assigned.values()),
                "not_updated": list(result.failures),
                "said": str(result),
            },
        )

    def _show(self, ctx, result):
        yield ctx.ops.reload_dataset()
        recluster = any(each.drift and each.drift.recluster for each in result.assigned.values())
        severity = "warning" if result.failures or result.n_failed or recluster else "success"
        yield show_message(ctx, severity, str(result))


def _show_plan(inputs, plan):
    """What would be done, one line each."""
    for number, gap in enumerate(plan.gaps):
        lacking = f"{gap.n_missing:,} {gap.unit} have no vector in '{gap.path}'"
        if gap.arguments is not None:
            backbone = gap.arguments["backbone"].label
            shown = types.Notice(label=f"{lacking}: {backbone} embeds them.")
        elif gap.reason:
            shown = types.Warning(label=f"'{gap.path}' cannot be completed. {gap.reason}")
        else:
            shown = types.Warning(label=f"{lacking}, which something else made: they get none.")
        inputs.view(f"gap_{number}", shown)
    if not plan.gaps:
        inputs.view("gaps", types.Notice(label="No vector is missing."))
    inputs.view("indexes", types.Notice(label=_listed("Similarity indexes", plan.indexes)))
    inputs.view("runs", types.Notice(label=_listed("Clusterings that take in", plan.runs)))


def _listed(what, keys):
    return f"{what}: {', '.join(keys) or 'none'}."

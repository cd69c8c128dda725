"""Operator: new samples into the clusters that are there."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.editing import check_assign

from ._clusters import choose_run, chosen_run, noun_of_run, shown_field
from ._forms import mark
from ._jobs import JobOperator, run_job, show_message


class AssignSamples(JobOperator):
    about: ClassVar = {
        "name": "assign_samples",
        "label": "Assign new samples to clusters",
        "description": "Put samples that came later into the clusters of a run",
        "icon": "move_to_inbox",
        "risk_level": "medium",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view(require_flat=True)
        inputs = types.Object()
        run_key = choose_run(inputs, ctx)
        if run_key:
            try:
                check_assign(samples, run_key)
            except uvl.UVLError as error:
                mark(inputs, error, "run_key")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        samples, run_key = ctx.target_view(require_flat=True), chosen_run(ctx)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: uvl.assign(samples, run_key, progress=progress),
            show=lambda result: self._show(ctx, result),
            summary=lambda result: {
                "assigned": len(result.clusters),
                "without_vector": result.n_missing,
                "recluster": result.drift is not None and result.drift.recluster,
            },
        )

    def _show(self, ctx, result):
        field, noun = shown_field(ctx, chosen_run(ctx)), noun_of_run(ctx, chosen_run(ctx))
        severity = "warning" if result.drift is not None and result.drift.recluster else "success"
        yield ctx.ops.reload_dataset()
        yield ctx.ops.set_active_fields([field])
        yield show_message(ctx, severity, assigned_message(result, noun))


def assigned_message(result, noun="samples"):
    """Sentences for a person."""
    said = f"{len(result.clusters)} new {noun} assigned"
    if result.n_known:
        said += f"; {result.n_known} were in the run already"
    if result.n_missing:
        said += f"; {result.n_missing} have no vector and so no cluster"
    return f"{said}. {result.drift.advice}" if result.drift else f"{said}."

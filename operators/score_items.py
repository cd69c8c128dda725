"""Operator: further figures of each item, beside its cluster."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.clustering.scores import SCORES
from uvl_plugin.insight import STABILITY, check_score

from ._clusters import choose_run, chosen_run, noun_of_run, shown_field
from ._forms import mark
from ._jobs import JobOperator, run_job, show_message

_STABILITY = "Share of changed copies of the image that stay in the cluster; reads every image."


class ScoreItems(JobOperator):
    about: ClassVar = {
        "name": "score_items",
        "label": "Score cluster members",
        "description": "Margin, distance, silhouette, outlier score and stability of each item",
        "icon": "speed",
        "risk_level": "medium",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view(require_flat=True)
        inputs = types.Object()
        run_key = choose_run(inputs, ctx)
        for name, score in SCORES.items():
            inputs.bool(name, default=True, label=name.capitalize(), description=score.meaning)
        inputs.bool(STABILITY, default=False, label="Stability", description=_STABILITY)
        if run_key:
            try:
                check_score(samples, run_key, _names(ctx))
            except uvl.UVLError as error:
                mark(inputs, error, "run_key")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        samples, run_key, names = ctx.target_view(require_flat=True), chosen_run(ctx), _names(ctx)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: uvl.score(samples, run_key, *names, progress=progress),
            show=lambda result: self._show(ctx, result),
            summary=lambda result: {name: len(values) for name, values in result.items()},
        )

    def _show(self, ctx, result):
        field, noun = shown_field(ctx, chosen_run(ctx)), noun_of_run(ctx, chosen_run(ctx))
        n_items = max(map(len, result.values()), default=0)
        said = f"{n_items} {noun} got {', '.join(result)}: see '{field}' in the sidebar."
        yield ctx.ops.reload_dataset()
        yield show_message(ctx, "success", said)


def _names(ctx):
    chosen = [name for name in SCORES if ctx.params.get(name, True)]
    return [*chosen, STABILITY] if ctx.params.get(STABILITY) else chosen

"""Operator: how unlike all others each image, object or frame is."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin import cleaning

from ._forms import mark
from ._jobs import JobOperator, run_job, show_message
from ._vectors import add_names, choose_vectors, chosen_names, chosen_vectors

_FIELD = "uniqueness"
_NAMES = "Where the figure goes: 0 for an item that has an equal, towards 1 the lonelier."


class ScoreUniqueness(JobOperator):
    about: ClassVar = {
        "name": "score_uniqueness",
        "label": "Score uniqueness",
        "description": "How unlike all others each image, object or frame is",
        "icon": "fingerprint",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view()
        inputs = types.Object()
        choose_vectors(inputs, ctx)
        add_names(inputs, _FIELD, _NAMES)
        try:
            cleaning.check_score_uniqueness(samples, **self._arguments(ctx))
        except uvl.UVLError as error:
            mark(inputs, error, "embeddings")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        samples, arguments = ctx.target_view(), self._arguments(ctx)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: cleaning.score_uniqueness(samples, **arguments, progress=progress),
            show=lambda result: self._show(ctx, samples, result),
            summary=lambda result: {
                "field": result.field,
                "scored": len(result.scores),
                "without_vector": result.n_missing,
            },
        )

    def _arguments(self, ctx):
        return {**chosen_vectors(ctx), **chosen_names(ctx, _FIELD)}

    def _show(self, ctx, samples, result):
        yield ctx.ops.reload_dataset()
        if result.unit == "images":
            samples.reload()
            most = samples.exists(result.field).sort_by(result.field, reverse=True)
            yield ctx.ops.set_view(most)
        yield show_message(ctx, "success", str(result))

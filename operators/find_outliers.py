"""Operator: images, objects or frames that lie where hardly anything else does."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin import cleaning

from ._forms import mark
from ._jobs import JobOperator, run_job, show_message
from ._vectors import (
    add_names,
    choose_vectors,
    chosen_names,
    chosen_number,
    chosen_vectors,
)
from .find_duplicates import open_saved_view

_FIELD = "outlier"
_CUT = (
    "The score above which an item counts as an outlier, 0 to 1; 0.5 is an item like those around "
    "it. Empty: found from the scores, far above the usual one."
)
_NAMES = "Where the score goes; also the name of the tag and of the saved view."


class FindOutliers(JobOperator):
    about: ClassVar = {
        "name": "find_outliers",
        "label": "Find outliers",
        "description": "Images, objects or frames unlike anything near them",
        "icon": "report",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view()
        inputs = types.Object()
        choose_vectors(inputs, ctx)
        inputs.float("cut", label="Cut", description=_CUT)
        add_names(inputs, _FIELD, _NAMES)
        try:
            cleaning.check_find_outliers(samples, **self._arguments(ctx))
        except uvl.UVLError as error:
            mark(inputs, error, "embeddings")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        samples, arguments = ctx.target_view(), self._arguments(ctx)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: cleaning.find_outliers(samples, **arguments, progress=progress),
            show=lambda result: self._show(ctx, result),
            summary=lambda result: {
                "field": result.field,
                "scored": len(result.scores),
                "outliers": len(result.above),
                "cut": result.cut,
                "without_vector": result.n_missing,
                "view": result.view,
            },
        )

    def _arguments(self, ctx):
        return {
            **chosen_vectors(ctx),
            "cut": chosen_number(ctx, "cut"),
            **chosen_names(ctx, _FIELD),
        }

    def _show(self, ctx, result):
        yield ctx.ops.reload_dataset()
        if result.view is not None:
            yield open_saved_view(ctx, result.view)
        yield show_message(ctx, "success", str(result))

"""Operator: images, objects or frames that look nearly the same."""

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

_FIELD = "near_duplicate"
_THRESHOLD = (
    "The greatest distance of duplicates: 1 - cosine, 0 to 2. Empty: found from the vectors, so "
    "near that different items are hardly ever there by chance."
)
_NAMES = "Stands in the names of the fields, the tag and the saved view."


class FindDuplicates(JobOperator):
    about: ClassVar = {
        "name": "find_duplicates",
        "label": "Find near-duplicates",
        "description": "Groups of images, objects or frames that look nearly the same",
        "icon": "content_copy",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view()
        inputs = types.Object()
        choose_vectors(inputs, ctx)
        inputs.float("threshold", label="Threshold", description=_THRESHOLD)
        add_names(inputs, _FIELD, _NAMES)
        try:
            cleaning.check_find_duplicates(samples, **self._arguments(ctx))
        except uvl.UVLError as error:
            mark(inputs, error, "embeddings")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        samples, arguments = ctx.target_view(), self._arguments(ctx)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: cleaning.find_duplicates(samples, **arguments, progress=progress),
            show=lambda result: show_groups(ctx, result),
            summary=summary_of_groups,
        )

    def _arguments(self, ctx):
        return {
            **chosen_vectors(ctx),
            "threshold": chosen_number(ctx, "threshold"),
            **chosen_names(ctx, _FIELD),
        }


def show_groups(ctx, result):
    """What the App shows of groups that were found, also of copies."""
    yield ctx.ops.reload_dataset()
    if result.view is not None:
        yield open_saved_view(ctx, result.view)
    yield show_message(ctx, "warning" if result.failures else "success", str(result))


def open_saved_view(ctx, name):
    """Shows a saved view that was just made. The App knows by name only those that were there when
    the page was opened, so it gets the view itself as well."""
    ctx.dataset.reload()
    return ctx.ops.set_view(view=ctx.dataset.load_saved_view(name), name=name)


def summary_of_groups(result):
    """The result as JSON types."""
    return {
        "field": result.field,
        "compared": result.n_items,
        "duplicates": len(result.of),
        "groups": result.n_groups,
        "threshold": result.threshold,
        "without_vector": result.n_missing,
        "failed": len(result.failures),
        "view": result.view,
    }

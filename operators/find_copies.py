"""Operator: files that are byte for byte the same."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin import cleaning

from ._forms import mark
from ._jobs import JobOperator, run_job
from ._vectors import add_names, chosen_names
from .find_duplicates import show_groups, summary_of_groups

_FIELD = "copy"
_NAMES = "Stands in the names of the fields, the tag and the saved view."


class FindCopies(JobOperator):
    about: ClassVar = {
        "name": "find_copies",
        "label": "Find copies of files",
        "description": "Files that are byte for byte the same, wherever they lie",
        "icon": "file_copy",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view()
        inputs = types.Object()
        add_names(inputs, _FIELD, _NAMES)
        try:
            cleaning.check_find_copies(samples, **chosen_names(ctx, _FIELD))
        except uvl.UVLError as error:
            mark(inputs, error, "field")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        samples, arguments = ctx.target_view(), chosen_names(ctx, _FIELD)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: cleaning.find_copies(samples, **arguments, progress=progress),
            show=lambda result: show_groups(ctx, result),
            summary=summary_of_groups,
        )

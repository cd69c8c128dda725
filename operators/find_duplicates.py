"""Operator: images, objects or frames that look nearly the same."""

from typing import ClassVar

from uvl_plugin.deduplicating import check_find_duplicates, find_duplicates

from ._cleaning import GroupsOperator


class FindDuplicates(GroupsOperator):
    about: ClassVar = {
        "name": "find_duplicates",
        "label": "Find near-duplicates",
        "description": "Groups of images, objects, frames or videos that look nearly the same",
        "icon": "content_copy",
        "risk_level": "medium",
    }
    verb, check = find_duplicates, check_find_duplicates
    field = "near_duplicate"
    number = (
        "threshold",
        "Threshold",
        (
            "The greatest distance of duplicates: 1 - cosine, 0 to 2. Empty: vectors that are near "
            "say which items may be duplicates, and their pixels decide."
        ),
    )

    def ask(self, inputs, ctx):
        inputs.bool(
            "vectors_only",
            default=False,
            label="Compare vectors only",
            description="Without a threshold, one is found so that different items are hardly ever "
            "within it by chance; strongly altered copies are farther away.",
        )

    def asked(self, ctx):
        return {"confirm": False} if ctx.params.get("vectors_only") else {}

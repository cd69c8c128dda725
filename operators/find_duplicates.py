"""Operator: images, objects or frames that look nearly the same."""

from typing import ClassVar

from uvl_plugin.cleaning import check_find_duplicates, find_duplicates

from ._cleaning import GroupsOperator


class FindDuplicates(GroupsOperator):
    about: ClassVar = {
        "name": "find_duplicates",
        "label": "Find near-duplicates",
        "description": "Groups of images, objects, frames or videos that look nearly the same",
        "icon": "content_copy",
    }
    verb, check = find_duplicates, check_find_duplicates
    field = "near_duplicate"
    number = (
        "threshold",
        "Threshold",
        (
            "The greatest distance of duplicates: 1 - cosine, 0 to 2. Empty: found from the vectors, "
            "so near that different items are hardly ever there by chance."
        ),
    )

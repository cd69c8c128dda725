"""Operator: files that are byte for byte the same."""

from typing import ClassVar

from uvl_plugin.deduplicating import check_find_copies, find_copies

from ._cleaning import GroupsOperator


class FindCopies(GroupsOperator):
    about: ClassVar = {
        "name": "find_copies",
        "label": "Find copies of files",
        "description": "Files that are byte for byte the same, wherever they lie",
        "icon": "file_copy",
        "risk_level": "medium",
    }
    verb, check = find_copies, check_find_copies
    field = "copy"
    on_vectors = False

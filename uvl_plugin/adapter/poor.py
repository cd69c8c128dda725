"""Figures of pictures, and which of them are poor, go to fields, tags and a saved view."""

from collections.abc import Mapping

import fiftyone as fo
from fiftyone import ViewField as F

from uvl_plugin.adapter.curating import Place
from uvl_plugin.adapter.target import Target

ISSUE = "issue"


def poor_place(items: Target, figures: tuple[str, ...]) -> Place:
    """Where the issue of poor pictures and some figures of all go; ``items.field`` stands in the
    names."""
    kinds: dict[str, type[fo.Field]] = {f"{items.field}_{ISSUE}": fo.StringField}
    kinds |= {f"{items.field}_{name}": fo.FloatField for name in figures}
    return Place(items, items.field, kinds)


def mark_poor(place: Place, issues: Mapping[str, str], description: str) -> str:
    """Tags the poor pictures and saves a view of them, one issue after the other; returns its
    name."""
    place.tag_items(list(issues))
    name = f"{place.field}_{ISSUE}"
    return place.save_view(F(name).exists(), [(name, 1)], description)

"""Items that meet a condition: how many, and as a view."""

from collections.abc import Sequence

from fiftyone.core.collections import SampleCollection
from fiftyone.core.expressions import ViewExpression

from uvl_plugin.adapter.frames import Frames
from uvl_plugin.adapter.parts import Clips, Patches
from uvl_plugin.adapter.target import Target
from uvl_plugin.adapter.views import frames_view


def count(items: Target, condition: ViewExpression) -> int:
    """How many items meet a condition on their fields."""
    if isinstance(items, Patches):
        found = items.samples.filter_labels(items.patches_field, condition)
        return int(found.count(items.path.removesuffix(f".{items.field}")))
    if isinstance(items, Frames):
        return int(items.samples.match_frames(condition).count("frames"))
    return int(items.samples.match(condition).count())


def view_of(
    items: Target, condition: ViewExpression, order: Sequence[tuple[str, int]] = ()
) -> SampleCollection:
    """The items that meet a condition, each in a tile of its own."""
    before = ""
    if isinstance(items, Patches):
        view = items.samples.filter_labels(items.patches_field, condition)
        if items.path != f"{items.patches_field}.{items.field}":  # a list of labels
            make = view.to_clips if isinstance(items, Clips) else view.to_patches
            view = make(items.patches_field)
        before = f"{items.patches_field}."
    elif isinstance(items, Frames):
        view = frames_view(items.samples.match_frames(condition))
    else:
        view = items.samples.match(condition)
    if not order:
        return view
    return view.sort_by([(f"{before}{name}", direction) for name, direction in order])

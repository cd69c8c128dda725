"""Small pictures for a report, of any kind of item."""

from collections.abc import Sequence

from uvl_plugin.adapter.clusterings import items_of, record_of
from uvl_plugin.adapter.images import Videos
from uvl_plugin.adapter.parts import Clips
from uvl_plugin.adapter.pictures import read
from uvl_plugin.adapter.target import Target
from uvl_plugin.adapter.thumbnails import jpeg_url, thumbnails

SIDE = 104  # pixels; some 4 kB each


def pictures_of(items: Target, run_key: str | None, ids: Sequence[str]) -> dict[str, str]:
    """``data:`` URLs by the id of those items that can be read; of whole videos and clips only
    where the run is of them.

    Args:
        run_key: of a clustering; None for none.
    """
    if run_key is not None:
        config = record_of(items.dataset, run_key)
        if _kind(items_of(items.dataset, run_key, config)) == _kind(items):
            return thumbnails(items.dataset, run_key, ids, side=SIDE)
    if isinstance(items, Videos | Clips):
        return {}
    return {key: jpeg_url(pixels, SIDE) for key, pixels in read(items, ids, {})}


def _kind(items: Target) -> tuple[str, str | None]:
    return items.unit, getattr(items, "patches_field", None)

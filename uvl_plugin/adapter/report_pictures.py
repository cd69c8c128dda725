"""Small pictures for a report, of any kind of item."""

import base64
from collections.abc import Sequence
from io import BytesIO

import numpy as np

from uvl_plugin.adapter.clusterings import items_of, record_of
from uvl_plugin.adapter.images import Videos
from uvl_plugin.adapter.parts import Clips
from uvl_plugin.adapter.pictures import read
from uvl_plugin.adapter.target import Target
from uvl_plugin.adapter.thumbnails import thumbnails

SIDE = 104  # pixels; some 4 kB each
_QUALITY = 80


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
    return {key: _url(pixels) for key, pixels in read(items, ids, {})}


def _kind(items: Target) -> tuple[str, str | None]:
    return items.unit, getattr(items, "patches_field", None)


def _url(pixels: np.ndarray) -> str:
    from PIL import Image

    image, file = Image.fromarray(pixels), BytesIO()
    image.thumbnail((SIDE, SIDE))
    image.save(file, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()

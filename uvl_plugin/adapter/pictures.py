"""Pixels of items, one at a time; bad files are isolated."""

from collections.abc import Iterator, Sequence

import numpy as np

from uvl_plugin.adapter.target import Target
from uvl_plugin.core.errors import DataError
from uvl_plugin.media.images import read_image


def read(
    items: Target, ids: Sequence[str], failures: dict[str, str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Id and pixels ``(height, width, 3)``, uint8, of those items that can be read.

    Args:
        failures: takes the file and the reason of each one that cannot, by its id.
    """
    for source in items.sources(ids):
        try:
            found = list(source.read(read_image))
        except DataError as error:
            failures |= dict.fromkeys(source.keys, f"{source.path}: {error}")
            continue
        for key, pixels in found:
            if isinstance(pixels, np.ndarray):
                yield key, pixels
            else:
                failures[key] = f"{source.path}: {pixels}"

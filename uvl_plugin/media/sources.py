"""Where items come from: a whole image, or the crops of one. Video frames will be another."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from uvl_plugin.core.errors import DataError
from uvl_plugin.media.images import read_image

Reader = Callable[[str], Any]
"""From a path to pixels, or to whatever the network makes its images of."""

Box = tuple[float, float, float, float]
"""Left, top, width and height as shares of the image, 0 to 1."""


class Source(Protocol):
    """One file, that is read once for all of its items.

    Attributes:
        path: the file.
        keys: ids of its items.
    """

    @property
    def path(self) -> str: ...

    @property
    def keys(self) -> Sequence[str]: ...

    def read(self, reader: Reader) -> Iterator[tuple[str, Any]]:
        """Gives each item's pixels ``(height, width, 3)``, uint8, or a :class:`DataError` that
        says why it has none.

        Args:
            reader: reads a whole image; a source of something else has its own ways.

        Raises:
            DataError: if the file cannot be read; the items not given yet fail with it.
        """


@dataclass(frozen=True)
class ImageFile:
    """A whole image."""

    key: str
    path: str

    @property
    def keys(self) -> Sequence[str]:
        return (self.key,)

    def read(self, reader: Reader) -> Iterator[tuple[str, Any]]:
        yield self.key, reader(self.path)


@dataclass(frozen=True)
class Crops:
    """Parts of one image, such as detected objects.

    Attributes:
        path: the image.
        boxes: box of each item by its id.
        margin: share of a box's width and height that is added to it, half on each side.
    """

    path: str
    boxes: Mapping[str, Box]
    margin: float = 0.0

    @property
    def keys(self) -> Sequence[str]:
        return tuple(self.boxes)

    def read(self, reader: Reader) -> Iterator[tuple[str, Any]]:
        image = read_image(self.path)  # at full size: crops may be small parts of it
        for key, box in self.boxes.items():
            try:
                yield key, crop(image, box, self.margin)
            except DataError as error:
                yield key, error


def crop(image: np.ndarray, box: Box, margin: float = 0.0) -> np.ndarray:
    """Cuts a box out of an image ``(height, width, 3)``; at least one pixel.

    The corners are rounded towards the left and the top, and what lies outside of the image is
    cut off, as FiftyOne's patches do.

    Raises:
        DataError: if nothing of the box lies in the image.
    """
    height, width = image.shape[:2]
    rows = _span(box[1], box[3], margin, height)
    columns = _span(box[0], box[2], margin, width)
    if rows is None or columns is None:
        raise DataError(f"the box {[round(side, 4) for side in box]} holds nothing of the image")
    return image[rows, columns]


def _span(start: float, length: float, margin: float, pixels: int) -> slice | None:
    if not (math.isfinite(start) and math.isfinite(length)) or length <= 0:
        return None
    first = max(0.0, start - 0.5 * margin * length)
    last = min(1.0, start + (1.0 + 0.5 * margin) * length)
    if first >= last:
        return None
    left, right = int(pixels * first), int(pixels * last)
    return slice(left, max(right, left + 1))

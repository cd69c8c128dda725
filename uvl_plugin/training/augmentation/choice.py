"""Which augmentation suits images that nobody has looked at."""

from typing import TYPE_CHECKING

from uvl_plugin.training.augmentation.glyph import Glyph
from uvl_plugin.training.augmentation.photo import Photo

if TYPE_CHECKING:
    import numpy as np

    from uvl_plugin.training.augmentation.base import Augmentation

_SMALL = 64  # pixels; glyphs are smaller
_COLOURLESS = 8.0  # mean difference of the colours of a pixel, of 255; JPEG files of greys have 1


def suitable_augmentation(images: "np.ndarray") -> "Augmentation":
    """:class:`Glyph` for small pictures without colour, else :class:`Photo`.

    Args:
        images: ``(n, height, width, 3)``, uint8; a few dozen are enough.
    """
    _, height, width, _ = images.shape
    if len(images) == 0 or max(height, width) >= _SMALL:
        return Photo()
    spread = images.max(axis=3) - images.min(axis=3)
    return Glyph() if spread.mean() < _COLOURLESS else Photo()

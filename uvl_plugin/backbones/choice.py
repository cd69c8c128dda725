"""Which backbone suits a dataset when nobody says."""

import contextlib
from collections.abc import Iterable
from statistics import median

from uvl_plugin.backbones.base import Backbone
from uvl_plugin.backbones.pixels import Pixels
from uvl_plugin.backbones.presets import DEFAULT, presets
from uvl_plugin.core.errors import DataError
from uvl_plugin.media.images import image_size

_SMALL = 64  # pixels: below, ImageNet networks see mostly their own resampling


def suitable_backbone(paths: Iterable[str]) -> Backbone:
    """Pixels for pictures as small as glyphs, else the network of the default preset.

    Args:
        paths: some of the files; their headers are read.
    """
    sizes = []
    for path in paths:
        with contextlib.suppress(DataError):  # damaged files are reported when they are embedded
            sizes.append(min(image_size(path)))
    return Pixels() if sizes and median(sizes) < _SMALL else presets[DEFAULT].backbone

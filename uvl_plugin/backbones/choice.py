"""Which backbone suits a dataset when nobody says."""

import contextlib
from collections.abc import Iterable, Sequence
from statistics import median

from uvl_plugin.backbones.base import Backbone, TrainableBackbone
from uvl_plugin.backbones.compact import CompactCNN
from uvl_plugin.backbones.pixels import Pixels
from uvl_plugin.backbones.presets import DEFAULT, presets
from uvl_plugin.backbones.torchvision import TorchVision
from uvl_plugin.core.errors import DataError
from uvl_plugin.media.images import image_size

_SMALL = 64  # pixels: below, ImageNet networks see mostly their own resampling


def are_small(sides: Sequence[int]) -> bool:
    """Whether pictures are as small as glyphs.

    Args:
        sides: shorter side of each of some pictures, pixels.
    """
    return bool(sides) and median(sides) < _SMALL


def suitable_network(sides: Sequence[int]) -> TrainableBackbone:
    """What to train: a network made for small pictures, else one that has learnt from photos;
    ``sides`` as in :func:`are_small`."""
    return CompactCNN() if are_small(sides) else TorchVision(model="resnet18")


def suitable_backbone(paths: Iterable[str]) -> Backbone:
    """Pixels for pictures as small as glyphs, else the network of the default preset.

    Args:
        paths: some of the files; their headers are read.
    """
    sides = []
    for path in paths:
        with contextlib.suppress(DataError):  # damaged files are reported when they are embedded
            sides.append(min(image_size(path)))
    return Pixels() if are_small(sides) else presets[DEFAULT].backbone

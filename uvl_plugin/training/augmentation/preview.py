"""A sheet of images beside their views, to be looked at before training."""

import io
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from uvl_plugin.training.augmentation.base import Augmentation

_GAP = 4  # pixels of white between pairs


def preview(
    images: np.ndarray, augmentation: "Augmentation", *, seed: int = 0, size: int = 96
) -> np.ndarray:
    """Pairs of an image and a view of it, in a grid about as many pairs high as wide.

    Args:
        images: ``(n, height, width, 3)``, uint8, ``n`` at least 1; 16 make a good sheet.
        seed: of the views.
        size: side of each picture, pixels.

    Returns:
        The sheet, RGB, uint8: images on the left of their views, on white.
    """
    import torch
    from torch.nn import functional

    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2) / 255.0
    originals = functional.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
    side = min(pixels.shape[2:])
    views = augmentation(pixels, torch.Generator().manual_seed(seed), side)
    views = functional.interpolate(views, (size, size), mode="bilinear", antialias=True)
    pairs = torch.cat([originals, views], 3).clamp(0.0, 1.0).mul(255.0).round().byte()
    return _sheet(pairs.permute(0, 2, 3, 1).numpy())


def preview_png(
    images: np.ndarray, augmentation: "Augmentation", *, seed: int = 0, size: int = 96
) -> bytes:
    """The sheet of :func:`preview` as a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    sheet = preview(images, augmentation, seed=seed, size=size)
    Image.fromarray(sheet).save(file, format="PNG")
    return file.getvalue()


def _sheet(tiles: np.ndarray) -> np.ndarray:
    """Tiles ``(n, height, width, 3)`` in rows, with gaps between them."""
    n, height, width, _ = tiles.shape
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = np.full((rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), 255)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top, left = row * (height + _GAP), column * (width + _GAP)
        sheet[top : top + height, left : left + width] = tile
    return sheet.astype(np.uint8)

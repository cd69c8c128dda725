"""Where the pixels of a view come from: crop, flip, affine and elastic change, for each image.

Everything becomes one map from a view to its image, so that pixels are interpolated only once.
Coordinates are those of ``grid_sample``: from -1, the left or upper edge, to 1.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

    from uvl_plugin.training.augmentation.draws import Draws

_TRIES = 10
_KNOTS = 4  # of the elastic field, on each axis


class Affine(NamedTuple):
    """Change of the whole picture about its middle, as torchvision's RandomAffine has it.

    Attributes:
        angle: clockwise, degrees, ``(n,)``.
        shear: along the width, degrees, ``(n,)``.
        scale: above 1 enlarges, ``(n,)``.
        shift: to the right and down, share of the side, ``(n, 2)``.
    """

    angle: "torch.Tensor"
    shear: "torch.Tensor"
    scale: "torch.Tensor"
    shift: "torch.Tensor"


def draw_affine(
    draws: "Draws", *, rotation: float, shear: float, scale: tuple[float, float], shift: float
) -> Affine:
    """Each number evenly within its bounds."""
    return Affine(
        draws.uniform(-rotation, rotation),
        draws.uniform(-shear, shear),
        draws.uniform(*scale),
        draws.uniform(-shift, shift, 2),
    )


def draw_crops(
    draws: "Draws", height: int, width: int, area: tuple[float, float], aspect: float
) -> "torch.Tensor":
    """Rectangles within an image: ten tries for one that fits, else the largest in the middle.

    The distribution is that of torchvision's RandomResizedCrop; the idea is from
    arXiv:1409.4842, section 6.

    Args:
        height, width: of the images, pixels.
        area: least and greatest share of the image.
        aspect: width over height is at most this, at least its inverse.

    Returns:
        Top, left, height and width, whole pixels, ``(n, 4)``, float32.
    """
    import torch

    pixels = draws.uniform(*area, _TRIES) * (height * width)
    ratios = draws.uniform(-math.log(aspect), math.log(aspect), _TRIES).exp()
    widths = (pixels * ratios).sqrt().round()
    heights = (pixels / ratios).sqrt().round()
    fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
    pad = torch.nn.functional.pad
    widths = pad(widths, (0, 1), value=min(width, round(height * aspect)))
    heights = pad(heights, (0, 1), value=min(height, round(width * aspect)))
    chosen = pad(fits.int(), (0, 1), value=1).argmax(1, keepdim=True)  # the first that fits
    size = torch.cat([heights.gather(1, chosen), widths.gather(1, chosen)], 1)
    room = torch.tensor([height, width], device=size.device) - size
    anywhere = (draws.uniform(0.0, 1.0, 2) * (room + 1)).floor().minimum(room)
    return torch.cat([torch.where(chosen < _TRIES, anywhere, (room / 2).floor()), size], 1)


def affine_map(affine: Affine, height: int, width: int) -> "torch.Tensor":
    """From the changed picture back to the picture, ``(n, 2, 3)``.

    Args:
        height, width: of the picture, pixels.
    """
    import torch

    angle, lean = affine.angle.deg2rad(), affine.shear.deg2rad().tan()
    cos, sin, long = angle.cos(), angle.sin(), height / width
    rows = [cos - lean * sin, (sin + lean * cos) * long, -sin / long, cos]
    linear = (torch.stack(rows, 1) / affine.scale[:, None]).view(-1, 2, 2)
    return torch.cat([linear, -2.0 * (linear * affine.shift[:, None]).sum(2, keepdim=True)], 2)


def into_crops(
    maps: "torch.Tensor", crops: "torch.Tensor", height: int, width: int
) -> "torch.Tensor":
    """The map ``(n, 2, 3)`` into a crop, continued into its image.

    Args:
        crops: see :func:`draw_crops`, ``(n, 4)``.
        height, width: of the image, pixels.
    """
    import torch

    sides = torch.tensor([width, height], device=crops.device)
    size, start = crops[:, [3, 2]] / sides, crops[:, [1, 0]] / sides
    maps = maps * size[:, :, None]
    maps[:, :, 2] += 2.0 * start + size - 1.0
    return maps


def resampled(
    images: "torch.Tensor",
    maps: "torch.Tensor",
    size: tuple[int, int],
    padding: str,
    bends: "torch.Tensor | None" = None,
) -> "torch.Tensor":
    """Views of images ``(n, channels, height, width)``, interpolated bilinearly.

    Args:
        maps: from view to image, ``(n, 2, 3)``.
        size: height and width of the views, pixels.
        padding: what lies around an image, a ``padding_mode`` of ``grid_sample``.
        bends: displacement of 4 x 4 control points spread over the view, ``(n, 2, 4, 4)``, with
            2 the side of the view; bicubic between them.
    """
    import torch
    from torch.nn import functional

    height, width = size
    across, down = (_middles(side, images.device) for side in (width, height))
    sideways = maps[:, :, 0, None] * across + maps[:, :, 2, None]  # (n, 2, width)
    grid = sideways[:, :, None] + (maps[:, :, 1, None] * down)[..., None]
    if bends is not None:
        each = torch.eye(_KNOTS**2, device=images.device).view(1, -1, _KNOTS, _KNOTS)
        fields = functional.interpolate(each, size, mode="bicubic", align_corners=True)
        knots = maps[:, :, :2] @ bends.flatten(2)
        grid.view(-1, height * width).addmm_(knots.flatten(0, 1), fields.flatten(2)[0])
    where = grid.permute(0, 2, 3, 1)
    return functional.grid_sample(images, where, padding_mode=padding, align_corners=False)


def cut(images: "torch.Tensor", crops: "torch.Tensor", shape: tuple[int, int]) -> "torch.Tensor":
    """Views of crops one by one, antialiased, as torchvision makes them.

    Args:
        images: ``(n, channels, height, width)``, uint8, on the CPU.
        crops: see :func:`draw_crops`, ``(n, 4)``.
        shape: height and width of the views, pixels.

    Returns:
        ``(n, channels, *shape)``, float32, 0 to 1.
    """
    import torch
    from torch.nn import functional

    views = torch.empty(*images.shape[:2], *shape)
    for image, crop, view in zip(images.split(1), crops.int().tolist(), views, strict=True):
        top, left, height, width = crop
        part = image[..., top : top + height, left : left + width]
        view.copy_(functional.interpolate(part, shape, mode="bilinear", antialias=True)[0])
    return views.div_(255.0)


def draw_bends(draws: "Draws", elastic: float) -> "torch.Tensor":
    """Displacements for :func:`resampled`; ``elastic``: standard deviation, share of the side."""
    return draws.normal(2, _KNOTS, _KNOTS).mul_(2.0 * elastic)


def _middles(side: int, device: "torch.device") -> "torch.Tensor":
    """Where the pixels of a side are, from -1 to 1."""
    import torch

    return (torch.arange(side, device=device) * 2.0 + 1.0) / side - 1.0

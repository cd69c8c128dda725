"""Changes of the pictures themselves, for each image and in place: flip, strokes, blur, cut-out."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from uvl_plugin.training.augmentation.draws import Draws

_TAIL = 3  # standard deviations at which the bell of a blur ends


def flip_(images: "torch.Tensor", chosen: "torch.Tensor | None", axis: int) -> None:
    """Reverses an axis of the chosen images, ``(n,)``, bool; None: of none."""
    if chosen is not None:
        rows = chosen.nonzero()[:, 0]
        images.index_copy_(0, rows, images[rows].flip(axis))


def stroke_(images: "torch.Tensor", amounts: "torch.Tensor", radius: int) -> None:
    """Lets bright strokes grow (amounts above 0) or dark ones (below), from 0: not, to 1: by
    ``radius``.

    Grey dilation and erosion with a square: R. Haralick et al., "Image analysis using
    mathematical morphology", IEEE Trans. PAMI 9 (1987), page 532.

    Args:
        images: ``(n, channels, height, width)``.
        amounts: -1 to 1, ``(n,)``.
        radius: of the square, pixels; 1: three pixels wide.
    """
    amounts = amounts.view(-1, 1, 1, 1)
    signs = amounts.sign()
    grown = images * signs  # the least is the negative of the greatest negative
    for _ in range(radius):
        grown = _greatest_of_three(_greatest_of_three(grown, 3), 2)
    images.lerp_(grown.mul_(signs), amounts.abs())


def _greatest_of_three(images: "torch.Tensor", axis: int) -> "torch.Tensor":
    """Each pixel becomes the greatest of itself and its two neighbours along an axis."""
    import torch

    most = images.shape[axis] - 1
    grown = images.clone()
    for shifted, source in ((1, 0), (0, 1)):
        part = grown.narrow(axis, shifted, most)
        torch.maximum(part, images.narrow(axis, source, most), out=part)
    return grown


def blur_(images: "torch.Tensor", sigmas: "torch.Tensor") -> None:
    """Gaussian blur, mirrored at the edges; costs only what the blurred images need.

    Args:
        images: ``(n, channels, height, width)``.
        sigmas: standard deviation, pixels, ``(n,)``; 0 leaves the image as it is.
    """
    import torch

    sigmas, order = sigmas.sort(descending=True)
    radii = (sigmas * _TAIL).ceil().clamp(max=min(images.shape[2:]) - 1)
    most = int(radii[0])
    distances = torch.arange(most + 1, device=images.device)
    reached = distances <= radii[:, None]  # (n, most + 1)
    counts = reached.sum(0).tolist()[1:]  # the widest come first: each step has fewer images
    if not counts:
        return
    weights = torch.exp(-0.5 * (distances / sigmas.clamp(min=1e-6)[:, None]) ** 2) * reached
    weights /= weights[:, :1] + 2.0 * weights[:, 1:].sum(1, keepdim=True)
    chosen = order[: counts[0]]
    wide = torch.nn.functional.pad(images[chosen], (most,) * 4, mode="reflect")
    for axis in (2, 3):
        wide = _weighted(wide, weights, counts, axis)
    images.index_copy_(0, chosen, wide)


def _weighted(
    wide: "torch.Tensor", weights: "torch.Tensor", counts: list[int], axis: int
) -> "torch.Tensor":
    """Sums of neighbours along an axis, which loses its rim.

    Args:
        weights: by image and distance, ``(n, radius + 1)``.
        counts: how many images, from the first, reach distance 1, 2, ...
    """
    radius = len(counts)
    side = wide.shape[axis] - 2 * radius
    by_distance = weights.T[..., None, None, None]  # (radius + 1, n, 1, 1, 1)
    total = wide.narrow(axis, radius, side) * by_distance[0, : len(wide)]
    for distance, n in enumerate(counts, start=1):
        for start in (radius - distance, radius + distance):
            total[:n].addcmul_(wide[:n].narrow(axis, start, side), by_distance[distance, :n])
    return total


def draw_squares(draws: "Draws", probability: float, most: float) -> "torch.Tensor":
    """Squares to cut out: middle from the top and from the left, and side, all as shares of the
    image's; ``(n, 3)``. The side is a third of ``most`` to ``most``; 0 where nothing is cut."""
    import torch

    sides = draws.uniform(most / 3.0, most).where(draws.chance(probability), 0.0)
    return torch.cat([draws.uniform(0.0, 1.0, 2), sides[:, None]], 1)


def cut_out_(images: "torch.Tensor", squares: "torch.Tensor") -> None:
    """Fills one square with the median of the image's rim, so that it looks like background.

    The idea is from arXiv:1708.04552.

    Args:
        images: ``(n, channels, height, width)``.
        squares: see :func:`draw_squares`, ``(n, 3)``.
    """
    import torch

    inside = []
    for axis, side in enumerate(images.shape[2:]):
        middles = (torch.arange(side, device=images.device) + 0.5) / side
        inside.append((middles - squares[:, axis, None]).abs() < squares[:, 2, None] / 2.0)
    square = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    rim = [images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]]
    fill = torch.cat(rim, 2).median(2).values
    images.lerp_(fill[..., None, None], square.float())


def stroke_radius(height: int, width: int) -> int:
    """Pixels by which strokes grow at most: 1 on a side of 28, in proportion on others."""
    return max(1, round(math.sqrt(height * width) / 28.0))

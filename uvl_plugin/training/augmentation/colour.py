"""Brightness, contrast, saturation, hue and loss of colour, for each image.

All of them are linear, so they become one matrix an image, and pixels are touched once. Values
are not cut off between the steps, and the steps have a fixed order; both differ from torchvision.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

    from uvl_plugin.training.augmentation.draws import Draws

_LUMA = (0.2989, 0.587, 0.114)  # weights of red, green and blue in grey, as torchvision has them
_YIQ = (_LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


class Jitter(NamedTuple):
    """Factors of brightness, contrast and saturation, and change of hue in turns; each ``(n,)``."""

    brightness: "torch.Tensor"
    contrast: "torch.Tensor"
    saturation: "torch.Tensor"
    hue: "torch.Tensor"


def draw_jitter(
    draws: "Draws",
    *,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    probability: float,
) -> Jitter:
    """The distribution of torchvision's ColorJitter, on images chosen with ``probability``."""
    chosen = draws.chance(probability)

    def factor(most: float) -> "torch.Tensor":
        return draws.uniform(max(0.0, 1.0 - most), 1.0 + most).where(chosen, 1.0)

    turns = draws.uniform(-hue, hue).where(chosen, 0.0)
    return Jitter(factor(brightness), factor(contrast), factor(saturation), turns)


def colour_matrices(jitter: Jitter, grey: "torch.Tensor") -> "torch.Tensor":
    """What multiplies red, green and blue, without the contrast: ``(n, 3, 3)``.

    Hue is turned in the plane of I and Q, which keeps greys and the luma.

    Args:
        grey: which images lose their colour, ``(n,)``, bool.
    """
    import torch

    to_yiq = torch.tensor(_YIQ)
    from_yiq = torch.linalg.inv(to_yiq)  # on the CPU: a GPU would wait for it
    kept = jitter.saturation.where(~grey, 0.0)  # of the colour
    turn = jitter.hue * (2.0 * math.pi)
    changes = torch.zeros(len(turn), 3, 3, device=turn.device)
    changes[:, 0, 0] = 1.0
    changes[:, 1, 1] = changes[:, 2, 2] = turn.cos() * kept
    changes[:, 1, 2] = turn.sin() * kept
    changes[:, 2, 1] = -changes[:, 1, 2]
    matrices = from_yiq.to(turn.device) @ changes @ to_yiq.to(turn.device)
    return matrices * jitter.brightness[:, None, None]


def recoloured(
    images: "torch.Tensor", matrices: "torch.Tensor", contrast: "torch.Tensor | None"
) -> "torch.Tensor":
    """Multiplies colours, then stretches each image about its mean grey.

    Args:
        images: ``(n, channels, height, width)``.
        matrices: from :func:`colour_matrices`, or the brightness alone, ``(n, 1, 1)``.
        contrast: factors, ``(n,)``; None leaves it.
    """

    def multiplied(values: "torch.Tensor") -> "torch.Tensor":
        return values * matrices if matrices.shape[1] == 1 else matrices @ values

    pixels = images.flatten(2)
    if contrast is None:
        return multiplied(pixels).view(images.shape)
    weights = pixels.new_tensor([_LUMA if images.shape[1] == 3 else (1.0,)])
    factors = contrast[:, None, None]
    level = weights @ multiplied(pixels.mean(2, keepdim=True)) * (1.0 - factors)
    matrices = matrices * factors
    return multiplied(pixels).add_(level).view(images.shape)

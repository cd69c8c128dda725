"""The arrow of time: the halves of a video belong together, played backwards they do not."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    States = Callable[[torch.Tensor], torch.Tensor]

_LEAST = 4  # frames of a window that has halves
_TEMPERATURE = 0.2


def arrow_loss(states: "States", frames: "torch.Tensor", lengths: "torch.Tensor") -> "torch.Tensor":
    """How badly the halves of a window find each other among themselves played backwards: the
    logarithm of 3 by guessing, 0 at best.

    What a half shows, it shows backwards as well, so only the order of its frames helps. A half
    is less its own mean, and its vector is the mean of its states.

    Source: the contrast is InfoNCE, arXiv:1807.03748, equation 4; that the direction of time
    teaches what motion is: D. Wei et al., "Learning and Using the Arrow of Time", CVPR 2018.

    Args:
        states: frames ``(n, t, k)`` to states ``(n, t, dim)``, each from its frame and those before.
        frames: ``(batch, t, k)``.
        lengths: frames of each window, ``(batch,)``; of fewer than 4 frames they do not count.
    """
    import torch
    from torch.nn import functional as F

    long = lengths >= _LEAST
    if not long.any():
        return frames.sum() * 0.0
    frames, half = frames[long], lengths[long] // 2
    starts = torch.zeros_like(half)
    vectors = torch.cat(
        [
            _vectors(states, frames, start, half, backwards)
            for backwards in (False, True)
            for start in (starts, half)
        ]
    )
    vectors = F.normalize(vectors - vectors.mean(dim=0), dim=1)  # (4 batch, dim)
    first, second, first_back, second_back = vectors.chunk(4)
    pairs = [(first, second), (first, second_back), (second, first_back)]
    alike = torch.stack([(one * other).sum(dim=1) for one, other in pairs], dim=1)
    return F.cross_entropy(alike / _TEMPERATURE, torch.zeros_like(half))


def half_vectors(
    states: "States", frames: "torch.Tensor", lengths: "torch.Tensor"
) -> "torch.Tensor":
    """The mean of the vectors of both halves of each window, as :func:`arrow_loss` sees them,
    ``(batch, dim)``; windows of fewer than 4 frames are read whole."""
    import torch

    short = lengths < _LEAST
    size = torch.where(short, lengths, lengths // 2)
    begun = torch.zeros_like(size)
    first = _vectors(states, frames, begun, size, False)
    return (first + _vectors(states, frames, torch.where(short, begun, size), size, False)) / 2


def _vectors(
    states: "States",
    frames: "torch.Tensor",
    starts: "torch.Tensor",
    lengths: "torch.Tensor",
    backwards: bool,
) -> "torch.Tensor":
    """Vectors ``(batch, dim)`` of the pieces that begin at ``starts``, ``(batch,)``."""
    import torch

    steps = torch.arange(int(lengths.max()), device=frames.device).expand(len(frames), -1)
    inside = (steps < lengths[:, None])[:, :, None]
    steps = (lengths[:, None] - 1 - steps).clamp(min=0) if backwards else steps
    places = (starts[:, None] + steps).clamp(max=frames.shape[1] - 1)
    rows = frames.gather(1, places[:, :, None].expand(-1, -1, frames.shape[2])) * inside
    rows = (rows - rows.sum(dim=1, keepdim=True) / lengths[:, None, None]) * inside
    return (states(rows) * inside).sum(dim=1) / lengths[:, None]

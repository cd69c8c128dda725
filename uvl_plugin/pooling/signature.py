"""The path signature of the frames: where a video goes, and which way round."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from uvl_plugin.core.progress import Progress, part, silent
from uvl_plugin.core.settings import setting
from uvl_plugin.pooling.axes import fit_axes
from uvl_plugin.pooling.base import (
    FramePath,
    Paths,
    Pooler,
    Pooling,
    poolings,
)


@poolings.register
@dataclass(frozen=True, kw_only=True)
class Signature(Pooling):
    """The path that the frames draw, as its logarithmic signature of level 2, and behind it the
    mean of the frames.

    With ``k`` components the vector holds ``k`` increments (end minus start), ``k (k - 1) / 2``
    signed areas (of the loop that the path and its chord draw in each pair of components; the
    root of their size, with their sign, so that they grow with the path like the increments) and
    ``k`` numbers of the mean. The path is followed in the principal components of the motion (the
    frames less the mean of their video), the mean in those of the means of all videos.

    Increments and areas do not change with speed, frame rate or frames that stand still, nor
    with what is added to all frames of a video; played backwards, both change their sign. In a
    video of one frame they are 0, and only the mean is left.

    Source: I. Chevyrev and A. Kormilitzin, "A Primer on the Signature Method in Machine
    Learning", arXiv:1603.03788, sections 1.2 and 1.3.
    """

    name, label = "signature", "Path signature"
    description = "What happens in which order, without training; speed does not matter."
    order_aware = True

    n_components: int = setting(
        8,
        ge=1,
        le=64,
        label="Principal components",
        help="Directions in which frames are followed.",
    )
    appearance: float = setting(
        0.05,
        ge=0.0,
        le=1.0,
        help="Share of the mean of the frames in the vector, the rest is the path; still videos "
        "have only the mean. 0: the path alone, 1: the mean alone.",
    )

    def fit(self, paths: Paths, progress: Progress = silent) -> Pooler:
        found = fit_axes(paths, self.n_components, part(progress, 0.0, 0.5))
        axes = {"centre": found.centre, "motion": found.motion, "looks": found.looks}
        even = _SignaturePooler({**axes, "weights": np.ones(2)})
        squares, n = np.zeros(2), 0
        for path in paths():
            squares += [np.sum(piece**2) for piece in even.parts(path)]
            n += 1
            progress(0.5 + 0.5 * n / found.n_videos, f"weighed {n:,} videos")
        lengths = np.sqrt(squares / n)
        shares = np.sqrt([1.0 - self.appearance, self.appearance])
        weights = shares / np.where(lengths > 0, lengths, 1.0)
        return _SignaturePooler({**axes, "weights": weights})

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Pooler:
        return _SignaturePooler(arrays)


def signature(path: np.ndarray) -> np.ndarray:
    """The logarithmic signature of level 2 of a path of straight pieces.

    Args:
        path: shape ``(t, k)``, float64, ``t`` at least 1.

    Returns:
        ``k`` increments, then the signed areas of the pairs (1, 2), (1, 3), ..., (k - 1, k).
    """
    travelled = path - path[0]
    steps = np.diff(path, axis=0)
    middles = (travelled[1:] + travelled[:-1]) / 2
    second_level = middles.T @ steps  # (k, k)
    first, second = np.triu_indices(path.shape[1], 1)
    areas = (second_level - second_level.T)[first, second] / 2
    return np.concatenate([travelled[-1], areas])


class _SignaturePooler(Pooler):
    """Arrays: ``centre (dim,)``, the mean of all videos; ``motion`` and ``looks (k, dim)``, the
    components of path and mean; ``weights (2,)`` of these two parts."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        k, frame_dim = arrays["motion"].shape
        super().__init__(frame_dim, 2 * k + k * (k - 1) // 2, arrays)

    def parts(self, path: FramePath) -> tuple[np.ndarray, np.ndarray]:
        """What the path and what the mean gives."""
        frames = path.vectors.astype(np.float64) - self.arrays["centre"]
        found = signature(frames @ self.arrays["motion"].T)
        k = len(self.arrays["motion"])
        areas = found[k:]
        drawn = np.concatenate([found[:k], np.sign(areas) * np.sqrt(np.abs(areas))])
        moving, looks = self.arrays["weights"]
        return moving * drawn, looks * (self.arrays["looks"] @ frames.mean(axis=0))

    def _pooled(self, path: FramePath) -> np.ndarray:
        return np.concatenate(self.parts(path))

"""In which directions the frames of all videos vary: within videos, and from one to the next."""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.core.progress import Progress, silent
from uvl_plugin.pooling.base import Paths, check_dim, first_path

_STILL = 1e-6  # of the length of a vector, below which a deviation is rounding


@dataclass(frozen=True)
class Axes:
    """Principal axes, the largest first.

    Attributes:
        centre: mean of the means of all videos, shape ``(dim,)``, float64.
        motion: of the frames less the mean of their video, shape ``(k, dim)``, float64: rows of
            one length, so that the largest deviation is 1.
        looks: of the means of the videos, likewise.
        n_videos, n_frames: how many there were.
    """

    centre: np.ndarray
    motion: np.ndarray
    looks: np.ndarray
    n_videos: int
    n_frames: int


def fit_axes(paths: Paths, n: int, progress: Progress = silent) -> Axes:
    """Reads every path once; the memory it takes depends on ``dim`` alone.

    Args:
        n: how many axes of each kind; no more than the vectors have numbers.

    Raises:
        DataError: if there are no paths, or their vectors differ in length.
    """
    dim = first_path(paths).dim
    n_videos, n_frames, total = 0, 0, np.zeros(dim)
    moved, means = np.zeros((dim, dim)), np.zeros((dim, dim))
    for path in paths():
        check_dim(path, dim)
        frames = path.vectors.astype(np.float64)
        mean = frames.mean(axis=0)
        frames -= mean
        moved += frames.T @ frames
        means += np.outer(mean, mean)
        total += mean
        n_videos, n_frames = n_videos + 1, n_frames + len(frames)
        progress(0.0, f"read {n_videos:,} videos")
    centre = total / n_videos
    least = _STILL * np.sqrt(np.trace(means) / n_videos)
    looks = means / n_videos - np.outer(centre, centre)
    return Axes(
        centre,
        _principal(moved / n_frames, n, least),
        _principal(looks, n, least),
        n_videos,
        n_frames,
    )


def _principal(covariance: np.ndarray, n: int, least: float) -> np.ndarray:
    """Rows scaled so that the largest deviation is 1, unless it is below ``least``."""
    from scipy.linalg import eigh

    dim = len(covariance)
    kept = min(n, dim)
    values, leading = eigh(covariance, subset_by_index=(dim - kept, dim - 1))
    rows = leading.T[::-1]
    strongest = np.abs(rows).argmax(axis=1)
    rows = rows * np.sign(rows[np.arange(kept), strongest])[:, None]  # a sign, not chance
    largest = np.sqrt(max(values[-1], 0.0))
    return rows / largest if largest > least else rows

"""Is there more than one group at all? Data are compared with data that have none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.sweep import EACH, means, sweep
from uvl_plugin.core.progress import Progress, silent

_NUMBERS = (2, 3, 4, 5, 6, 8, 10, 12, 15)  # of clusters that are tried
_DRAWS = 8  # of each kind
_CLEAR = 8.0  # standard deviations by which data with groups are tighter, at least:
_TIGHTER = 0.03  # and the difference of the logarithms of the spread
_ALIKE = 1e-3  # relative deviation up to which lengths count as one


@dataclass(frozen=True)
class Evidence:
    """How clearly k-means finds tighter clusters than in data without groups.

    Attributes:
        strength: 1 where it is just enough to speak of groups, 2 with twice the difference; the
            least over the kinds of data without groups. 0 or less: no tighter than those.
    """

    strength: float

    @property
    def groups(self) -> bool:
        """Whether there is more than one group."""
        return self.strength >= 1.0


def group_evidence(vectors: np.ndarray, seed: int, progress: Progress = silent) -> Evidence:
    """Compares the spread within k-means' clusters with that in draws without groups.

    The draws are of a Gaussian and an ellipsoid of the same covariance and, as in the gap
    statistic (R. Tibshirani, G. Walther, T. Hastie, J. R. Stat. Soc. B 63, 2001, page 411), of
    boxes along the axes and the principal axes. Where all vectors have one length, so have the
    draws.

    Args:
        vectors: shape ``(n, dim)``, float32; a few thousand at most, fewer than ten are no groups.
    """
    numbers = [k for k in _NUMBERS if k <= len(vectors) // EACH]
    if not numbers or not np.ptp(vectors, axis=0).any():
        return Evidence(0.0)
    own = _log_spreads(vectors, numbers)
    random = np.random.default_rng(seed)
    least = np.inf
    for place, draw in enumerate(_DRAWN):
        without = _without_groups(draw, vectors, numbers, random, progress, place)
        gap = float((without.mean(axis=0) - own).max())
        noise = float(without.std(axis=0, ddof=1).mean())
        least = min(least, gap / max(_CLEAR * noise, _TIGHTER))
    return Evidence(least)


def _without_groups(
    draw: Callable[[np.ndarray, np.random.Generator], np.ndarray],
    vectors: np.ndarray,
    numbers: Sequence[int],
    random: np.random.Generator,
    progress: Progress,
    place: int,
) -> np.ndarray:
    """Log spreads of the draws, shape ``(draws, len(numbers))``."""
    found = []
    for turn in range(_DRAWS):
        progress((place + turn / _DRAWS) / len(_DRAWN), "is there more than one group?")
        found.append(_log_spreads(_same_length(draw(vectors, random), vectors), numbers))
    return np.array(found)


def _log_spreads(vectors: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """Logarithm of the sum of squared distances to the centroids, for each number."""
    spreads = [
        ((vectors - means(vectors, labels)[labels]) ** 2).sum(dtype=np.float64)
        for labels in sweep(vectors, numbers).labels
    ]
    total = ((vectors - vectors.mean(axis=0)) ** 2).sum(dtype=np.float64)
    return np.log(np.maximum(spreads, 1e-9 * total))


def _gaussian(vectors: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Random mixtures of the vectors: normal, of the same mean and covariance."""
    middle = vectors.mean(axis=0)
    mixed = random.normal(size=(len(vectors), len(vectors))) / np.sqrt(len(vectors))
    return middle + mixed @ (vectors - middle)


def _ellipsoid(vectors: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Evenly filled, of the same mean and covariance."""
    n, dim = vectors.shape
    directions = random.normal(size=(n, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    even = directions * random.uniform(size=(n, 1)) ** (1 / dim) * np.sqrt(dim + 2)
    covariance = np.cov(vectors.T, dtype=np.float64).reshape(dim, dim)
    squares, axes = np.linalg.eigh(covariance)
    return vectors.mean(axis=0) + even * np.sqrt(np.maximum(squares, 0.0)) @ axes.T


def _box(vectors: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return random.uniform(vectors.min(axis=0), vectors.max(axis=0), vectors.shape)


def _principal_box(vectors: np.ndarray, random: np.random.Generator) -> np.ndarray:
    middle = vectors.mean(axis=0)
    centred = (vectors - middle).astype(np.float64)
    axes = np.linalg.eigh(centred.T @ centred)[1]
    return middle + _box(centred @ axes, random) @ axes.T


_DRAWN = (_gaussian, _ellipsoid, _box, _principal_box)


def _same_length(drawn: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Draws as float32, and of the vectors' length where all of these have the same."""
    lengths = np.linalg.norm(vectors, axis=1)
    if lengths.std() < _ALIKE * lengths.mean():
        drawn = drawn * (lengths.mean() / np.linalg.norm(drawn, axis=1))[:, None]
    return drawn.astype(np.float32)

"""Where k-means starts: greedy k-means++."""

import math

import numpy as np

_ROUNDS = 4096  # where there are more centres, several are drawn in one round
_TINY = 1e-6  # of the mean squared length: what is less apart than that is rounding


def seeds(vectors: np.ndarray, k: int, random: np.random.Generator) -> np.ndarray:
    """Draws up to ``k`` different rows, far ones sooner than near ones, and of each few the one
    that leaves the others nearest.

    Source: D. Arthur, S. Vassilvitskii, "k-means++", SODA 2007, page 1027, with the several
    trials of their section 5 (page 1034); many centres are drawn at once, as in B. Bahmani et
    al., "Scalable k-means++", PVLDB 5 (2012), page 622.

    Args:
        vectors: shape ``(n, dim)``, float32; of length 1 where directions are compared.

    Returns:
        Row numbers, shape ``(at most k,)``: fewer where fewer rows differ. Of rows drawn in one
        round some may be equal.
    """
    lengths = np.einsum("ij,ij->i", vectors, vectors)
    at_once = max(1, k // _ROUNDS)
    trials = 2 + int(math.log(k)) if at_once == 1 else at_once
    chosen = [random.integers(len(vectors), size=1)]
    closest = _squares_to(vectors, lengths, chosen[0])[:, 0]
    left = k - 1
    while left > 0 and closest.any():
        found = _draw(closest, trials, random)
        apart = np.minimum(_squares_to(vectors, lengths, found), closest[:, None])
        if at_once == 1:
            best = apart.sum(axis=0, dtype=np.float64).argmin()
            found, apart = found[best : best + 1], apart[:, best : best + 1]
        found = np.unique(found)[:left]
        closest = apart.min(axis=1)
        chosen.append(found)
        left -= len(found)
    return np.concatenate(chosen)


def _draw(chances: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Rows, each as likely as its chance."""
    reached = np.cumsum(chances, dtype=np.float64)
    return np.searchsorted(reached, random.random(size) * reached[-1], side="right")


def _squares_to(vectors: np.ndarray, lengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Squared distances of all to some, shape ``(n, some)``; what is rounding becomes 0."""
    apart = vectors @ (-2.0 * vectors[rows]).T
    apart += lengths[:, None]
    apart += lengths[rows]
    apart[apart < _TINY * lengths.mean()] = 0.0
    return apart

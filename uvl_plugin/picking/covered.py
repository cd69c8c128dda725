"""How much of all items the labelled and picked ones cover."""

import numpy as np

from uvl_plugin.clustering.neighbors import neighbors_of
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.progress import Progress, silent

_SAMPLE = 500  # items whose neighbours tell the usual radius
_ROWS = 4096


def usual_radius(space: Space, budget: int) -> float:
    """A distance within which an item is taken for covered, if nobody says otherwise.

    That from an item to its (n / budget)-th neighbour, itself counted, in the median of 500 items
    evenly spread over the rows: ``budget`` balls of that size would just hold all ``n`` items, if
    every item were in one of them only.

    Args:
        space: vectors of length 1, see :func:`~uvl_plugin.curation.metric.space_of`.
        budget: at least 1.

    Returns:
        1 - cosine, 0 to 2.
    """
    n = len(space)
    k = min(n - 1, max(1, round(n / budget) - 1))
    if k == 0:
        return 0.0
    rows = np.linspace(0, n - 1, min(n, _SAMPLE)).astype(np.int64)
    distances = neighbors_of(space.vectors, rows, k).distances[:, -1].astype(np.float64)
    return float(np.median(distances) ** 2 / 2.0)


def distances_to(space: Space, rows: np.ndarray, progress: Progress = silent) -> np.ndarray:
    """1 - cosine from each item to the nearest of some rows, shape ``(n,)``, float32; infinite
    where there are none."""
    found = np.full(len(space), np.inf, np.float32)
    for start in range(0, len(space) if len(rows) else 0, _ROWS):
        block = space.vectors[start : start + _ROWS]
        best = np.full(len(block), -1.0, np.float32)
        for first in range(0, len(rows), _ROWS):
            cosines = block @ space.vectors[rows[first : first + _ROWS]].T
            best = np.maximum(best, cosines.max(axis=1))
        found[start : start + _ROWS] = np.maximum(1.0 - best, 0.0)
        progress((start + len(block)) / len(space), "what is covered")
    found[rows] = 0.0
    return found

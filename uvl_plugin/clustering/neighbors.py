"""The nearest neighbours of every item, found chunk by chunk."""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.core.progress import Progress, silent

_ROWS = 4096  # that are looked up at a time


@dataclass(frozen=True)
class Neighbors:
    """The nearest neighbours of each item, nearest first, itself left out.

    Attributes:
        indices: shape ``(n, k)``, int64.
        distances: shape ``(n, k)``, float32, Euclidean, of the prepared vectors.
    """

    indices: np.ndarray
    distances: np.ndarray

    def first(self, k: int) -> "Neighbors":
        """The ``k`` nearest of them."""
        return Neighbors(self.indices[:, :k], self.distances[:, :k])


def nearest_neighbors(vectors: np.ndarray, k: int, progress: Progress = silent) -> Neighbors:
    """The ``k`` nearest others of each item, by Euclidean distance.

    Args:
        vectors: shape ``(n, dim)``, float32.
        k: 0 to ``n - 1``.
    """
    import faiss

    n, dim = vectors.shape
    index = faiss.IndexFlatL2(dim)
    index.add(vectors)
    indices = np.empty((n, k), np.int64)
    distances = np.empty((n, k), np.float32)
    for start in range(0, n, _ROWS):
        rows = slice(start, min(start + _ROWS, n))
        squares, found = index.search(vectors[rows], k + 1)
        indices[rows], distances[rows] = _without_itself(found, squares, start)
        progress(rows.stop / n, f"neighbours, {rows.stop:,} of {n:,}")
    return Neighbors(indices, distances)


def _without_itself(
    found: np.ndarray, squares: np.ndarray, start: int
) -> tuple[np.ndarray, np.ndarray]:
    """Leaves each row's own item out; where many are equal it may not be among them, and then
    the last one goes."""
    own = found == start + np.arange(len(found))[:, None]
    own[~own.any(axis=1), -1] = True
    shape = (len(found), found.shape[1] - 1)
    roots = np.sqrt(np.maximum(squares, 0))
    return found[~own].reshape(shape), roots[~own].reshape(shape)

"""The nearest neighbours of every item: exact for some ten thousands, nearly so beyond."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from uvl_plugin.clustering import neighbor_cache
from uvl_plugin.core.progress import Progress, part, silent

_ROWS = 4096  # that are looked up at a time
_EXACT = 30_000  # items of which all distances are computed
_CACHED = 5_000  # fewer are found sooner than a file
_LIST = 128  # items in a list of the index, on average
_TRAINED = 40  # items for each list that say where the lists are
_ITERATIONS = 5
_PROBED = 4  # lists that are looked through, at least
_SLOWER = 8  # times as slow to look through all lists as to compare with all items
_CHECKED = 512  # items whose neighbours are found exactly too
_RECALL = 0.97  # of them, so that it is at least 0.95 for all

Search = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]  # squares, indices


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

    Up to 30,000 items: exact. Beyond, an inverted file (J. Sivic, A. Zisserman, "Video Google",
    ICCV 2003, page 1470) is looked through as far as it takes to find 97 % of the neighbours of
    512 items, whose true ones are known; where that takes an eighth of it, exact again, which is
    faster then. Of 5,000 items and more the result is kept on disk, see
    :mod:`~uvl_plugin.clustering.neighbor_cache`.

    Args:
        vectors: shape ``(n, dim)``, float32.
        k: 0 to ``n - 1``.
    """
    n = len(vectors)
    if n < _CACHED:
        return _computed(vectors, k, progress)
    many = min(n - 1, max(32, 1 << (k - 1).bit_length()))  # one file serves several k
    key = neighbor_cache.key_of(vectors, many)
    found = neighbor_cache.read(key, (n, many))
    if found is None:
        computed = _computed(vectors, many, progress)
        found = computed.indices, computed.distances
        neighbor_cache.write(key, *found)
    progress(1.0, "neighbours")
    return Neighbors(*found).first(k)


def neighbors_of(vectors: np.ndarray, rows: np.ndarray, k: int) -> Neighbors:
    """The ``k`` nearest others of some items, exactly.

    Args:
        vectors: shape ``(n, dim)``, float32.
        rows: of the items, shape ``(m,)``.
        k: 0 to ``n - 1``.

    Returns:
        Arrays of shape ``(m, k)``.
    """
    squares, found = exact_search(vectors)(vectors[rows], k + 1)
    return Neighbors(*without_itself(found, squares, rows))


def _computed(vectors: np.ndarray, k: int, progress: Progress) -> Neighbors:
    if len(vectors) <= _EXACT:
        return looked_up(vectors, k, exact_search(vectors), progress)
    search = _far_looking(vectors, k, progress)
    return looked_up(vectors, k, search, part(progress, 0.3, 1.0))


def looked_up(vectors: np.ndarray, k: int, search: Search, progress: Progress) -> Neighbors:
    """The ``k`` nearest others of each item that a search gives, some thousands at a time."""
    n = len(vectors)
    indices = np.empty((n, k), np.int64)
    distances = np.empty((n, k), np.float32)
    for start in range(0, n, _ROWS):
        rows = slice(start, min(start + _ROWS, n))
        squares, found = search(vectors[rows], k + 1)
        indices[rows], distances[rows] = without_itself(found, squares, np.arange(n)[rows])
        progress(rows.stop / n, f"neighbours, {rows.stop:,} of {n:,}")
    return Neighbors(indices, distances)


def exact_search(vectors: np.ndarray) -> Search:
    """A search that computes all distances."""
    import faiss

    return lambda wanted, k: faiss.knn(wanted, vectors, k)


def _far_looking(vectors: np.ndarray, k: int, progress: Progress) -> Search:
    index = inverted_file(vectors, progress)
    progress(0.2, "index, how far to look")
    _look_far_enough(index, exact_search(vectors), vectors, k)
    return search_of(index, vectors)


def inverted_file(vectors: np.ndarray, progress: Progress) -> Any:
    """FAISS' index of all vectors in lists of alike ones."""
    import faiss

    n, dim = vectors.shape
    progress(0.0, f"index of {n:,} vectors")
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(dim), dim, n // _LIST)
    index.cp.niter = _ITERATIONS
    index.cp.max_points_per_centroid = _TRAINED
    index.cp.min_points_per_centroid = 1
    index.train(vectors)
    for start in range(0, n, _ROWS):
        index.add(vectors[start : start + _ROWS])
    return index


def search_of(index: Any, vectors: np.ndarray) -> Search:
    """Looks through the lists that are nearest to each item; where these hold too few items, or
    are so many that it would take longer, compares with all."""
    exact = exact_search(vectors)
    if _too_many(index):
        return exact

    def search(wanted: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        squares, found = index.search(wanted, k)
        short = np.flatnonzero(found[:, -1] < 0)
        if len(short):
            squares[short], found[short] = exact(wanted[short], k)
        return squares, found

    return search


def _too_many(index: Any) -> bool:
    return bool(_SLOWER * index.nprobe >= index.nlist)


def _look_far_enough(index: Any, exact: Search, vectors: np.ndarray, k: int) -> None:
    """Sets how many lists are looked through: half as many more until the recall is reached, or
    comparing with all is faster."""
    rows = np.linspace(0, len(vectors) - 1, _CHECKED).astype(np.int64)
    farthest, true = exact(vectors[rows], k + 1)
    farthest = farthest[:, -1:]  # equal items may stand for each other
    index.nprobe = min(_PROBED, index.nlist)
    while not _too_many(index):
        squares, found = index.search(vectors[rows], k + 1)
        right = (found[:, :, None] == true[:, None, :]).any(axis=2)
        if np.mean(right | ((squares <= farthest) & (found >= 0))) >= _RECALL:
            return
        index.nprobe = min(index.nprobe + index.nprobe // 2, index.nlist)


def without_itself(
    found: np.ndarray, squares: np.ndarray, items: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Leaves each row's own item out; where many are equal it may not be among them, and then
    the last one goes."""
    own = found == items[:, None]
    own[~own.any(axis=1), -1] = True
    shape = (len(found), found.shape[1] - 1)
    roots = np.sqrt(np.maximum(squares, 0))
    return found[~own].reshape(shape), roots[~own].reshape(shape)

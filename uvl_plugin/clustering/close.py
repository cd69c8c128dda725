"""The neighbours within a radius, many times as fast as all the nearest ones."""

from typing import Any

import numpy as np

from uvl_plugin.clustering.neighbors import (
    Neighbors,
    exact_search,
    inverted_file,
    looked_up,
    search_of,
    without_itself,
)
from uvl_plugin.core.progress import Progress, part, silent

_COMPARED = 5_000  # items of which all distances are computed
_PROJECTED = 100_000  # items that are compared in few dimensions
_DIRECTIONS = 32  # or twice, four times, ... as many where these tell too few pairs apart
_TRIED = 64  # items that say how many
_SAMPLE = 4_000  # vectors that say which directions
_CELLS = 2**22  # products that are held at a time
_CANDIDATES = 4  # times as many as are wanted: with more, a row may be compared with all
_DEAR = 32  # times as slow: comparing pairs one by one, and a row with all
_PAIRS = 512  # that are compared at a time
_TOGETHER = 1024  # rows that are compared with all at a time
_ROUNDING = 1e-5  # of the squared lengths: products may be wrong by that
_PROBED = 4  # lists that are looked through, at least
_TWINS = 2048  # made-up near neighbours that say how far to look for close ones
_TWINS_FOUND = 0.999


def close_neighbors(
    vectors: np.ndarray, k: int, radius: float, progress: Progress = silent
) -> Neighbors:
    """The nearest ``k`` of the others of each item that are within a radius.

    Up to 100,000 items: exact. Vectors are compared in the 32 directions of most variance, or in
    more where these tell too few apart, and by the length of what is left, where they are never
    farther apart than they are; only pairs that are within the radius there are compared in full.
    Beyond, an inverted file is looked through as far as it takes to find the lists of 99.9 % of
    2,048 items from points that are a radius away from them, towards other items. The result is
    not kept.

    Args:
        vectors: shape ``(n, dim)``, float32.
        k: 0 to ``n - 1``.
        radius: Euclidean, at least 0.

    Returns:
        Lists that may go on with farther items; where there are none, with the item itself at an
        infinite distance.
    """
    if len(vectors) < _COMPARED or k == 0:
        return looked_up(vectors, k, exact_search(vectors), progress)
    if len(vectors) <= _PROJECTED:
        return _projected(vectors, k, radius, progress)
    index = inverted_file(vectors, progress)
    index.nprobe = _lists_within(index, vectors, radius)
    return looked_up(vectors, k, search_of(index, vectors), part(progress, 0.3, 1.0))


def _projected(vectors: np.ndarray, k: int, radius: float, progress: Progress) -> Neighbors:
    n = len(vectors)
    most = max(_CANDIDATES * k, n // _DEAR)
    low = _narrowed(vectors, radius)
    indices = np.repeat(np.arange(n)[:, None], k, axis=1)
    distances = np.full((n, k), np.inf, np.float32)
    size = min(n, max(1, _CELLS // n))
    products, all_inside = np.empty((size, n), np.float32), np.empty((size, n), bool)
    many, report = np.zeros(n, bool), part(progress, 0.0, 0.5)
    for start in range(0, n, size):
        rows = np.arange(start, min(start + size, n))
        inside = low.inside(rows, products[: len(rows)], all_inside[: len(rows)])
        which, others, many[rows] = _candidates(inside, most)
        _fill(vectors, rows[which], others, indices, distances)
        report((rows[-1] + 1) / n, f"close neighbours, {rows[-1] + 1:,} of {n:,}")
    _fill_crowded(vectors, np.flatnonzero(many), indices, distances, part(progress, 0.5, 1.0))
    return Neighbors(indices, distances)


class _Low:
    """Vectors in few dimensions, where no two are farther apart than they are.

    Args:
        vectors: shape ``(n, dim)``.
        axes: directions, shape ``(dim, m)``, of length 1, perpendicular to each other; the length
            of what is left is a further dimension.
        radius: within which pairs are looked for.
    """

    def __init__(self, vectors: np.ndarray, axes: np.ndarray, radius: float):
        low = vectors @ np.ascontiguousarray(axes)
        lengths = np.einsum("ij,ij->i", vectors, vectors)
        left = np.sqrt(np.maximum(lengths - np.einsum("ij,ij->i", low, low), 0.0))
        low = np.column_stack([low, left]).astype(np.float32)
        squares, slack = np.einsum("ij,ij->i", low, low), _ROUNDING * lengths
        self._left = np.column_stack([low, np.ones(len(low), np.float32)])
        self._right = np.ascontiguousarray(np.column_stack([low, slack - 0.5 * squares]).T)
        self._least = 0.5 * (squares - radius**2) - slack  # of the products of pairs within it

    def inside(self, rows: np.ndarray, products: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """Whether items may be within the radius of these rows, itself left out; the other two
        arguments are room for it, ``(len(rows), n)``, since new room costs more."""
        np.matmul(self._left[rows], self._right, out=products)
        np.greater_equal(products, self._least[rows, None], out=inside)
        inside[np.arange(len(rows)), rows] = False
        return inside


def _narrowed(vectors: np.ndarray, radius: float) -> _Low:
    """Vectors in as few dimensions as cost least, counted in products of two numbers: those in
    few dimensions, and those of the pairs that seem to be near there but are not."""
    n, dim = vectors.shape
    axes = _axes(vectors)
    rows = np.linspace(0, n - 1, min(n, _TRIED)).astype(np.int64)
    room = np.empty((len(rows), n), np.float32), np.empty((len(rows), n), bool)
    near = _n_within(vectors, rows, radius)
    m, cost = _DIRECTIONS, np.inf
    while True:
        low = _Low(vectors, axes[:, :m], radius)
        seeming = np.maximum(low.inside(rows, *room).sum(axis=1) - near, 0)
        vain = float(np.minimum(_DEAR * seeming, n).mean()) * dim
        if m * n + vain < cost:
            best, cost = low, m * n + vain
        if m >= dim or vain <= m * n:  # twice the dimensions would cost more
            return best
        m *= 2


def _axes(vectors: np.ndarray) -> np.ndarray:
    """Perpendicular directions, that of most variance first, shape ``(dim, dim)``."""
    sample = vectors[:: max(1, len(vectors) // _SAMPLE)]
    _, axes = np.linalg.eigh(sample.T @ sample)
    return axes[:, ::-1]


def _n_within(vectors: np.ndarray, rows: np.ndarray, radius: float) -> np.ndarray:
    """About how many others are within the radius of these rows."""
    lengths = np.einsum("ij,ij->i", vectors, vectors)
    squares = lengths[rows, None] + lengths - 2.0 * (vectors[rows] @ vectors.T)
    return (squares <= radius**2).sum(axis=1) - 1


def _candidates(inside: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and column of what is true, and which rows have more than ``most`` and are left out."""
    many = np.zeros(len(inside), bool)
    if np.count_nonzero(inside) > most * len(inside):  # too many to list
        many = inside.sum(axis=1) > most
        inside[many] = False
    which, others = np.divmod(np.flatnonzero(inside), inside.shape[1])
    many |= np.bincount(which, minlength=len(inside)) > most
    kept = ~many[which]
    return which[kept], others[kept], many


def _fill(
    vectors: np.ndarray,
    own: np.ndarray,
    others: np.ndarray,
    indices: np.ndarray,
    distances: np.ndarray,
) -> None:
    """Compares pairs in full, those of a row together, and writes the nearest of each row down."""
    squares = _squares(vectors, own, others)
    order = np.lexsort((squares, own))
    own, others, squares = own[order], others[order], squares[order]
    place = np.arange(len(own)) - np.searchsorted(own, own)
    kept = place < indices.shape[1]
    own, place = own[kept], place[kept]
    indices[own, place], distances[own, place] = others[kept], np.sqrt(squares[kept])


def _squares(vectors: np.ndarray, own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The squared distances of pairs."""
    squares = np.empty(len(own), np.float32)
    room = np.empty((2, _PAIRS, vectors.shape[1]), np.float32)  # used again: new room costs more
    for start in range(0, len(own), _PAIRS):
        some = slice(start, min(start + _PAIRS, len(own)))
        left, right = room[:, : some.stop - start]
        np.take(vectors, own[some], axis=0, out=left, mode="clip")  # "raise" takes room of its own
        np.take(vectors, others[some], axis=0, out=right, mode="clip")
        np.subtract(left, right, out=left)
        squares[some] = np.einsum("ij,ij->i", left, left)
    return squares


def _fill_crowded(
    vectors: np.ndarray,
    many: np.ndarray,
    indices: np.ndarray,
    distances: np.ndarray,
    progress: Progress,
) -> None:
    """Compares rows with all items, and writes the nearest of each row down: many rows at a time,
    since FAISS goes through all vectors anew for each call."""
    search, k = exact_search(vectors), indices.shape[1]
    for start in range(0, len(many), _TOGETHER):
        own = many[start : start + _TOGETHER]
        squares, found = search(vectors[own], k + 1)
        indices[own], distances[own] = without_itself(found, squares, own)
        done = start + len(own)
        progress(done / len(many), f"crowded neighbours, {done:,} of {len(many):,}")
    progress(1.0, "close neighbours")


def _lists_within(index: Any, vectors: np.ndarray, radius: float) -> int:
    """How many lists to look through from a point, to find what lies a radius away."""
    rows = np.linspace(0, len(vectors) - 1, min(len(vectors), _TWINS)).astype(np.int64)
    items = vectors[rows]
    towards = np.roll(items, len(rows) // 3, axis=0) - items
    lengths = np.linalg.norm(towards, axis=1, keepdims=True)
    twins = items + towards * np.minimum(1.0, radius / np.maximum(lengths, 1e-30))
    _, homes = index.quantizer.search(items, 1)
    _, order = index.quantizer.search(twins.astype(np.float32), index.nlist)
    needed = (order == homes).argmax(axis=1) + 1
    return max(min(_PROBED, index.nlist), int(np.quantile(needed, _TWINS_FOUND, method="higher")))

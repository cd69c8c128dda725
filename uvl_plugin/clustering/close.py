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
_DIRECTIONS = 32
_SAMPLE = 4_000  # vectors that say which directions
_CELLS = 2**22  # products that are held at a time
_CANDIDATES = 4  # times as many as are wanted: with more, a row is compared with all
_ROUNDING = 1e-5  # of the squared lengths: products may be wrong by that
_PROBED = 4  # lists that are looked through, at least
_TWINS = 2048  # made-up near neighbours that say how far to look for close ones
_TWINS_FOUND = 0.999


def close_neighbors(
    vectors: np.ndarray, k: int, radius: float, progress: Progress = silent
) -> Neighbors:
    """The nearest ``k`` of the others of each item that are within a radius.

    Up to 100,000 items: exact. Vectors are compared in the 32 directions of most variance and by
    the length of what is left, where they are never farther apart than they are; only pairs that
    are within the radius there are compared in full. Beyond, an inverted file is looked through
    as far as it takes to find the lists of 99.9 % of 2,048 items from points that are a radius
    away from them, towards other items. The result is not kept.

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
    search = search_of(index, vectors) if 2 * index.nprobe < index.nlist else exact_search(vectors)
    return looked_up(vectors, k, search, part(progress, 0.3, 1.0))


def _projected(vectors: np.ndarray, k: int, radius: float, progress: Progress) -> Neighbors:
    n = len(vectors)
    low, squares = _in_few_dimensions(vectors)
    slack = _ROUNDING * np.einsum("ij,ij->i", vectors, vectors)
    indices = np.repeat(np.arange(n)[:, None], k, axis=1)
    distances = np.full((n, k), np.inf, np.float32)
    right = np.ascontiguousarray(np.column_stack([low, slack - 0.5 * squares]).T)
    least = 0.5 * (squares - radius**2) - slack  # of the products of pairs within the radius
    left = np.column_stack([low, np.ones(n, np.float32)])
    size = min(n, max(1, _CELLS // n))
    products, all_inside = np.empty((size, n), np.float32), np.empty((size, n), bool)
    for start in range(0, n, size):
        rows = np.arange(start, min(start + size, n))
        near, inside = products[: len(rows)], all_inside[: len(rows)]  # new ones cost more
        np.matmul(left[rows], right, out=near)
        np.greater_equal(near, least[rows, None], out=inside)
        inside[np.arange(len(rows)), rows] = False
        which, others, many = _candidates(inside, _CANDIDATES * k)
        _fill(vectors, rows[which], others, indices, distances)
        if many.any():
            found, own = exact_search(vectors)(vectors[rows[many]], k + 1), rows[many]
            indices[own], distances[own] = without_itself(found[1], found[0], own)
        progress((rows[-1] + 1) / n, f"close neighbours, {rows[-1] + 1:,} of {n:,}")
    return Neighbors(indices, distances)


def _in_few_dimensions(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of which no two are farther apart than the given ones, and their squared lengths."""
    sample = vectors[:: max(1, len(vectors) // _SAMPLE)]
    _, axes = np.linalg.eigh(sample.T @ sample)
    low = vectors @ np.ascontiguousarray(axes[:, ::-1][:, :_DIRECTIONS])
    squares = np.einsum("ij,ij->i", vectors, vectors)
    left = np.sqrt(np.maximum(squares - np.einsum("ij,ij->i", low, low), 0.0))
    low = np.column_stack([low, left]).astype(np.float32)
    return low, np.einsum("ij,ij->i", low, low)


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
    apart = vectors[own] - vectors[others]
    squares = np.einsum("ij,ij->i", apart, apart)
    order = np.lexsort((squares, own))
    own, others, squares = own[order], others[order], squares[order]
    place = np.arange(len(own)) - np.searchsorted(own, own)
    kept = place < indices.shape[1]
    own, place = own[kept], place[kept]
    indices[own, place], distances[own, place] = others[kept], np.sqrt(squares[kept])


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

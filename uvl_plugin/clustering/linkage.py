"""A tree over weighted points: joins the two nearest groups again and again."""

import numpy as np

from uvl_plugin.core.progress import Progress
from uvl_plugin.core.tree import Tree

_ROWS = 1024  # whose distances are computed at a time


def join(centres: np.ndarray, sizes: np.ndarray, linkage: str, progress: Progress) -> Tree:
    """Joins weighted points two at a time, always the nearest.

    By chains of nearest neighbours, in time and memory of ``m`` squared: F. Murtagh, Computer
    J. 26 (1983), page 354.

    Args:
        centres: means of the groups to join, shape ``(m, dim)``.
        sizes: how many items each stands for, shape ``(m,)``.
        linkage: ``"ward"``, ``"average"`` or ``"complete"``.

    Returns:
        The tree. Heights are distances; for ward those of two single items whose join adds as
        much to the sum of squares, as in ``scipy.cluster.hierarchy.linkage``.
    """
    m = len(centres)
    apart = _distances(centres, sizes, linkage)
    weights = sizes.astype(np.float64)
    node = np.arange(m)  # what stands in each row now
    merges, heights = np.zeros((m - 1, 2), np.int64), np.zeros(m - 1)
    lowest = np.zeros(2 * m - 1)
    chain: list[int] = []
    for step in range(m - 1):
        if step % 512 == 0:
            progress(step / m, f"joining, {step:,} of {m:,}")
        first, second = _nearest_pair(apart, chain, node)
        found = float(apart[first, second])
        if linkage == "ward":
            found = found**0.5
        height = max(found, lowest[node[first]], lowest[node[second]])  # rounding may lower it
        merges[step], heights[step] = (node[first], node[second]), height
        _update(apart, weights, first, second, linkage)
        node[first], node[second] = m + step, -1
        lowest[m + step] = height
    return _sorted(merges, heights)


def _distances(centres: np.ndarray, sizes: np.ndarray, linkage: str) -> np.ndarray:
    """Between all groups, ``(m, m)``, float32; for ward squared and weighted; own ones infinite."""
    exact = centres.astype(np.float64)  # differences of float32 squares lose what is near
    squares = (exact**2).sum(axis=1)
    apart = np.empty((len(exact), len(exact)), np.float32)
    for start in range(0, len(exact), _ROWS):
        rows = slice(start, start + _ROWS)
        block = np.maximum(squares[rows, None] + squares - 2.0 * exact[rows] @ exact.T, 0.0)
        if linkage == "ward":
            block *= 2.0 * sizes[rows, None] * sizes / (sizes[rows, None] + sizes)
        apart[rows] = block if linkage == "ward" else np.sqrt(block)
    np.fill_diagonal(apart, np.inf)
    return apart


def _nearest_pair(apart: np.ndarray, chain: list[int], node: np.ndarray) -> tuple[int, int]:
    """Two rows each of which is the nearest to the other; follows the chain to its end."""
    if not chain:
        chain.append(int(np.argmax(node >= 0)))
    while True:
        row = apart[chain[-1]]
        nearest = int(row.argmin())
        if len(chain) > 1 and row[chain[-2]] <= row[nearest]:  # of equals the one it came from
            return chain.pop(), chain.pop()
        chain.append(nearest)


def _update(apart: np.ndarray, weights: np.ndarray, first: int, second: int, linkage: str) -> None:
    """Puts the join of two rows into the first and takes the second out."""
    one, two = weights[first], weights[second]
    a, b = apart[first], apart[second]
    if linkage == "complete":
        joined = np.maximum(a, b)
    elif linkage == "average":
        joined = (one * a + two * b) / (one + two)
    else:
        between = apart[first, second]
        joined = (one + weights) * a + (two + weights) * b - weights * between
        joined /= one + two + weights
    weights[first] = one + two
    apart[first] = apart[:, first] = joined
    apart[second] = apart[:, second] = np.inf
    apart[first, first] = np.inf


def _sorted(merges: np.ndarray, heights: np.ndarray) -> Tree:
    """The same joins by height, lowest first."""
    m = len(merges) + 1
    order = np.argsort(heights, kind="stable")  # what was made first stays before what it joins
    number = np.concatenate([np.arange(m), m + np.argsort(order)])
    return Tree(np.sort(number[merges[order]], axis=1), heights[order])

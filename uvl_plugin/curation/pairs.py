"""Which rows stay if no two that are near each other may: exactly, in blocks."""

import numpy as np

from uvl_plugin.clustering.neighbors import Neighbors
from uvl_plugin.core.progress import Progress
from uvl_plugin.curation.metric import squares_between

KEPT = -1
_ROWS = 4096  # whose lists are read, or that are compared, at a time
_BLOCK = 512  # crowded rows that are decided together
_ROUNDING = 1e-5  # of the squared lengths: products may be wrong by that


class Pairs:
    """Which rows are within the limit of each other, rounding of products made good.

    Args:
        vectors: shape ``(n, dim)``, float32.
        limit: greatest squared distance.
    """

    def __init__(self, vectors: np.ndarray, limit: float):
        self.vectors, self._limit = vectors, limit
        self._slack = _ROUNDING * np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)

    def __len__(self) -> int:
        return len(self.vectors)

    def of_graph(self, near: Neighbors) -> tuple[np.ndarray, np.ndarray]:
        """All pairs in the lists of neighbours: the earlier row and the later one, both of shape
        ``(m,)``, by the earlier; a pair may occur twice."""
        found = []
        for start in range(0, len(self), _ROWS):
            rows = np.arange(start, min(start + _ROWS, len(self)))
            lists = near.indices[rows]
            which, _ = inside = np.nonzero(self._within(rows[:, None], lists, near.distances[rows]))
            found.append(np.sort(np.stack([rows[which], lists[inside]]), axis=0))
        earlier, later = np.concatenate(found, axis=1)
        order = np.argsort(earlier, kind="stable")
        return earlier[order], later[order]

    def crowded(self, near: Neighbors) -> np.ndarray:
        """Rows that may have more within the limit than the graph lists, shape ``(n,)``, bool."""
        if near.indices.shape[1] == len(self) - 1:
            return np.zeros(len(self), bool)
        last = near.distances[:, -1].astype(np.float64) ** 2
        return last <= self._limit + self._slack + self._slack[near.indices[:, -1]]

    def among(self, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Whether they are within the limit, shape ``(len(rows), len(others))``."""
        lengths = (self._slack[rows, None] + self._slack[others]) / _ROUNDING
        squares = lengths - 2.0 * (self.vectors[rows] @ self.vectors[others].T)
        return self._within(rows[:, None], others[None], np.sqrt(np.maximum(squares, 0.0)))

    def _within(self, rows: np.ndarray, others: np.ndarray, distances: np.ndarray) -> np.ndarray:
        """Judges by the rounded distances where these suffice; all three broadcast."""
        over = distances.astype(np.float64) ** 2 - self._limit
        slack = self._slack[rows] + self._slack[others]
        within = over < -slack
        unsure = np.nonzero(np.abs(over) <= slack)
        left, right = (np.broadcast_to(each, over.shape)[unsure] for each in (rows, others))
        within[unsure] = squares_between(self.vectors, left, right) <= self._limit
        return within


def dropped_by(
    pairs: Pairs, earlier: np.ndarray, later: np.ndarray, crowded: np.ndarray, progress: Progress
) -> np.ndarray:
    """The kept row that drops each, -1 for kept ones, shape ``(n,)``."""
    n = len(pairs)
    by = np.full(n, KEPT, np.int64)
    starts = np.searchsorted(earlier, np.arange(n + 1))
    before = np.zeros(0, np.int64)  # crowded rows that are kept
    for start in range(0, n, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, n))
        left = rows[crowded[rows] & (by[rows] == KEPT)]
        left = _not_near(pairs, left, before, by)
        each_other = dict(zip(left.tolist(), pairs.among(left, left), strict=True))
        for row in rows[by[rows] == KEPT].tolist():
            if by[row] == KEPT:
                found = later[starts[row] : starts[row + 1]]
                if row in each_other:
                    found = np.concatenate([found, left[each_other[row] & (left > row)]])
                by[found[by[found] == KEPT]] = row
        before = np.concatenate([before, left[by[left] == KEPT]])
        progress((rows[-1] + 1) / n, f"near-duplicates, {rows[-1] + 1:,} of {n:,}")
    return by


def _not_near(pairs: Pairs, rows: np.ndarray, kept: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Those of the rows that are near none of the kept ones; notes in ``by`` what drops the
    others."""
    for start in range(0, len(kept), _ROWS):
        some = kept[start : start + _ROWS]
        hit = pairs.among(rows, some)
        near = hit.any(axis=1)
        by[rows[near]] = some[hit[near].argmax(axis=1)]
        rows = rows[~near]
    return rows


def nearest_kept(pairs: Pairs, near: Neighbors, by: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row of the nearest kept item of each, and the squared distance; itself and 0 for kept."""
    of, squares = np.arange(len(by)), np.zeros(len(by))
    dropped = np.flatnonzero(by != KEPT)
    of[dropped] = by[dropped]
    squares[dropped] = squares_between(pairs.vectors, dropped, by[dropped])
    other = _first_kept(pairs, near, by, dropped)
    apart = squares_between(pairs.vectors, dropped, other)
    nearer = apart < squares[dropped]
    of[dropped[nearer]], squares[dropped[nearer]] = other[nearer], apart[nearer]
    return of, squares


def _first_kept(pairs: Pairs, near: Neighbors, by: np.ndarray, dropped: np.ndarray) -> np.ndarray:
    """The first kept row in the list of each dropped one; where a list has none, that of all
    kept rows that have something near."""
    lists = near.indices[dropped]
    listed = by[lists] == KEPT
    found = np.take_along_axis(lists, listed.argmax(axis=1)[:, None], axis=1)[:, 0]
    hidden = ~listed.any(axis=1)
    if hidden.any():
        import faiss

        close = np.flatnonzero((by == KEPT) & pairs.crowded(near.first(1)))
        close = np.union1d(close, by[dropped[hidden]])
        kept = pairs.vectors[close]
        for rows in np.array_split(np.flatnonzero(hidden), 1 + int(hidden.sum()) // _ROWS):
            _, nearest = faiss.knn(pairs.vectors[dropped[rows]], kept, 1)
            found[rows] = close[nearest[:, 0]]
    return found

"""The items that are most unlike each other."""

import numpy as np

from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.progress import Progress, part, silent
from uvl_plugin.curation.metric import check_metric, from_squares, space_of, squares_between

_ROWS = 4096  # that are compared with picks at a time
_FRONT = 1024  # rows that may be the next pick and are brought up to date together
_LATE = 64  # picks: rows that miss more are brought up to date apart from the others
_ROUNDING = 1e-6  # of the squared lengths: what is less apart than that is equal


def farthest_first(
    vectors: np.ndarray,
    count: int,
    *,
    metric: str = "cosine",
    first: int | None = None,
    progress: Progress = silent,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picks one item after the other, each the farthest from all that are picked already.

    The farthest-first traversal of T. Gonzalez, "Clustering to minimize the maximum
    intercluster distance", Theoretical Computer Science 38, 1985, page 293: by Euclidean distance
    (for cosine of vectors of length 1) the picks are at least half as far apart as any ``count``
    items can be, and no item is more than twice as far from a pick as it must be. Of equally far
    ones the earlier row is picked, so copies of picked items come last.

    Memory grows with ``n``, time with ``n`` times ``count``; most of it is spent at the end, as
    before only items that may be the next pick are compared with all picks.

    Args:
        vectors: shape ``(n, dim)``, finite.
        count: how many to pick, at least 0; all where there are fewer.
        metric: ``"cosine"`` (a zero vector is at 0.5 from everything but zero vectors) or
            ``"euclidean"``.
        first: row of the first pick; None: the one farthest from the mean.

    Returns:
        Rows of the picks in their order, shape ``(min(count, n),)``, int64; the distance from
        each item to the nearest pick, shape ``(n,)``, float32, infinite where nothing is picked;
        and that pick's row, shape ``(n,)``, int64, -1 where nothing is picked.

    Raises:
        SettingsError: if count, metric or first cannot be.
    """
    check_metric(metric)
    n = len(vectors)
    _check(count, first, n)
    count = min(count, n)
    if count == 0:
        progress(1.0, "most unlike items")
        return np.empty(0, np.int64), np.full(n, np.inf, np.float32), np.full(n, -1)
    prepared = space_of(vectors, metric).vectors
    traversal = _Traversal(prepared, count)
    traversal.pick(traversal.farthest_from_mean() if first is None else first)
    for number in range(1, count):
        traversal.pick(traversal.farthest())
        progress(0.8 * number / count, f"most unlike items, {number + 1:,} of {count:,}")
    nearest = traversal.nearest_picks(part(progress, 0.8, 1.0))
    squares = squares_between(prepared, np.arange(n), nearest)
    return traversal.picks, from_squares(squares, metric), nearest


def _check(count: int, first: int | None, n: int) -> None:
    if count < 0:
        raise SettingsError(f"count must be at least 0, got {count}.", "count")
    if first is not None and not 0 <= first < n:
        raise SettingsError(f"first must be a row from 0 to {n - 1}, got {first}.", "first")


class _Traversal:
    """Keeps for each item a bound of its distance to the picks: that to those picks with which
    it was compared. It only falls, so the greatest bound that is up to date is the greatest
    distance.

    Attributes:
        picks: rows in their order, shape ``(count,)``, int64; filled one by one.
    """

    def __init__(self, vectors: np.ndarray, count: int):
        n = len(vectors)
        self.picks = np.empty(count, np.int64)
        self._done = 0
        self._vectors = vectors
        self._lengths = np.einsum("ij,ij->i", vectors, vectors)
        self._bounds = np.full(n, np.inf, np.float32)  # squares; -1 for picks
        self._seen = np.zeros(n, np.int64)  # picks with which it was compared
        self._nearest = np.full(n, -1, np.int64)

    def farthest_from_mean(self) -> int:
        mean = self._vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        farthest, row = -1.0, 0
        for start in range(0, len(self._vectors), _ROWS):
            apart = self._vectors[start : start + _ROWS] - mean
            squares = np.einsum("ij,ij->i", apart, apart)
            best = int(squares.argmax())
            if squares[best] > farthest:
                farthest, row = squares[best], start + best
        return row

    def pick(self, row: int) -> None:
        self.picks[self._done] = row
        self._done += 1
        self._bounds[row], self._nearest[row], self._seen[row] = -1.0, row, len(self.picks)
        if self._done == 1:
            self._compare_all()

    def farthest(self) -> int:
        """The row that is farthest from the picks, and not one itself."""
        while True:
            row = int(self._bounds.argmax())
            if self._seen[row] == self._done:
                return row
            front = self._front()
            missing = self._done - self._seen[front]
            self._compare(front[(missing > 0) & (missing <= _LATE)])
            self._compare(front[missing > _LATE])

    def nearest_picks(self, progress: Progress) -> np.ndarray:
        """Row of the nearest pick of each item, shape ``(n,)``, int64; picks have themselves."""
        self._compare_all(progress)
        return self._nearest

    def _front(self) -> np.ndarray:
        if len(self._bounds) <= _FRONT:
            return np.arange(len(self._bounds))
        return np.argpartition(self._bounds, -_FRONT)[-_FRONT:]

    def _compare_all(self, progress: Progress = silent) -> None:
        n = len(self._bounds)
        for start in range(0, n, _ROWS):
            rows = np.arange(start, min(start + _ROWS, n))
            self._compare(rows[self._seen[rows] < self._done])
            progress((rows[-1] + 1) / n, f"nearest of them, {rows[-1] + 1:,} of {n:,}")

    def _compare(self, rows: np.ndarray) -> None:
        """Compares rows with all picks that any of them misses."""
        if len(rows) == 0:
            return
        own, own_lengths = self._vectors[rows], self._lengths[rows, None]
        for start in range(int(self._seen[rows].min()), self._done, _ROWS):
            picks = self.picks[start : min(start + _ROWS, self._done)]
            lengths = own_lengths + self._lengths[picks]
            squares = lengths - 2.0 * (own @ self._vectors[picks].T)
            squares[squares <= _ROUNDING * lengths] = 0.0
            best = squares.argmin(axis=1)
            least = squares[np.arange(len(rows)), best]
            nearer = least < self._bounds[rows]
            self._bounds[rows[nearer]] = least[nearer]
            self._nearest[rows[nearer]] = picks[best[nearer]]
        self._seen[rows] = self._done

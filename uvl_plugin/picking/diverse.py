"""Items that are most unlike each other."""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.core.progress import Progress
from uvl_plugin.picking.base import Picker, Ranking, pickers
from uvl_plugin.picking.pool import Pool

_FAR = "far from all picks"


@pickers.register
@dataclass(frozen=True, kw_only=True)
class Diverse(Picker):
    """Each the farthest from all that are picked or labelled: the farthest-first traversal of
    T. Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer
    Science 38, 1985, page 293, also known as k-centre greedy. The first is the one nearest to the
    middle."""

    name, label = "diverse", "Diverse"
    description = "The most unlike each other: shows the extremes, and what is rare."

    def ranking(self, pool: Pool, progress: Progress) -> Ranking:
        return _Farthest(pool)


class _Farthest(Ranking):
    def __init__(self, pool: Pool):
        self._pool = pool
        self._rows = np.arange(len(pool))
        self._squares = pool.nearest(self._rows, np.flatnonzero(pool.given))
        middle = pool.vectors - pool.vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._first = -np.einsum("ij,ij->i", middle, middle)

    def best(self, rows: np.ndarray) -> int:
        scores = self._squares[rows]
        if np.isinf(scores[0]):  # nothing is picked or labelled yet
            scores = self._first[rows]
        return int(rows[scores.argmax()])

    def picked(self, row: int) -> None:
        squares = self._pool.nearest(self._rows, np.array([row]))
        self._squares = np.minimum(self._squares, squares)

    def reason(self, row: int, stands_for: int) -> str:
        return self._pool.of(row, f"{_FAR}, one" if self._pool.names else _FAR)

"""Items that together stand for all of them."""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.core.progress import Progress
from uvl_plugin.core.settings import setting
from uvl_plugin.picking.base import Picker, Ranking, pickers
from uvl_plugin.picking.doubt import doubts
from uvl_plugin.picking.pool import Pool, blocks

_FRONT = 256  # items whose gain is brought up to date together
_PICKED = -1.0


@pickers.register
@dataclass(frozen=True, kw_only=True)
class Coverage(Picker):
    """Each pick brings the items as much nearer to a labelled or picked one as one item can.

    The greedy algorithm for the facility location problem (G. Nemhauser, L. Wolsey, M. Fisher,
    "An analysis of approximations for maximizing submodular set functions", Mathematical
    Programming 14, 1978, page 265): what is gained is at least 63 % of what is possible. The sum
    of the distances to the nearest pick has no scale to choose, unlike the coverage by balls or
    kernels of O. Yehuda et al., "Active Learning Through a Covering Lens", NeurIPS 2022, and
    W. Bae et al., "Generalized Coverage for More Robust Low-Budget Active Learning", ECCV 2024.

    Where labels are known, an item counts by how much they leave it in doubt, as in W. Bae et al.,
    "Uncertainty Herding", ICLR 2025; see :func:`~uvl_plugin.picking.doubt.doubts`.
    """

    name, label = "coverage", "Coverage"
    description = "What stands for the most others; the best start, and the best next step."

    doubt: bool = setting(
        True,
        label="Prefer what is in doubt",
        help="Where labels are known: count items by how much these leave them in doubt.",
    )
    references: int = setting(
        4096,
        ge=100,
        le=100_000,
        help="How many items stand for all in the sums, drawn at random; time and memory grow "
        "with it.",
    )

    def ranking(self, pool: Pool, progress: Progress) -> Ranking:
        weights = pool.weights * doubts(pool) if self.doubt else pool.weights
        rows = np.arange(len(pool))
        if len(pool) > self.references:
            rows = np.random.default_rng(pool.seed).permutation(len(pool))[: self.references]
        return _Facilities(pool, np.sort(rows), weights.astype(np.float32), progress)


class _Facilities(Ranking):
    """Gains only fall with each pick, so an item whose old gain is below the new one of another
    need not be looked at: M. Minoux, "Accelerated greedy algorithms for maximizing submodular set
    functions", Optimization Techniques, 1978, page 234."""

    def __init__(self, pool: Pool, references: np.ndarray, weights: np.ndarray, report: Progress):
        self._pool = pool
        self._references = references
        self._weights = weights[references]
        far = 2.0 * np.sqrt(np.einsum("ij,ij->i", pool.vectors, pool.vectors).max(initial=0.0))
        nearest = np.sqrt(pool.nearest(references, np.flatnonzero(pool.given)))
        self._apart = np.minimum(nearest, far)  # of the references to the nearest pick
        self._gains = np.zeros(len(pool), np.float32)
        self._seen = np.zeros(len(pool), np.int64)
        self._n_picked = 0
        for start, stop in blocks(len(pool), len(references)):
            self._look(np.arange(start, stop))
            report(stop / len(pool), f"coverage, {stop:,} of {len(pool):,}")

    def best(self, rows: np.ndarray) -> int:
        while True:
            gains = self._gains[rows]
            first = int(rows[gains.argmax()])
            if self._seen[first] == self._n_picked:
                return first
            front = rows
            if len(rows) > _FRONT:
                front = rows[np.argpartition(gains, -_FRONT)[-_FRONT:]]
            self._look(front[self._seen[front] < self._n_picked])

    def picked(self, row: int) -> None:
        apart = np.sqrt(self._pool.nearest(self._references, np.array([row])))
        self._apart = np.minimum(self._apart, apart)
        self._n_picked += 1
        self._gains[row], self._seen[row] = _PICKED, np.iinfo(np.int64).max

    def reason(self, row: int, stands_for: int) -> str:
        said = f"stands for {stands_for:,} items" if stands_for > 1 else "stands for itself"
        return self._pool.of(row, f"{said}, one") if self._pool.names else said

    def _look(self, rows: np.ndarray) -> None:
        """Brings the gains of some rows up to date."""
        for start, stop in blocks(len(rows), len(self._references)):
            some = rows[start:stop]
            apart = np.sqrt(self._pool.squares(some, self._references))
            self._gains[some] = np.maximum(self._apart - apart, 0.0) @ self._weights
        self._seen[rows] = self._n_picked

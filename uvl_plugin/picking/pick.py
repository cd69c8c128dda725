"""Picks items one by one: quotas, what is labelled already, copies, gaps in time."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from uvl_plugin.core.embeddings import NOISE
from uvl_plugin.core.progress import Progress, part, silent
from uvl_plugin.picking.base import Picker
from uvl_plugin.picking.gaps import Gaps
from uvl_plugin.picking.pool import Pool, blocks
from uvl_plugin.picking.quotas import shared_out, shares

_PACE = 10  # picks between two messages


@dataclass(frozen=True, eq=False)
class Rules:
    """What may not be picked, and how many of what.

    Attributes:
        quotas: one of :data:`~uvl_plugin.picking.quotas.QUOTAS`.
        strengths: 0 to 1, shape ``(n,)``: how firmly each item belongs to its cluster.
        copies: shape ``(n,)``, int64: items with the same number are nearly the same, and at
            most one of them is picked; none where one of them is given. None: no copies.
        gaps: least times between frames of a video; None: none.
    """

    quotas: str = "free"
    strengths: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    copies: np.ndarray | None = None
    gaps: Gaps | None = None


@dataclass(frozen=True)
class Picks:
    """What was picked.

    Attributes:
        rows: the best first, shape ``(m,)``, int64.
        reasons: why, in the same order.
    """

    rows: np.ndarray
    reasons: Sequence[str]


def pick(
    pool: Pool,
    picker: Picker,
    budget: int,
    rules: Rules,
    progress: Progress = silent,
) -> Picks:
    """Picks ``budget`` items, or as many as there are.

    At each step the cluster that has the least of its quota so far gives its best item, so every
    beginning of the picks is a good choice by itself.

    Args:
        pool: what is picked from.
        picker: says which item is the best.
        budget: at least 0.
    """
    choice = _Choice(pool, rules)
    if budget == 0 or not choice.open.any():
        progress(1.0, "nothing to pick")
        return Picks(np.zeros(0, np.int64), ())
    ranking = picker.ranking(pool, part(progress, 0.0, 0.6))
    rows: list[int] = []
    while len(rows) < budget and choice.open.any():
        row = ranking.best(choice.rows(budget - len(rows)))
        ranking.picked(row)
        choice.take(row)
        rows.append(row)
        if len(rows) % _PACE == 0:
            progress(0.6 + 0.3 * len(rows) / budget, f"picks, {len(rows):,} of {budget:,}")
    picked = np.array(rows, np.int64)
    counts = _stand_for(pool, picked, part(progress, 0.9, 1.0))
    said = [ranking.reason(*pair) for pair in zip(rows, counts.tolist(), strict=True)]
    return Picks(picked, said)


class _Choice:
    """What can still be picked, and of which group the next one should be.

    Attributes:
        open: shape ``(n,)``, bool.
    """

    def __init__(self, pool: Pool, rules: Rules):
        self._rules = rules
        self._groups = np.zeros(len(pool), np.int64)
        if rules.quotas != "free":
            last = pool.labels.max(initial=NOISE) + 1  # noise is a group like others, but the last
            grouped = np.where(pool.labels == NOISE, last, pool.labels)
            self._groups = np.unique(grouped, return_inverse=True)[1]
        strengths = rules.strengths if len(rules.strengths) else np.ones(len(pool), np.float32)
        self._shares = shares(rules.quotas, self._groups, strengths)
        self._had = np.bincount(self._groups[pool.given], minlength=len(self._shares))
        self._taken = np.zeros(len(self._shares), np.int64)
        self._quotas: np.ndarray | None = None
        self.open = ~pool.given
        if rules.copies is not None:
            self.open &= ~np.isin(rules.copies, rules.copies[pool.given])
        if rules.gaps is not None:
            for row in np.flatnonzero(pool.given).tolist():
                self.open[rules.gaps.around(row)] = False

    def rows(self, budget: int) -> np.ndarray:
        """Rows of the group whose turn it is, at least one; ``budget`` are still to be picked."""
        if len(self._shares) == 1:
            return np.flatnonzero(self.open)
        while True:
            if self._quotas is None:
                room = np.bincount(self._groups[self.open], minlength=len(self._shares))
                more = shared_out(budget, self._shares, self._had + self._taken, room)
                self._quotas = self._taken + more
            behind = np.where(
                self._taken < self._quotas,
                (self._taken + 0.5) / np.maximum(self._quotas, 1),
                np.inf,
            )
            rows = np.flatnonzero(self.open & (self._groups == behind.argmin()))
            if len(rows) and np.isfinite(behind).any():
                return rows
            self._quotas = None  # it has fewer than was thought: the others get its rest

    def take(self, row: int) -> None:
        """Takes note of a pick."""
        self._taken[self._groups[row]] += 1
        self.open[row] = False
        if self._rules.copies is not None:
            self.open &= self._rules.copies != self._rules.copies[row]
        if self._rules.gaps is not None:
            self.open[self._rules.gaps.around(row)] = False


def _stand_for(pool: Pool, picked: np.ndarray, progress: Progress) -> np.ndarray:
    """How many items have no labelled or other picked item as near, ``(m,)``."""
    others = np.concatenate([picked, np.flatnonzero(pool.given)])
    counts = np.zeros(len(others), np.int64)
    rows = np.arange(len(pool))
    for start, stop in blocks(len(pool), len(others)):
        nearest = pool.squares(rows[start:stop], others).argmin(axis=1)
        counts += np.bincount(nearest, minlength=len(others))
        progress(stop / len(pool), "what the picks stand for")
    return np.maximum(counts[: len(picked)], 1)

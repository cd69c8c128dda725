"""Clusters that can be edited: the raw result, and what edits have made of it.

A cluster is known by a whole number that never changes its meaning: the raw clusters have 0 to
k - 1, a new one gets the next number that was never used.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from uvl_plugin.core.embeddings import NOISE
from uvl_plugin.core.errors import DataError

Named = Callable[[int], str]  # what a new cluster is called, by its number


@dataclass(frozen=True, eq=False)
class RawClusters:
    """What the algorithm found, before any edit.

    Attributes:
        ids: shape ``(n,)``, unique, strings.
        labels: shape ``(n,)``, int64: cluster of each item, noise -1.
        names: of clusters 0, 1, ...
        leaves: shape ``(n,)``: fine cluster of each item, noise -1; needed to cut anew.
        next_number: from which new clusters count, at least the number of names.
    """

    ids: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    leaves: np.ndarray | None = None
    next_number: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", np.asarray(self.ids, dtype=str))
        object.__setattr__(self, "labels", np.asarray(self.labels, np.int64))
        object.__setattr__(self, "names", tuple(self.names))
        if self.ids.shape != self.labels.shape:
            raise DataError(f"{len(self.ids)} ids have {len(self.labels)} labels.")
        if self.labels.max(initial=NOISE) >= len(self.names):
            raise DataError(f"Cluster {self.labels.max()} has no name; {len(self.names)} have one.")

    def rows(self, items: np.ndarray) -> np.ndarray:
        """Where these items are, shape ``(m,)``.

        Raises:
            DataError: if one of them is not in the run.
        """
        if len(self.ids) == 0 and len(items):
            raise DataError("The run has no items.")
        places = np.searchsorted(self.ids, items, sorter=self._order)
        rows = self._order[np.minimum(places, len(self.ids) - 1)]
        missing = self.ids[rows] != items
        if missing.any():
            raise DataError(
                f"{missing.sum()} of {len(items)} items are not in this run, the first is "
                f"{items[missing][0]}; assign them to its clusters first."
            )
        return rows

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(self.ids, kind="stable")


@dataclass(frozen=True, eq=False)
class Edited:
    """Clusters after some edits.

    Attributes:
        raw: what was edited.
        labels: shape ``(n,)``, int64: number of each item's cluster, noise -1; the numbers
            may have gaps.
        names: of the clusters that have items, by number, in the order of the numbers.
        next_number: of the next new cluster; it and those above were never used.
        named: what a new cluster is called, another name for each number.
        steps: each edit in words, with the names of its time.
    """

    raw: RawClusters
    labels: np.ndarray
    names: Mapping[int, str]
    next_number: int
    named: Named
    steps: tuple[str, ...] = ()

    @classmethod
    def of(cls, raw: RawClusters, named: Named | None = None) -> "Edited":
        """The raw clusters, not yet edited; without ``named`` new ones are "cluster 07"."""
        names = dict(enumerate(raw.names))
        first = max(len(names), raw.next_number)
        start = cls(raw, raw.labels, names, first, named or "cluster {:02d}".format)
        return start.changed(raw.labels)

    @property
    def sizes(self) -> dict[int, int]:
        """Items by cluster number, noise not counted."""
        counts = np.bincount(self.labels + 1)  # noise at 0
        return {number: int(counts[number + 1]) for number in self.names}

    def members(self, cluster: int) -> np.ndarray:
        """Rows of the items of a cluster.

        Raises:
            DataError: if there is no such cluster.
        """
        self.check(cluster)
        return np.flatnonzero(self.labels == cluster)

    def check(self, *clusters: int) -> None:
        """Raises :class:`DataError` if one of ``clusters`` does not exist (any more)."""
        for cluster in clusters:
            if cluster not in self.names:
                known = ", ".join(str(number) for number in list(self.names)[:10])
                more = ", ..." if len(self.names) > 10 else ""
                raise DataError(f"There is no cluster {cluster}. Known: {known}{more}.")

    def changed(
        self, labels: np.ndarray, names: Mapping[int, str] | None = None, next_number: int = 0
    ) -> "Edited":
        """With other labels and further names; a cluster without items loses its name."""
        known = {**self.names, **(names or {})}
        alive = np.flatnonzero(np.bincount(labels + 1)[1:]).tolist()
        return dataclasses.replace(
            self,
            labels=labels,
            names={number: known[number] for number in alive},
            next_number=max(self.next_number, next_number),
        )

    def renumbered(self, rows: np.ndarray, parts: np.ndarray, kept: Mapping[int, int]) -> "Edited":
        """With other clusters for some items.

        Args:
            rows: of the items, shape ``(m,)``.
            parts: which of them go together, shape ``(m,)``, whole numbers, noise -1.
            kept: numbers that parts get; the others get new ones, in the order of the parts.
        """
        present, inverse = np.unique(parts, return_inverse=True)
        fresh, names, numbers = self.fresh(), {}, []
        for part in present.tolist():
            number = NOISE if part == NOISE else kept.get(part)
            if number is None:
                number, names[number] = next(fresh)
            numbers.append(number)
        labels = self.labels.copy()
        labels[rows] = np.array(numbers, np.int64)[inverse]
        return self.changed(labels, names, max(names, default=NOISE) + 1)

    def fresh(self) -> Iterator[tuple[int, str]]:
        """New clusters: numbers that were never used, with names that no cluster was given."""
        taken = set(self.names.values())
        for number in itertools.count(self.next_number):
            name = self.named(number)
            if name not in taken:
                yield number, name

"""What a person can do to clusters, one class a verb; each is a step that can be undone."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from uvl_plugin.core.embeddings import NOISE, is_noise_name
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.tree import Tree
from uvl_plugin.curation.edited import Edited
from uvl_plugin.curation.identity import matched

_NOTHING: Mapping[str, np.ndarray] = MappingProxyType({})


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass(frozen=True, kw_only=True, eq=False)
class Edit(ABC):
    """One step. What it needs beside numbers and names are arrays, kept apart from its JSON.

    Attributes:
        when: time, ISO 8601, UTC.
        who: who did it; may be empty.
    """

    verb: ClassVar[str]

    when: str = field(default_factory=_now)
    who: str = ""

    @abstractmethod
    def apply(self, edited: Edited) -> Edited:
        """The clusters after this step.

        Raises:
            DataError: if the step is not possible with these clusters.
        """

    @abstractmethod
    def said(self, names: Mapping[int, str]) -> str:
        """The step in words, with the names of the clusters before it."""

    def to_dict(self) -> dict[str, Any]:
        """All but the arrays, as JSON types."""
        return {"verb": self.verb} | {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self._values().items()
            if not isinstance(value, np.ndarray)
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name; most edits have none."""
        values = self._values()
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    def _values(self) -> dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}

    @staticmethod
    def from_dict(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray] = _NOTHING) -> "Edit":
        """The edit that :meth:`to_dict` and :meth:`arrays` gave.

        Raises:
            DataError: if there is no such verb.
        """
        verb = values["verb"]
        if verb not in VERBS:
            raise DataError(f"There is no edit '{verb}'. Known: {', '.join(VERBS)}.")
        rest = {name: value for name, value in values.items() if name != "verb"}
        return VERBS[verb](**rest, **arrays)


@dataclass(frozen=True, eq=False)
class Rename(Edit):
    """Calls a cluster something else."""

    verb = "rename"
    cluster: int
    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name.strip())

    def apply(self, edited: Edited) -> Edited:
        edited.check(self.cluster)
        if not self.name:
            raise DataError("A cluster needs a name that is not empty.", "name")
        if is_noise_name(self.name):
            raise DataError(
                f"'{self.name}' ends with the word that marks items in no cluster; choose another "
                "name.",
                "name",
            )
        owner = next((key for key, name in edited.names.items() if name == self.name), None)
        if owner is not None:
            raise DataError(
                f"'{self.name}' is the name of cluster {owner} already; choose another, or merge "
                "the two.",
                "name",
            )
        return edited.changed(edited.labels, {self.cluster: self.name})

    def said(self, names: Mapping[int, str]) -> str:
        return f"renamed {names[self.cluster]} to {self.name}"


@dataclass(frozen=True, eq=False)
class Merge(Edit):
    """Makes one of two or more clusters; the first of them keeps its number and name."""

    verb = "merge"
    clusters: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "clusters", tuple(self.clusters))

    def apply(self, edited: Edited) -> Edited:
        edited.check(*self.clusters)
        if len(set(self.clusters)) < 2:
            raise DataError(
                f"A merge needs at least two different clusters, got {len(set(self.clusters))}."
            )
        joined = np.isin(edited.labels, self.clusters)
        return edited.changed(np.where(joined, self.clusters[0], edited.labels))

    def said(self, names: Mapping[int, str]) -> str:
        others = dict.fromkeys(names[cluster] for cluster in self.clusters[1:])
        return f"merged {', '.join(others)} into {names[self.clusters[0]]}"


@dataclass(frozen=True, eq=False)
class Split(Edit):
    """Takes a cluster apart; the largest part keeps its number and name.

    Attributes:
        items: ids of all its members, shape ``(m,)``.
        parts: part of each, shape ``(m,)``, whole numbers, noise -1.
    """

    verb = "split"
    cluster: int
    items: np.ndarray
    parts: np.ndarray

    def __post_init__(self) -> None:
        _set_items(self, self.items, self.parts)

    def apply(self, edited: Edited) -> Edited:
        members, rows = edited.members(self.cluster), edited.raw.rows(self.items)
        if not np.array_equal(members, np.sort(rows)):
            raise DataError(
                f"A split needs exactly the {len(members)} members of cluster {self.cluster}, got "
                f"{np.sum(edited.labels[rows] == self.cluster)} of them and "
                f"{np.sum(edited.labels[rows] != self.cluster)} other items."
            )
        parts, counts = np.unique(self.parts[self.parts != NOISE], return_counts=True)
        if len(np.unique(self.parts)) < 2:
            raise DataError(f"The split leaves cluster {self.cluster} in one piece.")
        largest = int(parts[counts.argmax()])
        return edited.renumbered(rows, self.parts, {largest: self.cluster})

    def said(self, names: Mapping[int, str]) -> str:
        return f"split {names[self.cluster]} into {_n_parts(self.parts)}"


@dataclass(frozen=True, eq=False)
class Recluster(Edit):
    """Makes new clusters of a selection, wherever its items were.

    Attributes:
        items: ids, shape ``(m,)``.
        parts: new cluster of each, shape ``(m,)``, whole numbers, noise -1.
    """

    verb = "recluster"
    items: np.ndarray
    parts: np.ndarray

    def __post_init__(self) -> None:
        _set_items(self, self.items, self.parts)

    def apply(self, edited: Edited) -> Edited:
        return edited.renumbered(edited.raw.rows(self.items), self.parts, {})

    def said(self, names: Mapping[int, str]) -> str:
        return f"re-clustered {_n_items(self.items)} into {_n_parts(self.parts)}"


@dataclass(frozen=True, eq=False)
class Move(Edit):
    """Moves items to a cluster that exists, or with -1 to the noise.

    Attributes:
        items: ids, shape ``(m,)``.
    """

    verb = "move"
    items: np.ndarray
    cluster: int

    def __post_init__(self) -> None:
        _set_items(self, self.items)

    def apply(self, edited: Edited) -> Edited:
        rows = edited.raw.rows(self.items)
        if self.cluster != NOISE:
            edited.check(self.cluster)
        labels = edited.labels.copy()
        labels[rows] = self.cluster
        return edited.changed(labels)

    def said(self, names: Mapping[int, str]) -> str:
        where = "noise" if self.cluster == NOISE else names[self.cluster]
        return f"moved {_n_items(self.items)} to {where}"


@dataclass(frozen=True, eq=False)
class Dissolve(Edit):
    """Makes noise of a cluster."""

    verb = "dissolve"
    cluster: int

    def apply(self, edited: Edited) -> Edited:
        labels = edited.labels.copy()
        labels[edited.members(self.cluster)] = NOISE
        return edited.changed(labels)

    def said(self, names: Mapping[int, str]) -> str:
        return f"dissolved {names[self.cluster]}"


@dataclass(frozen=True, eq=False)
class Recut(Edit):
    """Cuts the tree at another number of clusters; this replaces all labels.

    A cluster that shares more than half of its items with one that was there keeps that one's
    number and name (:func:`~uvl_plugin.curation.identity.matched`).

    Attributes:
        n_clusters: that were asked for.
        cut: cluster of each leaf, shape ``(leaves,)``, whole numbers from 0.
    """

    verb = "recut"
    n_clusters: int
    cut: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "cut", np.asarray(self.cut, np.int64))

    @classmethod
    def of(cls, tree: Tree, n_clusters: int, who: str = "") -> "Recut":
        """A cut of the run's tree."""
        return cls(n_clusters, tree.cut(n_clusters), who=who)

    def apply(self, edited: Edited) -> Edited:
        leaves = edited.raw.leaves
        if leaves is None or leaves.max(initial=NOISE) >= len(self.cut):
            raise DataError("The run has no tree, or another one, so it cannot be cut anew.")
        parts = np.append(self.cut, NOISE)[leaves]
        kept = matched(edited.labels, parts)
        return edited.renumbered(np.arange(len(parts)), parts, kept)

    def said(self, names: Mapping[int, str]) -> str:
        return f"cut the tree at {_many(self.n_clusters, 'cluster')}"


@dataclass(frozen=True, eq=False)
class Assign(Edit):
    """Puts items that came later into clusters that exist.

    Attributes:
        items: ids, shape ``(m,)``.
        clusters: number of the cluster of each, shape ``(m,)``, noise -1.
    """

    verb = "assign"
    items: np.ndarray
    clusters: np.ndarray

    def __post_init__(self) -> None:
        _set_items(self, self.items)
        object.__setattr__(self, "clusters", np.asarray(self.clusters, np.int64))

    def apply(self, edited: Edited) -> Edited:
        edited.check(*np.unique(self.clusters[self.clusters != NOISE]).tolist())
        labels = edited.labels.copy()
        labels[edited.raw.rows(self.items)] = self.clusters
        return edited.changed(labels)

    def said(self, names: Mapping[int, str]) -> str:
        return f"assigned {_n_items(self.items)}"


VERBS: dict[str, Callable[..., Edit]] = {
    edit.verb: edit for edit in (Rename, Merge, Split, Recluster, Move, Dissolve, Recut, Assign)
}


def _set_items(edit: Edit, items: Iterable, parts: Iterable | None = None) -> None:
    """Sets both as arrays, checked for what can be seen without the run."""
    ids = np.asarray(items, dtype=str)
    object.__setattr__(edit, "items", ids)
    if ids.ndim != 1 or not len(ids) or len(np.unique(ids)) != len(ids):
        raise DataError(f"To {edit.verb} items, name at least one, and each once.", "items")
    if parts is None:
        return
    numbers = np.asarray(parts, np.int64)
    object.__setattr__(edit, "parts", numbers)
    if numbers.shape != ids.shape or numbers.min() < NOISE:
        raise DataError(
            f"To {edit.verb} {len(ids)} items, give each the number of its part, from 0, or -1 "
            "for noise.",
            "parts",
        )


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def _n_items(items: np.ndarray) -> str:
    return _many(len(items), "item")


def _n_parts(parts: np.ndarray) -> str:
    return _many(len(np.unique(parts[parts != NOISE])), "cluster")

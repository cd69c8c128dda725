"""A tree over clusters: which join first, so that they can be cut at any number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from uvl_plugin.core.errors import DataError


@dataclass(frozen=True)
class Tree:
    """How ``m`` leaves join, two at a time, until one is left.

    Attributes:
        merges: shape ``(m - 1, 2)``, int64; numbers below ``m`` are leaves, ``m + i`` is what
            step ``i`` made, as in ``scipy.cluster.hierarchy.linkage``.
        heights: shape ``(m - 1,)``, float64, never falling: how far apart what is joined was.

    Raises:
        DataError: if it is not a tree, or a height falls.
    """

    merges: np.ndarray
    heights: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "merges", np.asarray(self.merges, np.int64).reshape(-1, 2))
        object.__setattr__(self, "heights", np.asarray(self.heights, np.float64))
        steps = len(self.merges)
        made = self.merges < self.n_leaves + np.arange(steps)[:, None]
        once = len(np.unique(self.merges)) == 2 * steps
        if self.heights.shape != (steps,) or not (made & (self.merges >= 0)).all() or not once:
            raise DataError("This is no tree: each leaf and each join must be joined once.")
        if not (np.diff(self.heights) >= 0).all() or not np.isfinite(self.heights).all():
            raise DataError("The heights of a tree must be numbers that do not fall.")

    @property
    def n_leaves(self) -> int:
        """How many leaves it has: one more than it has joins."""
        return len(self.merges) + 1

    def cut(self, n_clusters: int) -> np.ndarray:
        """Which of ``n_clusters`` each leaf belongs to, shape ``(m,)``, int64.

        Clusters are numbered by their first leaf. More clusters than leaves are as many as leaves.

        Raises:
            DataError: if ``n_clusters`` is below 1.
        """
        if n_clusters < 1:
            raise DataError(f"A tree can be cut into 1 cluster or more, got {n_clusters}.")
        joined = self.n_leaves - min(n_clusters, self.n_leaves)
        root = np.arange(self.n_leaves + joined)
        for step in range(joined - 1, -1, -1):  # from the top, so that a root is known
            root[self.merges[step]] = root[self.n_leaves + step]
        _, first, inverse = np.unique(root[: self.n_leaves], return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[inverse]

    def renumbered(self, leaves: np.ndarray) -> "Tree":
        """The same tree with leaf ``i`` called ``leaves[i]``, a permutation of shape ``(m,)``."""
        names = np.concatenate([leaves, np.arange(self.n_leaves, 2 * self.n_leaves - 1)])
        return Tree(names[self.merges], self.heights)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {"merges": self.merges.tolist(), "heights": self.heights.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Tree":
        """The tree that :meth:`to_dict` gave."""
        return cls(values["merges"], values["heights"])


def joined(inner: Sequence[Tree], top: Tree) -> Tree:
    """One tree: the leaves of ``top`` grow into the trees of ``inner``.

    All joins of the inner trees come before those of ``top``, so cutting it into ``len(inner)``
    clusters gives the inner trees; a height of ``top`` below theirs is lifted to them.

    Args:
        inner: trees whose leaves are numbered one tree after the other.
        top: its leaf ``i`` is ``inner[i]``.

    Raises:
        DataError: if ``top`` has not a leaf for each.
    """
    if len(inner) != top.n_leaves:
        raise DataError(f"{len(inner)} trees cannot be joined by {top.n_leaves} leaves.")
    starts = np.cumsum([0, *(tree.n_leaves for tree in inner)])
    numbers = [list(range(a, b)) for a, b in pairwise(starts.tolist())]  # in the whole tree
    steps = [
        (tree.heights[i], n, i) for n, tree in enumerate(inner) for i in range(len(tree.merges))
    ]
    merges, heights = [], []
    for height, owner, step in sorted(steps):  # those of one tree stay in their order
        merges.append([numbers[owner][node] for node in inner[owner].merges[step]])
        heights.append(height)
        numbers[owner].append(starts[-1] + len(merges) - 1)
    first = starts[-1] + len(merges)
    above = np.array([*(own[-1] for own in numbers), *range(first, first + len(top.merges))])
    merges.extend(above[top.merges].tolist())
    return Tree(np.array(merges), np.maximum.accumulate([*heights, *top.heights]))

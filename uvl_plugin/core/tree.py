"""A tree over clusters: which join first, so that they can be cut at any number."""

from dataclasses import dataclass

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
        if (np.diff(self.heights) < 0).any():
            raise DataError("The heights of a tree must not fall.")

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

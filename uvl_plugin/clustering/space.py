"""Prepared vectors, and the neighbour graph that is computed of them once."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from uvl_plugin.clustering.neighbors import Neighbors, nearest_neighbors
from uvl_plugin.core.progress import Progress, silent
from uvl_plugin.core.tree import Tree


class Space:
    """What an algorithm works on.

    Args:
        vectors: prepared, shape ``(n, dim)``, float32, ``n`` at least 1.
    """

    def __init__(self, vectors: np.ndarray):
        self.vectors = vectors
        self._neighbors: Neighbors | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dim(self) -> int:
        """Length of each vector."""
        return self.vectors.shape[1]

    def neighbors(self, k: int, progress: Progress = silent) -> Neighbors:
        """The ``k`` nearest neighbours of each item, at most ``n - 1``; computed when first asked
        for, and again only if more are asked for than before."""
        k = min(k, len(self) - 1)
        if self._neighbors is None or self._neighbors.indices.shape[1] < k:
            self._neighbors = nearest_neighbors(self.vectors, k, progress)
        return self._neighbors.first(k)


@dataclass(frozen=True)
class Hierarchy:
    """A hierarchy that an algorithm found by itself.

    Attributes:
        leaves: leaf of each item, shape ``(n,)``, int64, noise -1; every leaf has an item.
        tree: how the leaves join; the found clusters are one of its cuts.
    """

    leaves: np.ndarray
    tree: Tree


@dataclass(frozen=True)
class Grouping:
    """What an algorithm found.

    Attributes:
        labels: cluster number of each item, shape ``(n,)``, any whole numbers, noise -1.
        strengths: shape ``(n,)``, 0 to 1; None where the algorithm has none of its own: then
            they come from the distances to the centroids.
        hierarchy: None where the algorithm has none of its own: then one is built.
        report: what the algorithm says about its work, JSON types, kept in the run record.
    """

    labels: np.ndarray
    strengths: np.ndarray | None = None
    hierarchy: Hierarchy | None = None
    report: dict[str, Any] = field(default_factory=dict)

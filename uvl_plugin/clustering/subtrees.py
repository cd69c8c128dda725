"""The parts of a hierarchy that lie above and below found clusters."""

import heapq

import numpy as np

from uvl_plugin.clustering.space import Hierarchy
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.tree import Tree

_MIXED = -2  # more than one cluster


class Subtrees:
    """A hierarchy, seen from the clusters that are some of its nodes.

    Nodes are numbered as in :class:`~uvl_plugin.core.tree.Tree`: leaves, then joins.

    Args:
        hierarchy: of ``n`` items.
        labels: cluster of each, shape ``(n,)``, 0 to k - 1, noise -1.

    Raises:
        DataError: if a cluster is not all that lies below one node.
    """

    def __init__(self, hierarchy: Hierarchy, labels: np.ndarray):
        self._tree = hierarchy.tree
        self._m = self._tree.n_leaves
        self._leaves = hierarchy.leaves
        inside = labels >= 0
        leaves, own = hierarchy.leaves[inside], labels[inside]
        self._n_clusters = int(own.max()) + 1
        of_leaf = np.full(self._m, _MIXED)
        of_leaf[leaves] = own
        if (leaves < 0).any() or (of_leaf[leaves] != own).any():
            raise DataError("A leaf of the hierarchy is not all in one cluster.")
        self._clusters, self._sizes = self._climb(of_leaf, np.bincount(leaves, minlength=self._m))
        self.roots = self._roots()

    def _climb(self, of_leaf: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cluster, or several, and number of items of every node."""
        clusters, sizes = of_leaf.tolist(), counts.tolist()
        for one, two in self._tree.merges.tolist():
            clusters.append(clusters[one] if clusters[one] == clusters[two] else _MIXED)
            sizes.append(sizes[one] + sizes[two])
        return np.array(clusters), np.array(sizes)

    def _roots(self) -> np.ndarray:
        """The node that is each cluster, shape ``(k,)``."""
        above = np.full(len(self._clusters), _MIXED)
        above[self._tree.merges] = self._clusters[self._m :, None]
        nodes = np.flatnonzero((self._clusters != _MIXED) & (above == _MIXED))
        if sorted(self._clusters[nodes]) != list(range(self._n_clusters)):
            raise DataError("A cluster is not one branch of the hierarchy.")
        return nodes[np.argsort(self._clusters[nodes])]

    @property
    def are_finer(self) -> bool:
        """Whether there are more leaves than clusters."""
        return self._m > self._n_clusters

    @property
    def above(self) -> Tree:
        """How the clusters join; its leaves are their numbers."""
        mixed = self._clusters[self._m :] == _MIXED
        names = np.empty(len(self._clusters), np.int64)
        names[self.roots] = np.arange(self._n_clusters)
        names[self._m + np.flatnonzero(mixed)] = self._n_clusters + np.arange(mixed.sum())
        return Tree(names[self._tree.merges[mixed]], self._tree.heights[mixed])

    def below(self, cluster: int, wanted: int, smallest: int) -> tuple[np.ndarray, Tree]:
        """Takes a cluster apart along its branch, the highest joins first.

        A join is undone where both sides have enough items; below a join that is kept for want
        of items on one side, the search goes on in the other, as in the condensed tree of
        HDBSCAN (R. Campello, D. Moulavi, J. Sander, PAKDD 2013, page 160).

        Args:
            wanted: how many parts at most.
            smallest: items that a part has at least.

        Returns:
            The nodes that are the parts, shape ``(parts,)``, and how they join. Items between
            a node that was taken apart and the join that was undone are in no part.
        """
        parts = [int(self.roots[cluster])]
        waiting: list[tuple[int, int]] = []  # joins that can be undone, highest first
        undone: dict[int, int] = {}  # the join of each node that was taken apart

        def look_below(node: int) -> None:
            join = self._real_join(node, smallest)
            if join is not None:
                heapq.heappush(waiting, (-join, node))

        look_below(parts[0])
        while waiting and len(parts) < wanted:
            join, node = heapq.heappop(waiting)
            undone[-join] = node
            parts.remove(node)
            for child in self._tree.merges[-join - self._m].tolist():
                parts.append(child)
                look_below(child)
        return np.array(parts), self._rejoined(parts, undone)

    def _real_join(self, node: int, smallest: int) -> int | None:
        """The first join at or below a node whose both sides have enough items."""
        while node >= self._m:
            small, large = sorted(
                self._tree.merges[node - self._m].tolist(), key=self._sizes.__getitem__
            )
            if self._sizes[small] >= smallest:
                return node
            node = large
        return None

    def _rejoined(self, parts: list[int], undone: dict[int, int]) -> Tree:
        names = {node: number for number, node in enumerate(parts)}
        merges, heights = [], []
        for join in sorted(undone):
            one, two = self._tree.merges[join - self._m].tolist()
            merges.append((names[one], names[two]))
            heights.append(self._tree.heights[join - self._m])
            names[undone[join]] = len(parts) + len(merges) - 1
        return Tree(np.array(merges, np.int64), np.array(heights))

    def parts(self, nodes: np.ndarray) -> np.ndarray:
        """Which of ``nodes`` each item lies below, shape ``(n,)``, int64; -1: none."""
        owner = np.full(len(self._clusters), -1).tolist()
        for number, node in enumerate(nodes.tolist()):
            owner[node] = number
        for step in range(len(self._tree.merges) - 1, -1, -1):
            if owner[self._m + step] >= 0:
                one, two = self._tree.merges[step].tolist()
                owner[one] = owner[two] = owner[self._m + step]
        of_leaf = np.append(owner[: self._m], -1)  # the last is noise's
        return of_leaf[self._leaves]

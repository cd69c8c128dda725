"""HDBSCAN: dense groups of any shape; items in no group are noise."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.clustering.base import Clusterer, clusterers
from uvl_plugin.clustering.graph import bridges, neighbor_graph, with_edges
from uvl_plugin.clustering.space import Grouping, Space
from uvl_plugin.core.progress import Progress, part
from uvl_plugin.core.settings import setting

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_MOST = 5_000  # items between which all distances are computed
_FEWEST, _DENSEST = 30, 100  # neighbours in the graph of more items
_LEAST = 1e-12  # distance of items that are the same: 0 would be no edge


@clusterers.register
@dataclass(frozen=True, kw_only=True)
class HDBSCAN(Clusterer):
    """scikit-learn's HDBSCAN; it finds the number of clusters by itself.

    All distances take time that grows with the square of the items. Over 5,000 only those to
    the nearest neighbours of each (30, or ``min_samples``) and some between parts that these do
    not join are used: the spanning tree is nearly the same, because its edges are
    short. A point's density is then that of at most 100 neighbours.

    Source: R. Campello, D. Moulavi, J. Sander, "Density-Based Clustering Based on
    Hierarchical Density Estimates", PAKDD 2013, page 160.
    """

    name, label = "hdbscan", "HDBSCAN"
    description = "Dense groups of any shape, their number found; the rest is noise."
    round = False

    min_cluster_size: int = setting(10, ge=2, help="Smallest group that is a cluster.")
    min_samples: int | None = setting(
        None,
        ge=1,
        help="Neighbours that make a point dense; empty: as min_cluster_size. At most 100 where "
        "there are over 5,000 items.",
    )
    selection: str = setting(
        "eom", choices=("eom", "leaf"), help="eom: few large; leaf: many fine clusters."
    )

    def cluster(self, space: Space, progress: Progress) -> Grouping:
        n = len(space)
        progress(0.0, f"HDBSCAN on {n} vectors")
        if n < 2:
            return Grouping(np.full(n, -1), np.zeros(n))
        if n <= _MOST:
            return self._grouped(space.vectors, min(self.min_samples or self._smallest(n), n))
        dense = min(self.min_samples or self.min_cluster_size, _DENSEST)
        graph = _distances(space, max(_FEWEST, dense), part(progress, 0.0, 0.5))
        progress(0.5, "HDBSCAN, joining neighbours")
        others = max(dense - 1, 1)  # of a graph the item itself is not counted
        return self._grouped(graph, others, metric="precomputed")

    def _smallest(self, n: int) -> int:
        return min(self.min_cluster_size, n)

    def _grouped(
        self, data: "np.ndarray | csr_array", min_samples: int, metric: str = "euclidean"
    ) -> Grouping:
        from sklearn.cluster import HDBSCAN as Algorithm

        fitted = Algorithm(
            min_cluster_size=self._smallest(data.shape[0]),
            min_samples=min_samples,
            metric=metric,
            cluster_selection_method=self.selection,
            copy=True,
        ).fit(data)
        return Grouping(fitted.labels_, fitted.probabilities_)


def _distances(space: Space, n_neighbors: int, progress: Progress) -> "csr_array":
    """Between neighbours, and over :func:`bridges`: symmetric, of one part, shape ``(n, n)``."""
    neighbors = space.neighbors(n_neighbors, progress)
    graph = neighbor_graph(neighbors, np.maximum(neighbors.distances, _LEAST))
    pairs = bridges(graph, space.vectors)
    apart = np.linalg.norm(space.vectors[pairs[:, 0]] - space.vectors[pairs[:, 1]], axis=1)
    return with_edges(graph, pairs, np.maximum(apart, _LEAST)).astype(np.float64)

"""Leiden: communities of the graph of shared neighbours; their number is found."""

import ctypes
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.clustering.base import Clusterer, clusterers
from uvl_plugin.clustering.graph import shared_neighbor_graph
from uvl_plugin.clustering.space import Grouping, Space
from uvl_plugin.clustering.spread import alike
from uvl_plugin.core.packages import check_installed
from uvl_plugin.core.progress import Progress, part
from uvl_plugin.core.settings import setting

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_STILL = 1e-5  # a pass that gains no more modularity is the last


@clusterers.register
@dataclass(frozen=True, kw_only=True)
class Leiden(Clusterer):
    """Communities that raise the modularity of the graph, as scikit-network finds them.

    Parts of the graph that no edge joins are clusters of their own.

    Source: V. Traag, L. Waltman, N. van Eck, "From Louvain to Leiden", arXiv:1810.08473; the
    resolution: J. Reichardt, S. Bornholdt, arXiv:cond-mat/0603718, equation 5.
    """

    name, label = "leiden", "Leiden"
    description = "Communities of a neighbour graph, their number found; fast for many items."
    round = False

    resolution: float = setting(
        0.2,
        ge=0.0,
        le=100.0,
        help="More: more and smaller clusters. Modularity as it was defined is 1, and splits what "
        "belongs together: two classes became seven to ten.",
    )
    n_neighbors: int = setting(15, ge=2, le=200, help="Neighbours of each item in the graph.")
    seed: int = setting(0, ge=0, le=2**31 - 1, help="Seed of the order in which items are moved.")

    def cluster(self, space: Space, progress: Progress) -> Grouping:
        check_installed("sknetwork", package="scikit-network", needed_by="Leiden")
        n = len(space)
        progress(0.0, f"Leiden on {n} vectors")
        if n < 3 or alike(space.vectors):
            return Grouping(np.zeros(n, np.int64))
        neighbors = space.neighbors(self.n_neighbors, part(progress, 0.0, 0.6))
        graph = shared_neighbor_graph(neighbors)
        progress(0.7, f"communities of {graph.nnz // 2:,} edges")
        return Grouping(self._communities(graph), report={"edges": graph.nnz // 2})

    def _communities(self, graph: "csr_array") -> np.ndarray:
        from scipy.sparse import csr_matrix
        from sknetwork.clustering import Leiden as Algorithm

        _seed_c(self.seed)
        algorithm = Algorithm(
            resolution=self.resolution,
            tol_optimization=_STILL,
            tol_aggregation=_STILL,
            shuffle_nodes=True,
            random_state=self.seed,
            return_probs=False,
            return_aggregate=False,
        )
        return algorithm.fit_predict(csr_matrix(graph))


def _seed_c(seed: int) -> None:
    """Seeds ``rand()`` of the C library, which scikit-network draws from while it refines and
    offers no way to seed."""
    library = ctypes.CDLL("ucrtbase" if os.name == "nt" else None)
    library.srand(ctypes.c_uint(seed))

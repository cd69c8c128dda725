"""UMAP, then HDBSCAN: dense groups on the manifold of the data; their number is found."""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.base import Clusterer, clusterers
from uvl_plugin.clustering.hdbscan import HDBSCAN
from uvl_plugin.clustering.space import Grouping, Space
from uvl_plugin.core.packages import check_installed
from uvl_plugin.core.progress import Progress, part
from uvl_plugin.core.settings import setting

_SHARE = 50  # a cluster has at least one item in so many, where nobody says otherwise
_SMALLEST = 5
_FEW = 3  # with fewer items than so many times the neighbours there is no manifold to unfold


@clusterers.register
@dataclass(frozen=True, kw_only=True)
class UMAPHDBSCAN(Clusterer):
    """Unfolds the vectors with UMAP (arXiv:1802.03426) and finds dense groups in the result with
    :class:`~uvl_plugin.clustering.hdbscan.HDBSCAN`."""

    name, label = "umap_hdbscan", "UMAP + HDBSCAN"
    description = "Finds how many groups there are, also where they are bent; slower."
    round = False

    min_cluster_size: int | None = setting(
        None, ge=2, help="Smallest group that is a cluster; empty: one item in fifty."
    )
    n_neighbors: int = setting(
        15, ge=2, le=200, help="Neighbours of each item that stay near; more: coarser groups."
    )
    n_components: int = setting(
        10, ge=2, le=100, label="UMAP dimensions", help="In which the groups are sought."
    )
    seed: int = setting(0, ge=0, le=2**31 - 1, help="Seed of UMAP.")

    def cluster(self, space: Space, progress: Progress) -> Grouping:
        n = len(space)
        size = self.min_cluster_size or max(_SMALLEST, n // _SHARE)
        progress(0.0, f"UMAP of {n} vectors")
        unfolded = self._unfolded(space.vectors)
        dense = HDBSCAN(min_cluster_size=size)
        return dense.cluster(Space(unfolded), part(progress, 0.7, 1.0))

    def _unfolded(self, vectors: np.ndarray) -> np.ndarray:
        if len(vectors) < _FEW * self.n_neighbors or len(vectors) <= self.n_components + 1:
            return vectors
        check_installed("umap", package="umap-learn", needed_by="UMAP + HDBSCAN")
        import umap

        reducer = umap.UMAP(
            n_neighbors=self.n_neighbors,
            n_components=self.n_components,
            min_dist=0.0,  # lets groups be dense
            random_state=self.seed,
            n_jobs=1,  # with a seed UMAP uses one anyway
        )
        return np.asarray(reducer.fit_transform(vectors), dtype=np.float32)

"""HDBSCAN: dense groups of any shape; items in no group are noise."""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.base import Clusterer, clusterers
from uvl_plugin.clustering.space import Grouping, Space
from uvl_plugin.core.progress import Progress
from uvl_plugin.core.settings import setting


@clusterers.register
@dataclass(frozen=True, kw_only=True)
class HDBSCAN(Clusterer):
    """scikit-learn's HDBSCAN; it finds the number of clusters by itself.

    Source: R. Campello, D. Moulavi, J. Sander, "Density-Based Clustering Based on
    Hierarchical Density Estimates", PAKDD 2013, page 160.
    """

    name, label = "hdbscan", "HDBSCAN"
    description = "Dense groups of any shape, their number found; the rest is noise."
    round = False

    min_cluster_size: int = setting(10, ge=2, help="Smallest group that is a cluster.")
    min_samples: int | None = setting(
        None, ge=1, help="Neighbours that make a point dense; empty: as min_cluster_size."
    )
    selection: str = setting(
        "eom", choices=("eom", "leaf"), help="eom: few large; leaf: many fine clusters."
    )

    def cluster(self, space: Space, progress: Progress) -> Grouping:
        from sklearn.cluster import HDBSCAN as Algorithm

        n = len(space)
        progress(0.0, f"HDBSCAN on {n} vectors")
        if n < 2:
            return Grouping(np.full(n, -1), np.zeros(n))
        fitted = Algorithm(
            min_cluster_size=min(self.min_cluster_size, n),
            min_samples=None if self.min_samples is None else min(self.min_samples, n),
            cluster_selection_method=self.selection,
            copy=True,
        ).fit(space.vectors)
        return Grouping(fitted.labels_, fitted.probabilities_)

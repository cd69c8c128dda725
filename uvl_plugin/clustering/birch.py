"""BIRCH: one pass makes many small groups, and a tree joins them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.clustering.agglomerative import grouping_of
from uvl_plugin.clustering.assign import means_of
from uvl_plugin.clustering.base import Clusterer, clusterers
from uvl_plugin.clustering.linkage import join
from uvl_plugin.clustering.neighbors import nearest_neighbors
from uvl_plugin.clustering.space import Grouping, Space
from uvl_plugin.clustering.spread import SAME, spread
from uvl_plugin.core.progress import Progress, part
from uvl_plugin.core.settings import setting

if TYPE_CHECKING:
    from sklearn.cluster import Birch as Feeder

_ROWS = 4096  # items that are fed at a time
_MOST = 4000  # small groups; if there are more the threshold grows
_GROWTH = 1.15
_LEAST = 1e-30  # threshold: 0 is none
_SAMPLE = 1000  # items whose neighbours give the first threshold


@clusterers.register
@dataclass(frozen=True, kw_only=True)
class Birch(Clusterer):
    """Feeds items one after the other into a tree of small groups, then joins the groups.

    A group takes an item if its radius, the root mean square distance from its mean, stays within
    the threshold. Where none is given it is ``sqrt(1/2)`` of the median distance of an item to its
    nearest neighbour in a sample of 1,000, and it grows until there are at most 4,000 groups: this
    bounds the memory. The groups are joined as in
    :class:`~uvl_plugin.clustering.agglomerative.Agglomerative` with ward, weighted by their items.

    Source: T. Zhang, R. Ramakrishnan, M. Livny, "BIRCH", SIGMOD 1996, page 103.
    """

    name, label = "birch", "BIRCH"
    description = "A fixed number of clusters in one pass over the items, with a tree."
    round = False

    n_clusters: int = setting(10, ge=1, le=1000, help="How many clusters to make.")
    threshold: float | None = setting(
        None,
        ge=0.0,
        help="Greatest radius of a small group, as a distance between prepared vectors; empty: "
        "from the distances of neighbours. It grows where there would be over 4,000 groups.",
    )
    branching_factor: int = setting(50, ge=2, le=1000, help="Most branches of a node of the tree.")
    seed: int = setting(0, ge=0, le=2**31 - 1, help="Seed of the sample for the threshold.")

    def cluster(self, space: Space, progress: Progress) -> Grouping:
        progress(0.0, f"BIRCH of {len(space)} vectors")
        least = max(SAME * spread(space.vectors), _LEAST)
        threshold = self.threshold
        if threshold is None:
            threshold = self._found_threshold(space.vectors)
        fed, threshold = self._fed(space.vectors, max(threshold, least), progress)
        _, groups = np.unique(_nearest(fed, space.vectors), return_inverse=True)
        centres = means_of(space.vectors, groups, int(groups.max()) + 1)
        tree = join(centres, np.bincount(groups), "ward", part(progress, 0.8, 1.0))
        found = grouping_of(space.vectors, tree, groups, self.n_clusters)
        found.report.update(threshold=threshold, small_groups=len(centres))
        return found

    def _found_threshold(self, vectors: np.ndarray) -> float:
        random = np.random.default_rng(self.seed)
        chosen = np.sort(random.permutation(len(vectors))[:_SAMPLE])
        if len(chosen) < 2:
            return 0.0
        return float(np.median(nearest_neighbors(vectors[chosen], 1).distances)) * 0.5**0.5

    def _fed(
        self, vectors: np.ndarray, threshold: float, progress: Progress
    ) -> tuple["Feeder", float]:
        """The tree of small groups, and the threshold that bounds their number."""
        from sklearn.cluster import Birch as Feeder

        start = 0
        while start < len(vectors):
            if start == 0:
                feeder = Feeder(
                    threshold=threshold,
                    branching_factor=self.branching_factor,
                    n_clusters=None,
                    compute_labels=False,
                )
            feeder.partial_fit(vectors[start : start + _ROWS])
            start += _ROWS
            if len(feeder.subcluster_centers_) > _MOST:
                start, threshold = 0, threshold * _GROWTH
            progress(0.8 * start / (start + len(vectors)), f"BIRCH, radius {threshold:.3g}")
        return feeder, threshold


def _nearest(feeder: "Feeder", vectors: np.ndarray) -> np.ndarray:
    chunks = range(0, len(vectors), _ROWS)
    return np.concatenate([feeder.predict(vectors[start : start + _ROWS]) for start in chunks])

"""Agglomerative: joins the two nearest groups again and again, and keeps the tree."""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.assign import means_of
from uvl_plugin.clustering.base import Clusterer, clusterers
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.linkage import join
from uvl_plugin.clustering.space import Grouping, Hierarchy, Space
from uvl_plugin.clustering.spread import SAME, alike, spread
from uvl_plugin.core.progress import Progress, part
from uvl_plugin.core.settings import setting
from uvl_plugin.core.tree import Tree

_MOST = 8_000  # items that are joined one by one: their distances take 256 MB
_GROUPS = 2_000  # small groups that are made of more items first


@clusterers.register
@dataclass(frozen=True, kw_only=True)
class Agglomerative(Clusterer):
    """Joins the two nearest groups until ``n_clusters`` are left.

    The whole tree is kept, so that any other number of clusters is a cut of it. Time and memory
    grow with the square of the items: more than 8,000 are first made into 2,000 small groups with
    k-means, whose centres are then joined, each with the weight of its items. Items that are the
    same are never separated.

    Source: J. Ward, "Hierarchical grouping to optimize an objective function", JASA 58 (1963),
    page 236; the updates of the distances: G. Lance, W. Williams, Computer J. 9 (1967), page 373.
    """

    name, label = "agglomerative", "Agglomerative"
    description = "A tree of groups that join, cut at the number of clusters that is asked for."
    round = False

    n_clusters: int = setting(10, ge=1, le=_GROUPS, help="At how many clusters to cut the tree.")
    linkage: str = setting(
        "ward",
        choices=("ward", "average", "complete"),
        help="Which groups are near: ward: their join spreads least; average: their items are near "
        "on average; complete: their farthest items are near.",
    )
    seed: int = setting(
        0, ge=0, le=2**31 - 1, help="Seed of the small groups that over 8,000 items make first."
    )

    def cluster(self, space: Space, progress: Progress) -> Grouping:
        n = len(space)
        progress(0.0, f"agglomerative, {n} vectors")
        if n <= _MOST:
            leaves, centres = np.arange(n), space.vectors
        else:
            leaves, centres = self._small_groups(space, part(progress, 0.0, 0.5))
        sizes = np.bincount(leaves)
        tree = join(centres, sizes, self.linkage, part(progress, 0.5, 1.0))
        return grouping_of(space.vectors, tree, leaves, self.n_clusters)

    def _small_groups(self, space: Space, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
        """Group of each item, ``(n,)``, and the means of the groups."""
        algorithm = KMeans(
            n_clusters=_GROUPS, spherical=False, n_init=1, max_iter=10, seed=self.seed
        )
        found = algorithm.cluster(space, progress).labels
        _, groups = np.unique(found, return_inverse=True)
        return groups, means_of(space.vectors, groups, int(groups.max()) + 1)


def grouping_of(vectors: np.ndarray, tree: Tree, leaves: np.ndarray, n_clusters: int) -> Grouping:
    """A tree cut at ``n_clusters``, or fewer where leaves are the same but for rounding.

    Args:
        vectors: shape ``(n, dim)``.
        leaves: leaf of each, shape ``(n,)``.
    """
    least = np.inf if alike(vectors) else SAME * spread(vectors)
    distinct = 1 + int(np.sum(tree.heights > least))
    labels = tree.cut(min(n_clusters, distinct))[leaves]
    return Grouping(labels, hierarchy=Hierarchy(leaves, tree))

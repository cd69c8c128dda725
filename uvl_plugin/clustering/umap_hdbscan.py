"""UMAP, then HDBSCAN: dense groups on the manifold of the data; their number is found."""

from dataclasses import dataclass

from uvl_plugin.clustering.base import Clusterer, clusterers
from uvl_plugin.clustering.hdbscan import HDBSCAN
from uvl_plugin.clustering.space import Grouping, Space
from uvl_plugin.clustering.structure import sampled, spread_out
from uvl_plugin.clustering.unfold import unfold
from uvl_plugin.core.progress import Progress, part
from uvl_plugin.core.settings import setting

_SHARE = 50  # a cluster has at least one item in so many, where nobody says otherwise
_SMALLEST = 5
_MOST = 30_000  # items that are unfolded


@clusterers.register
@dataclass(frozen=True, kw_only=True)
class UMAPHDBSCAN(Clusterer):
    """Unfolds the vectors with UMAP (arXiv:1802.03426) and finds dense groups in the result with
    :class:`~uvl_plugin.clustering.hdbscan.HDBSCAN`.

    Of more than 30,000 items a sample of so many is unfolded; the others then join the cluster
    of their nearest neighbours in it, so time grows no faster than their number.
    """

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
        if n <= _MOST:
            return self._dense(space, self.min_cluster_size or smallest(n), progress)
        rows = sampled(n, _MOST, self.seed)
        size = max(2, (self.min_cluster_size or smallest(n)) * _MOST // n)
        found = self._dense(Space(space.vectors[rows]), size, part(progress, 0.0, 0.9))
        labels = spread_out(space.vectors, rows, found.labels, part(progress, 0.9, 1.0))
        sample_noise = rows[found.labels < 0]
        labels[sample_noise] = -1
        return Grouping(labels, report={"unfolded_items": _MOST})

    def _dense(self, space: Space, size: int, progress: Progress) -> Grouping:
        unfolded = unfold(
            space, self.n_neighbors, self.n_components, self.seed, part(progress, 0.0, 0.7)
        )
        dense = HDBSCAN(min_cluster_size=size)
        return dense.cluster(Space(unfolded), part(progress, 0.7, 1.0))


def smallest(n: int) -> int:
    """Least items of a cluster of ``n`` items, where nobody says otherwise."""
    return max(_SMALLEST, n // _SHARE)

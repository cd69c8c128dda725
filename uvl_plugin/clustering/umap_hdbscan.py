"""UMAP, then HDBSCAN: dense groups on the manifold of the data; their number is found."""

import warnings
from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.base import Clusterer, clusterers
from uvl_plugin.clustering.hdbscan import HDBSCAN
from uvl_plugin.clustering.space import Grouping, Space
from uvl_plugin.clustering.structure import sampled, spread_out
from uvl_plugin.core.packages import check_installed
from uvl_plugin.core.progress import Progress, part
from uvl_plugin.core.settings import setting

_SHARE = 50  # a cluster has at least one item in so many, where nobody says otherwise
_SMALLEST = 5
_FEW = 3  # with fewer items than so many times the neighbours there is no manifold to unfold
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


def unfold(
    space: Space, n_neighbors: int, n_components: int, seed: int, progress: Progress
) -> np.ndarray:
    """UMAP of the shared neighbour graph, shape ``(n, n_components)``, float32; of very few items
    the vectors as they are.

    Raises:
        MissingPackageError: if UMAP is needed and not installed.
    """
    n = len(space)
    if n < _FEW * n_neighbors or n <= n_components + 1:
        return space.vectors
    check_installed("umap", package="umap-learn", needed_by="UMAP + HDBSCAN")
    near = space.neighbors(n_neighbors - 1, part(progress, 0.0, 0.2))
    progress(0.2, f"UMAP of {n:,} vectors")
    import umap

    itself = np.arange(n)[:, None]  # UMAP counts an item among its neighbours
    known = (
        np.hstack([itself, near.indices]),
        np.hstack([np.zeros((n, 1), np.float32), near.distances]),
    )
    reducer = umap.UMAP(
        n_neighbors=n_neighbors,
        n_components=n_components,
        min_dist=0.0,  # lets groups be dense
        random_state=seed,
        n_jobs=1,  # with a seed UMAP uses one anyway
        precomputed_knn=known,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "precomputed_knn", UserWarning)  # no new items are asked
        return np.asarray(reducer.fit_transform(space.vectors), dtype=np.float32)

"""UMAP: vectors unfolded into a few dimensions, in which groups are dense (arXiv:1802.03426)."""

import warnings

import numpy as np

from uvl_plugin.clustering.space import Space
from uvl_plugin.core.packages import check_installed
from uvl_plugin.core.progress import Progress, part

_FEW = 3  # with fewer items than so many times the neighbours there is no manifold to unfold


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
    check_installed("umap", package="umap-learn", needed_by="UMAP")
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

"""What each item gets on request: figures of how it lies among the clusters."""

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.separation import silhouettes
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.embeddings import NOISE
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.progress import Progress, silent

_CELLS = 2**22  # items x parts that are held at a time
_NEIGHBORS = 30  # whose density an item's own is compared with
_NONE = "There are no clusters (all items are noise), so none is near; cluster with other settings."


@dataclass(frozen=True)
class Score:
    """One figure that every item can get.

    Attributes:
        meaning: what a person reads.
        low, high: its range; ``high`` may be infinite.
        compute: from the prepared vectors, the cluster of each item, shape ``(n,)``, noise -1,
            and their model; gives shape ``(n,)``.
    """

    meaning: str
    low: float
    high: float
    compute: Callable[[Space, np.ndarray, ClusterModel], np.ndarray]


def score(name: str, space: Space, labels: np.ndarray, model: ClusterModel) -> np.ndarray:
    """One figure for each item, in the order of ``labels``, shape ``(n,)``, float32.

    Args:
        name: of :data:`SCORES`.
        space: the prepared vectors, ``(n, kept)``.
        labels: cluster of each, shape ``(n,)``, noise -1.
        model: of these clusters.

    Raises:
        SettingsError: if there is no such score.
    """
    if name not in SCORES:
        near = difflib.get_close_matches(name, SCORES, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise SettingsError(f"There is no score '{name}'.{hint} Known: {', '.join(SCORES)}.")
    return SCORES[name].compute(space, np.asarray(labels), model).astype(np.float32)


def nearest_cluster(model: ClusterModel, prepared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest cluster of each item, noise too, and its distance in the model's metric.

    Args:
        prepared: vectors, shape ``(n, kept)``.

    Returns:
        Cluster numbers, int64, and distances, float32, both of shape ``(n,)``.

    Raises:
        DataError: if there are no clusters.
    """
    live = np.flatnonzero(model.owners != NOISE)
    if len(live) == 0:
        raise DataError(_NONE)
    nearest, distances = np.empty(len(prepared), np.int64), np.empty(len(prepared), np.float32)
    for rows, block in _blocks(prepared, len(model.owners)):
        apart = model.distances(block)[:, live]
        nearest[rows], distances[rows] = model.owners[live[apart.argmin(axis=1)]], apart.min(axis=1)
    return nearest, distances


def margins(space: Space, labels: np.ndarray, model: ClusterModel) -> np.ndarray:
    """Affinity of the own cluster less the greatest of any other, -1 to 1, shape ``(n,)``; below 0
    the item lies nearer to another cluster. 0 for noise, 1 where there is one cluster."""
    found = np.zeros(len(space), np.float32)
    for rows, block in _blocks(space.vectors, len(model.owners)):
        inside = np.flatnonzero(labels[rows] != NOISE)
        if len(inside):
            affinities = model.affinities(block[inside])
            own = labels[rows][inside, None]
            mine = np.take_along_axis(affinities, own, axis=1)[:, 0]
            np.put_along_axis(affinities, own, 0.0, axis=1)
            found[rows.start + inside] = mine - affinities.max(axis=1)
    return found


def distances(space: Space, labels: np.ndarray, model: ClusterModel) -> np.ndarray:
    """Distance to the nearest part of the own cluster, in the model's metric, at least 0, shape
    ``(n,)``; of noise to the nearest cluster.

    Raises:
        DataError: if there are no clusters.
    """
    if model.n_clusters == 0:
        raise DataError(_NONE)
    found = np.empty(len(space), np.float32)
    for rows, block in _blocks(space.vectors, len(model.owners)):
        own = labels[rows, None]
        foreign = np.where(own == NOISE, model.owners == NOISE, model.owners != own)
        found[rows] = np.where(foreign, np.inf, model.distances(block)).min(axis=1)
    return np.maximum(found, 0.0)  # rounding gives -1e-7


def outliers(space: Space, labels: np.ndarray, model: ClusterModel) -> np.ndarray:
    """See :func:`local_outliers`; clusters play no part."""
    return local_outliers(space)


def local_outliers(space: Space, progress: Progress = silent) -> np.ndarray:
    """How thinly an item's surroundings are settled beside those of its neighbours, 0 to 1, shape
    ``(n,)``: 0.5 alike, towards 1 the odder.

    The local outlier factor f of 30 neighbours (M. Breunig et al., "LOF: Identifying
    Density-Based Local Outliers", SIGMOD 2000, page 93), as f / (1 + f). So a group of far fewer
    than 30 alike is odd, a larger one is not.
    """
    near = space.neighbors(_NEIGHBORS, progress)
    if near.indices.shape[1] == 0:
        return np.full(len(space), 0.5)
    reach = near.distances[:, -1]  # of each item to the last of its neighbours
    spacing = np.maximum(reach[near.indices], near.distances).mean(axis=1, dtype=np.float64)
    spacing = np.maximum(spacing, np.finfo(np.float32).tiny)  # 0 among many equal items
    factor = spacing * (1.0 / spacing[near.indices]).mean(axis=1)
    return factor / (1.0 + factor)


def _silhouettes(space: Space, labels: np.ndarray, model: ClusterModel) -> np.ndarray:
    return silhouettes(space.vectors, labels, model.metric)


SCORES = {
    "margin": Score("affinity of its cluster less that of the next", -1.0, 1.0, margins),
    "distance": Score("distance to the centre of its cluster", 0.0, np.inf, distances),
    "silhouette": Score("how much nearer its cluster is than the next", -1.0, 1.0, _silhouettes),
    "outlier": Score("how much lonelier than its neighbours; 0.5 alike", 0.0, 1.0, outliers),
}


def _blocks(prepared: np.ndarray, parts: int) -> Iterator[tuple[slice, np.ndarray]]:
    step = max(1, _CELLS // max(parts, prepared.shape[1], 1))
    for start in range(0, len(prepared), step):
        rows = slice(start, min(start + step, len(prepared)))
        yield rows, prepared[rows]

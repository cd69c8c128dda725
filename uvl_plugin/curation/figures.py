"""Figures of single clusters, for whoever looks at hundreds of them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.core.embeddings import NOISE

N_EXEMPLARS = 6
_MOST = 512  # members of which the figures of a cluster are made
_COMPARED = 128  # of these, among which its exemplars are looked for
_CELLS = 2**22  # distances that are held at a time
_REACH = 0.9  # share of the members whose distance from the medoid counts in full
_COPY = 0.05  # of the mean distance to the medoid: what gains less than that is a near-copy
_ROUNDING = 1e-10  # of the greatest squared length: copies are so far apart in float32


@dataclass(frozen=True)
class Figures:
    """Of one cluster.

    Attributes:
        cohesion: mean cosine of its members to their mean, -1 to 1.
        exemplars: ids of at most 6 members, see :func:`exemplars`.
    """

    cohesion: float
    exemplars: tuple[str, ...]


def sampled(labels: np.ndarray, ids: np.ndarray, clusters: Iterable[int]) -> dict[int, np.ndarray]:
    """Rows of the members that the figures of clusters are made of: all of them, or 512, evenly
    spaced in the order of the ids.

    Args:
        labels: cluster of each item, shape ``(n,)``, noise -1.
        ids: of the items, shape ``(n,)``.
        clusters: of which; those without members are left out.
    """
    wanted = np.unique(np.fromiter(clusters, np.int64))
    rows = np.flatnonzero(np.isin(labels, wanted[wanted != NOISE]))
    rows = rows[np.lexsort((ids[rows], labels[rows]))]
    present, starts = np.unique(labels[rows], return_index=True)
    members = np.split(rows, starts[1:])
    return {
        int(cluster): _spaced(own, _MOST)
        for cluster, own in zip(
            present, members, strict=False
        )  # without any there is one empty part
    }


def figures(prepared: np.ndarray, ids: np.ndarray, metric: str) -> Figures:
    """Figures of a cluster.

    Args:
        prepared: vectors of some or all of its members, shape ``(m, kept)``, ``m`` at least 1.
        ids: of these, in their order, which must not depend on chance: equal members are told
            apart by it.
        metric: ``"cosine"`` or ``"euclidean"``.
    """
    unit = unit_length(prepared)
    cohesion = float(np.linalg.norm(unit.mean(axis=0, dtype=np.float64)))
    some = _spaced(np.arange(len(prepared)), _COMPARED)
    chosen = some[exemplars((unit if metric == "cosine" else prepared)[some])]
    return Figures(cohesion, tuple(ids[chosen].tolist()))


def _spaced(rows: np.ndarray, most: int) -> np.ndarray:
    """So many of the rows, the first and the last among them."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def exemplars(vectors: np.ndarray, count: int = N_EXEMPLARS) -> np.ndarray:
    """Rows that stand for all: typical ones, that differ from each other.

    The greedy solution of the k-median problem: one after the other, the row is taken that
    lessens the sum of the distances to the nearest taken one most. So the first is the medoid, and
    a near-copy of a taken one is not taken. Distances count up to that within which nine tenths
    of the rows lie around the medoid, so that an outlier gains no more than a typical row does.
    See A. Krause and D. Golovin, "Submodular function maximization", 2014, section 2.

    Args:
        vectors: shape ``(m, dim)``, ``m`` at least 1; of length 1 for cosine.
        count: how many at most; fewer where the others are copies of those that were taken.
    """
    apart = _distances(vectors)
    chosen = [int(apart.sum(axis=0).argmin())]
    apart = np.minimum(apart, np.quantile(apart[chosen[0]], _REACH))
    nearest = apart[chosen[0]]
    enough = _COPY * nearest.mean()
    while len(chosen) < count:
        gains = np.maximum(nearest[:, None] - apart, 0.0).sum(axis=0)
        best = int(gains.argmax())
        if gains[best] <= enough:
            break
        chosen.append(best)
        nearest = np.minimum(nearest, apart[best])
    return np.array(chosen, np.int64)


def _distances(vectors: np.ndarray) -> np.ndarray:
    """Euclidean distances of all pairs, ``(m, m)``, float64; 0 between copies."""
    wide = vectors.astype(np.float64)
    lengths = np.einsum("ij,ij->i", wide, wide)
    squares = lengths[:, None] + lengths - 2.0 * wide @ wide.T
    squares[squares <= _ROUNDING * lengths.max()] = 0.0
    return np.sqrt(squares)


def novelties(model: ClusterModel) -> dict[int, float]:
    """How far each cluster is from the nearest other one, in the metric of the model, by number:
    from centre to centre, and where a cluster has several parts, from the nearest of them. Empty
    where there are not two clusters."""
    parts = np.flatnonzero(model.owners != NOISE)
    owners, centroids = model.owners[parts], model.centroids[parts]
    if len(np.unique(owners)) < 2:
        return {}
    found = dict.fromkeys(owners.tolist(), float("inf"))
    step = max(1, _CELLS // len(model.owners))
    for start in range(0, len(parts), step):
        rows = slice(start, start + step)
        apart = model.distances(centroids[rows])[:, parts]
        apart[owners[rows, None] == owners] = np.inf
        for owner, distance in zip(owners[rows].tolist(), apart.min(axis=1).tolist(), strict=True):
            found[owner] = min(found[owner], distance)
    return found

"""What stands for a cluster, what lies at its edge, and what sets it apart from the next one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from uvl_plugin.clustering.assign import TEMPERATURE, ClusterModel
from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.core.errors import DataError

_ROWS = 4096  # vectors that are compared with the clusters at a time
_FEW = 4096  # members up to which all pairs of them are compared


@dataclass(frozen=True)
class Item:
    """An item, and the number for which it was chosen."""

    id: str
    value: float


@dataclass(frozen=True)
class Members:
    """The members of one cluster that show what it holds.

    Attributes:
        size: how many members there are.
        medoid: the member with the least mean distance to all others.
        nearest: to the centre of the cluster, nearest first; the value is the distance.
        farthest: from it, farthest first; likewise.
        boundary: the least decided members; the value is the margin, the cosine to the cluster
            less the greatest to any other, -2 to 2, least first; below 0 another one fits
            better. Empty where there is no other cluster.
    """

    cluster: int
    size: int
    medoid: str
    nearest: tuple[Item, ...]
    farthest: tuple[Item, ...]
    boundary: tuple[Item, ...]

    def __str__(self) -> str:
        rows = [f"cluster {self.cluster}: {self.size:,} members, medoid {self.medoid}"]
        for name in ("nearest", "farthest", "boundary"):
            rows.append(_line(name, getattr(self, name)))
        return "\n".join(rows)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON types."""
        return _listed(asdict(self))


@dataclass(frozen=True)
class Contrast:
    """What sets a cluster apart from the next one.

    Attributes:
        other: the next cluster: the best one but their own for most members.
        share: of the members for which it is that, 0 to 1.
        distance: between the nearest parts of both, in the metric of the clusters.
        nearest: the cluster at the least such distance; mostly the same one.
        here: members that lean to the other cluster most; the value is the cosine to their own
            less that to the other, -2 to 2, least first.
        there: members of the other cluster that lean to this one most; likewise.
    """

    cluster: int
    other: int
    share: float
    distance: float
    nearest: int
    here: tuple[Item, ...]
    there: tuple[Item, ...]

    def __str__(self) -> str:
        first = (
            f"cluster {self.cluster}: next is cluster {self.other}, the second choice of "
            f"{self.share:.0%} of the members, at a distance of {self.distance:.3f}"
        )
        return "\n".join([first, _line("here", self.here), _line("there", self.there)])

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON types."""
        return _listed(asdict(self))


def members(
    prepared: np.ndarray,
    labels: np.ndarray,
    model: ClusterModel,
    ids: Sequence[str] | np.ndarray,
    cluster: int,
    *,
    count: int = 9,
) -> Members:
    """Finds the members that show what a cluster holds.

    The result does not depend on the order of the items; of equal ones the least id comes
    first. A cluster of several parts is as far from an item as the nearest of them.

    Args:
        prepared: vectors after ``model.preparation``, shape ``(n, kept)``.
        labels: cluster of each, shape ``(n,)``, noise -1.
        ids: of the items, unique, shape ``(n,)``.
        count: most items of each kind, at least 0; small clusters give all they have.

    Raises:
        DataError: if the cluster has no members or no centre.
    """
    ids = np.asarray(ids, dtype=str)
    rows = _rows_of(labels, model, ids, cluster)
    own = prepared[rows]
    distances, affinities = _compared(own, model, cluster)
    boundary = np.empty(0, np.int64)
    margins = np.empty(0, np.float32)
    if len(_present(model)) > 1:
        others = np.delete(affinities, cluster, axis=1)
        margins = _margins(affinities[:, cluster], others.max(axis=1))
        boundary = np.argsort(margins, kind="stable")[:count]
    nearest = np.argsort(distances, kind="stable")[:count]
    farthest = np.argsort(-distances, kind="stable")[:count]
    return Members(
        cluster=int(cluster),
        size=len(rows),
        medoid=str(ids[rows[_medoid(own, model.metric)]]),
        nearest=_items(ids[rows], distances, nearest),
        farthest=_items(ids[rows], distances, farthest),
        boundary=_items(ids[rows], margins, boundary),
    )


def contrast(
    prepared: np.ndarray,
    labels: np.ndarray,
    model: ClusterModel,
    ids: Sequence[str] | np.ndarray,
    cluster: int,
    *,
    count: int = 9,
) -> Contrast | None:
    """Finds the next cluster, and the items of both that lie between them.

    Args:
        prepared, labels, model, ids, count: see :func:`members`.

    Returns:
        None where there is no other cluster.

    Raises:
        DataError: if the cluster has no members or no centre.
    """
    ids = np.asarray(ids, dtype=str)
    rows = _rows_of(labels, model, ids, cluster)
    others = _present(model)
    others = others[others != cluster]
    if len(others) == 0:
        return None
    _, affinities = _compared(prepared[rows], model, cluster)
    apart = _apart(model, cluster, others)
    votes = np.bincount(affinities[:, others].argmax(axis=1), minlength=len(others))
    chosen = np.lexsort((apart, -votes))[0]
    other = int(others[chosen])
    theirs = np.flatnonzero(labels == other)
    theirs = theirs[np.argsort(ids[theirs], kind="stable")]
    _, back = _compared(prepared[theirs], model, cluster)
    return Contrast(
        cluster=int(cluster),
        other=other,
        share=float(votes[chosen] / len(rows)),
        distance=float(apart[chosen]),
        nearest=int(others[apart.argmin()]),
        here=_least(ids[rows], _margins(affinities[:, cluster], affinities[:, other]), count),
        there=_least(ids[theirs], _margins(back[:, other], back[:, cluster]), count),
    )


def _rows_of(labels: np.ndarray, model: ClusterModel, ids: np.ndarray, cluster: int) -> np.ndarray:
    """Rows of the members, in the order of their ids."""
    rows = np.flatnonzero(labels == cluster)
    if cluster < 0 or len(rows) == 0:
        raise DataError(
            f"Cluster {cluster} has no members to explain; choose one of 0 to "
            f"{int(labels.max(initial=-1))}.",
            "cluster",
        )
    if cluster not in _present(model):
        raise DataError(f"Cluster {cluster} has no centre in this run; cluster again.", "cluster")
    return rows[np.argsort(ids[rows], kind="stable")]


def _present(model: ClusterModel) -> np.ndarray:
    """Clusters that have a part, ascending."""
    return np.unique(model.owners[model.owners >= 0])


def _compared(own: np.ndarray, model: ClusterModel, cluster: int) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each vector to the cluster, ``(m,)``, and its affinities, ``(m, n_clusters)``."""
    mine = model.owners == cluster
    distances = np.empty(len(own), np.float32)
    affinities = np.empty((len(own), model.n_clusters), np.float32)
    for start in range(0, len(own), _ROWS):
        rows = slice(start, start + _ROWS)
        distances[rows] = model.distances(own[rows])[:, mine].min(axis=1)
        affinities[rows] = model.affinities(own[rows])
    return distances, affinities


def _margins(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Differences of the cosines of which the affinities were made: unlike these, they tell
    members apart that are all but certain, and third clusters do not count."""
    return TEMPERATURE * np.log(own / other)


def _medoid(own: np.ndarray, metric: str) -> int:
    """Row of the medoid.

    By cosine it is exact for any number: the mean of 1 - cosine to all members is 1 - cosine to
    their mean direction. By Euclidean distance it is exact for few; of many it is the member
    nearest to the mean, which has the least mean of the squared distances.
    """
    if metric == "cosine":
        unit = unit_length(own)
        return int((unit @ unit.mean(axis=0)).argmax())
    if len(own) > _FEW:
        return int(((own - own.mean(axis=0)) ** 2).sum(axis=1).argmin())
    centred = (own - own.mean(axis=0)).astype(np.float64)  # or near ones would cancel out
    squares = (centred**2).sum(axis=1)
    sums = np.empty(len(own))
    for start in range(0, len(own), _ROWS // 8):
        rows = slice(start, start + _ROWS // 8)
        apart = squares[rows, None] + squares - 2.0 * centred[rows] @ centred.T
        sums[rows] = np.sqrt(np.maximum(apart, 0.0)).sum(axis=1)
    return int(sums.argmin())


def _apart(model: ClusterModel, cluster: int, others: np.ndarray) -> np.ndarray:
    """From the cluster to each other one, nearest part to nearest part: ``(len(others),)``."""
    to_parts = model.distances(model.centroids[model.owners == cluster]).min(axis=0)
    return np.array([to_parts[model.owners == other].min() for other in others])


def _least(ids: np.ndarray, values: np.ndarray, count: int) -> tuple[Item, ...]:
    return _items(ids, values, np.argsort(values, kind="stable")[:count])


def _items(ids: np.ndarray, values: np.ndarray, rows: np.ndarray) -> tuple[Item, ...]:
    return tuple(Item(str(ids[row]), float(values[row])) for row in rows)


def _line(name: str, items: tuple[Item, ...]) -> str:
    return f"  {name:<9}" + ", ".join(f"{item.id} ({item.value:.3f})" for item in items)


def _listed(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items()
    }

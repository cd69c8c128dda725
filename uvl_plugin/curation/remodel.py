"""What assigns new items after clusters were edited."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.core.embeddings import NOISE
from uvl_plugin.curation.joint import joint

_WHOLE = 0.95  # a part keeps its centroid while so many of its members are in one cluster


@dataclass(frozen=True)
class Remodelled:
    """A model of edited clusters.

    Attributes:
        model: its owners are the numbers of the edited clusters.
        rows: items whose vectors were needed, shape ``(m,)``.
        prepared: these vectors, shape ``(m, kept)``.
    """

    model: ClusterModel
    rows: np.ndarray
    prepared: np.ndarray


def remodelled(
    raw: ClusterModel,
    parts: np.ndarray,
    labels: np.ndarray,
    vectors_of: Callable[[np.ndarray], np.ndarray],
) -> Remodelled:
    """The model of clusters that were edited.

    A part of the raw model that is still in one piece goes to the cluster that has it now. One
    that was taken apart is replaced by the means of its pieces, and a cluster that has no part
    yet, such as one made of noise, gets one; only for these are vectors needed.

    Args:
        parts: part of the raw model that each item belongs to, shape ``(n,)``, noise -1.
        labels: edited cluster of each item, shape ``(n,)``, noise -1.
        vectors_of: takes rows, shape ``(m,)``, and gives their vectors, ``(m, dim)``.
    """
    pairs, member, counts = joint(parts, labels)
    owners, broken = _owners(pairs, counts, len(raw.centroids))
    kept = np.setdiff1d(labels, NOISE)
    homeless = np.setdiff1d(kept, owners[~broken])
    taken_apart = np.append(broken, False)[pairs[:, 0]]  # the last is noise, which is no part
    pieces = taken_apart | np.isin(pairs[:, 1], homeless)
    rows = np.flatnonzero(pieces[member])
    prepared = np.empty((0, raw.centroids.shape[1]), np.float32)
    whole = np.flatnonzero(~broken)
    model = _chosen(raw, whole, owners[whole])
    if len(rows):
        prepared = raw.preparation(vectors_of(rows))
        _, numbered = np.unique(member[rows], return_inverse=True)
        made = ClusterModel.of(raw.preparation, prepared, labels[rows], numbered, metric=raw.metric)
        model = _joined(model, made)
    return Remodelled(model, rows, prepared)


def _owners(pairs: np.ndarray, counts: np.ndarray, n_parts: int) -> tuple[np.ndarray, np.ndarray]:
    """The cluster that most members of each part are in, and which parts were taken apart."""
    owners, most = np.full(n_parts, NOISE, np.int64), np.zeros(n_parts, np.int64)
    total = np.zeros(n_parts, np.int64)
    for (part, label), count in zip(pairs.tolist(), counts.tolist(), strict=True):
        if part == NOISE:
            continue
        total[part] += count
        if count > most[part]:
            owners[part], most[part] = label, count
    return owners, most < _WHOLE * total


def _chosen(model: ClusterModel, parts: np.ndarray, owners: np.ndarray) -> ClusterModel:
    return ClusterModel(
        model.preparation, model.centroids[parts], owners, model.radii[parts], model.metric
    )


def _joined(first: ClusterModel, second: ClusterModel) -> ClusterModel:
    return ClusterModel(
        first.preparation,
        np.concatenate([first.centroids, second.centroids]),
        np.concatenate([first.owners, second.owners]),
        np.concatenate([first.radii, second.radii]),
        first.metric,
    )

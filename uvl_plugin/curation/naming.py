"""What stands in the two fields of a clustering: names of clusters at both levels."""

from collections.abc import Mapping

import numpy as np

from uvl_plugin.core.embeddings import NOISE, noise_name
from uvl_plugin.curation.joint import distinct, joint

FINE, COARSE = "fine", "coarse"


def names_of(labels: np.ndarray, names: Mapping[int, str], run_key: str) -> np.ndarray:
    """Name of each item's cluster, shape ``(n,)``, objects.

    Args:
        labels: cluster numbers, shape ``(n,)``, noise -1.
        names: of the clusters by their number.
    """
    return _looked_up(labels, {**names, NOISE: noise_name(run_key)})


def other_names(
    labels: np.ndarray, names: Mapping[int, str], other: np.ndarray, level: str, run_key: str
) -> np.ndarray:
    """Name of each item's cluster at the other level, shape ``(n,)``, objects.

    The levels stay consistent when clusters were edited since: a fine cluster is what a cluster
    and an original fine one have in common, "first_look 03.1"; the coarse one of a cluster is
    that of most of its members, "first_look group 07".

    Args:
        labels, names: clusters as they are now.
        other: numbers at the other level as they were found, shape ``(n,)``.
        level: whether that level is :data:`FINE` or :data:`COARSE`.
    """
    inside = np.flatnonzero(labels != NOISE)
    pairs, member, counts = joint(labels[inside], other[inside])
    of_pair = _fine(pairs, names) if level == FINE else _coarse(pairs, counts, names, run_key)
    found = np.full(len(labels), noise_name(run_key), dtype=object)
    found[inside] = np.array(of_pair, dtype=object)[member]
    return found


def _fine(pairs: np.ndarray, names: Mapping[int, str]) -> list[str]:
    """Pairs are sorted, so those of a cluster stand together."""
    named, clusters = [], pairs[:, 0]
    firsts = np.searchsorted(clusters, clusters)
    for row, (cluster, first) in enumerate(zip(clusters.tolist(), firsts.tolist(), strict=True)):
        named.append(f"{names[cluster]}.{row - first:02d}")
    return named


def _coarse(
    pairs: np.ndarray, counts: np.ndarray, names: Mapping[int, str], run_key: str
) -> list[str]:
    """A cluster most of whose members were noise is a group of its own."""
    most: dict[int, tuple[int, int]] = {}
    for (cluster, group), count in zip(pairs.tolist(), counts.tolist(), strict=True):
        known = most.get(cluster, (0, NOISE))
        most[cluster] = max(known, (count, group), key=lambda found: (found[0], -found[1]))
    groups = ((cluster, most[cluster][1]) for cluster in pairs[:, 0].tolist())
    return [
        names[cluster] if group == NOISE else f"{run_key} group {group:02d}"
        for cluster, group in groups
    ]


def _looked_up(labels: np.ndarray, names: Mapping[int, str]) -> np.ndarray:
    numbers, member, _ = distinct(labels)
    return np.array([names[number] for number in numbers.tolist()], dtype=object)[member]

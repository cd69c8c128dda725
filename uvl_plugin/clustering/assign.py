"""Existing clusters, and to which of them an item belongs how firmly."""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.prepare import Preparation, unit_length
from uvl_plugin.core.errors import DataError

TEMPERATURE = 0.1  # of the softmax over cosines that gives the strength
_ROWS = 65536


@dataclass(frozen=True)
class ClusterModel:
    """Clusters as points, with the preparation that leads to their space.

    Attributes:
        centroids: mean of each cluster's prepared vectors, shape ``(n_clusters, kept)``.
        metric: ``"cosine"`` or ``"euclidean"``: in which the nearest centroid is sought.
    """

    preparation: Preparation
    centroids: np.ndarray
    metric: str

    @classmethod
    def of(
        cls, preparation: Preparation, prepared: np.ndarray, labels: np.ndarray, *, metric: str
    ) -> "ClusterModel":
        """The model of a finished clustering: ``prepared`` is ``(n, kept)``, ``labels`` ``(n,)``."""
        inside = labels >= 0
        n_clusters = int(labels.max(initial=-1)) + 1
        sums = np.zeros((n_clusters, prepared.shape[1]))
        np.add.at(sums, labels[inside], prepared[inside])
        counts = np.bincount(labels[inside], minlength=n_clusters)
        centroids = sums / np.maximum(counts, 1)[:, None]
        return cls(preparation, centroids.astype(np.float32), metric)

    def assign(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Nearest cluster of each vector.

        Args:
            vectors: as the backbone gives them, shape ``(n, dim)``.

        Returns:
            Cluster numbers and strengths, both of shape ``(n,)``.

        Raises:
            DataError: if there are no clusters.
        """
        if len(self.centroids) == 0:
            raise DataError("The run found no clusters (all noise), so nothing can be assigned.")
        prepared = self.preparation(vectors)
        nearest = [self._nearest(rows) for rows in _blocks(prepared)]
        labels = np.concatenate(nearest) if nearest else np.zeros(0, np.int64)
        return labels, self.strengths(prepared, labels)

    def strengths(self, prepared: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Softmax over the cosines to all centroids, own cluster; 0 for noise.

        Cosines are of the prepared vectors, that is from the middle of the data where there
        are principal components.
        """
        strengths = np.zeros(len(labels), dtype=np.float32)
        directions = unit_length(self.centroids)
        for start, rows in zip(range(0, len(labels), _ROWS), _blocks(prepared), strict=True):
            own = labels[start : start + _ROWS]
            inside = np.flatnonzero(own >= 0)
            if len(inside) == 0:
                continue
            cosines = unit_length(rows[inside]) @ directions.T / TEMPERATURE
            cosines -= cosines.max(axis=1, keepdims=True)
            weights = np.exp(cosines)
            chosen = weights[np.arange(len(inside)), own[inside]]
            strengths[start + inside] = chosen / weights.sum(axis=1)
        return strengths

    def _nearest(self, rows: np.ndarray) -> np.ndarray:
        if self.metric == "cosine":
            return (unit_length(rows) @ unit_length(self.centroids).T).argmax(axis=1)
        squares = (self.centroids**2).sum(axis=1)
        return (squares - 2.0 * rows @ self.centroids.T).argmin(axis=1)


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS)]

"""Existing clusters, and to which of them an item belongs how firmly."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.prepare import Preparation, unit_length
from uvl_plugin.core.embeddings import NOISE
from uvl_plugin.core.errors import DataError

TEMPERATURE = 0.1  # of the softmax over cosines that gives the strength
_ROWS = 8192
_CELLS = 2**20  # distances that are held at a time, about
_REACH = 0.99  # share of the members of a part that lie within its radius


@dataclass(frozen=True)
class ClusterModel:
    """Clusters as points, with the preparation that leads to their space.

    Attributes:
        centroids: means of prepared vectors, shape ``(parts, kept)``; a round cluster is one
            part, one of another shape may have several.
        owners: cluster of each part, shape ``(parts,)``, int64; -1: its items become noise.
        radii: distance from each part within which 99 % of its members lie, in ``metric``,
            shape ``(parts,)``, float32.
        metric: ``"cosine"``: distances are 1 - cosine; or ``"euclidean"``.
    """

    preparation: Preparation
    centroids: np.ndarray
    owners: np.ndarray
    radii: np.ndarray
    metric: str

    @classmethod
    def of(
        cls,
        preparation: Preparation,
        prepared: np.ndarray,
        labels: np.ndarray,
        parts: np.ndarray,
        *,
        metric: str,
    ) -> "ClusterModel":
        """The model of a finished clustering.

        Args:
            prepared: vectors, shape ``(n, kept)``.
            labels: cluster of each, shape ``(n,)``, noise -1.
            parts: numbers from 0, shape ``(n,)``: parts of these clusters; or the labels again.
        """
        inside = parts != NOISE
        n_parts = int(parts.max(initial=NOISE)) + 1
        owners = np.full(n_parts, NOISE, np.int64)
        owners[parts[inside]] = labels[inside]
        centroids = means_of(prepared, parts, n_parts)
        model = cls(preparation, centroids, owners, np.zeros(n_parts, np.float32), metric)
        object.__setattr__(model, "radii", model._radii(prepared, parts))
        return model

    @property
    def n_clusters(self) -> int:
        """How many clusters there are."""
        return int(self.owners.max(initial=NOISE)) + 1

    def assign(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Nearest cluster of each vector.

        Args:
            vectors: as the backbone gives them, shape ``(n, dim)``.

        Returns:
            Cluster numbers and strengths, both of shape ``(n,)``.

        Raises:
            DataError: if there are no clusters.
        """
        self.check()
        prepared = self.preparation(vectors)
        labels = self.owners[self.nearest(prepared)[0]]
        return labels, self.strengths(prepared, labels)

    def check(self) -> None:
        """Raises :class:`DataError` if there are no clusters."""
        if self.n_clusters == 0:
            raise DataError("The run found no clusters (all noise), so nothing can be assigned.")

    def nearest(self, prepared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Nearest part of each prepared vector, and how far it is in ``metric``: both ``(n,)``."""
        parts = np.zeros(len(prepared), np.int64)
        distances = np.zeros(len(prepared), np.float32)
        for rows, block in self._blocks(prepared):
            apart = self.distances(block)
            parts[rows] = apart.argmin(axis=1)
            distances[rows] = np.take_along_axis(apart, parts[rows][:, None], axis=1)[:, 0]
        return parts, distances

    def distances(self, prepared: np.ndarray) -> np.ndarray:
        """From each prepared vector to each part, in ``metric``, shape ``(n, parts)``."""
        if self.metric == "cosine":
            return 1.0 - unit_length(prepared) @ unit_length(self.centroids).T
        squares = (prepared**2).sum(axis=1)[:, None] + (self.centroids**2).sum(axis=1)
        return np.sqrt(np.maximum(squares - 2.0 * prepared @ self.centroids.T, 0.0))

    def affinities(self, prepared: np.ndarray) -> np.ndarray:
        """Softmax over the cosines to the clusters, shape ``(n, n_clusters)``; a cluster of several
        parts counts with its nearest.

        Cosines are of the prepared vectors, that is from the middle of the data where there
        are principal components.
        """
        cosines = unit_length(prepared) @ unit_length(self.centroids).T
        order = np.argsort(self.owners, kind="stable")[np.sum(self.owners == NOISE) :]
        owners, starts = np.unique(self.owners[order], return_index=True)
        best = np.full((len(prepared), self.n_clusters), -np.inf, np.float32)
        best[:, owners] = np.maximum.reduceat(cosines[:, order], starts, axis=1)
        weights = np.exp((best - best.max(axis=1, keepdims=True)) / TEMPERATURE)
        return weights / weights.sum(axis=1, keepdims=True)

    def strengths(self, prepared: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """:meth:`affinities` of the own cluster, shape ``(n,)``; 0 for noise."""
        strengths = np.zeros(len(labels), dtype=np.float32)
        for rows, block in self._blocks(prepared):
            inside = np.flatnonzero(labels[rows] != NOISE)
            own = labels[rows][inside, None]
            affinities = self.affinities(block[inside])
            strengths[rows.start + inside] = np.take_along_axis(affinities, own, axis=1)[:, 0]
        return strengths

    def _radii(self, prepared: np.ndarray, parts: np.ndarray) -> np.ndarray:
        own = np.zeros(len(prepared), np.float32)
        for rows, block in self._blocks(prepared):
            inside = np.flatnonzero(parts[rows] != NOISE)
            chosen = parts[rows][inside, None]
            apart = self.distances(block[inside])
            own[rows.start + inside] = np.take_along_axis(apart, chosen, axis=1)[:, 0]
        order = np.argsort(parts, kind="stable")
        members = np.split(own[order], np.searchsorted(parts[order], np.arange(len(self.owners))))
        return np.array([np.quantile(found, _REACH) for found in members[1:]], np.float32)

    def _blocks(self, prepared: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows whose distances to all parts are held at a time."""
        most = max(64, min(_ROWS, _CELLS // max(1, len(self.centroids))))
        for start in range(0, len(prepared), most):
            rows = slice(start, min(start + most, len(prepared)))
            yield rows, prepared[rows]


def means_of(prepared: np.ndarray, parts: np.ndarray, n_parts: int) -> np.ndarray:
    """Mean vector of each part, ``(n_parts, kept)``, float32; noise, -1, is in none.

    Args:
        prepared: shape ``(n, kept)``.
        parts: of each vector, shape ``(n,)``, numbers from 0.
    """
    from scipy.sparse import csr_array

    inside = np.flatnonzero(parts != NOISE)
    counts = np.bincount(parts[inside], minlength=n_parts)
    sums = np.zeros((n_parts, prepared.shape[1]))
    for start in range(0, len(inside), _ROWS):
        rows = inside[start : start + _ROWS]
        ones = (np.ones(len(rows)), (parts[rows], np.arange(len(rows))))
        sums += csr_array(ones, shape=(n_parts, len(rows))) @ prepared[rows].astype(np.float64)
    return (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)

"""How well clusters hold together and keep apart, judged by the vectors alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.core.embeddings import NOISE

_CELLS = 2**22  # distances that are held at a time


@dataclass(frozen=True)
class Separation:
    """Figures over all clusters; noise is left out. None where they are not defined: with fewer
    than two clusters, or as many as items.

    Attributes:
        silhouette: mean of :func:`silhouettes`, -1 to 1.
        davies_bouldin: how alike each cluster and the most similar other are, at least 0; low is
            good (D. Davies, D. Bouldin, IEEE Trans. PAMI 1, 1979, page 224).
        calinski_harabasz: spread between clusters to that within, by degrees of freedom, at
            least 0; high is good (T. Calinski, J. Harabasz, Commun. Stat. 3, 1974, page 1).
    """

    silhouette: float | None
    davies_bouldin: float | None
    calinski_harabasz: float | None


class Moments:
    """Clusters as means and spreads, computed once, in time and memory that grow with ``n``.

    By cosine all vectors are scaled to length 1 first, so that squared Euclidean distances are
    twice the cosine distances, and both metrics share everything.

    Args:
        vectors: prepared, shape ``(n, dim)``.
        labels: shape ``(n,)``, clusters from 0, each with an item; noise -1.
        metric: ``"cosine"`` or ``"euclidean"``.

    Attributes:
        sizes: items of each cluster, shape ``(k,)``.
        means: shape ``(k, dim)``, float32.
        spreads: mean squared distance of the members from the mean, shape ``(k,)``.
    """

    def __init__(self, vectors: np.ndarray, labels: np.ndarray, metric: str):
        from scipy.sparse import csr_array

        self._vectors, self.labels, self._unit = vectors, labels, metric == "cosine"
        n_clusters = int(labels.max(initial=NOISE)) + 1
        self.sizes = np.bincount(labels[labels != NOISE], minlength=n_clusters)
        sums = np.zeros((n_clusters, vectors.shape[1]))
        for rows, points in self._blocks():
            inside = np.flatnonzero(labels[rows] != NOISE)
            ones = (np.ones(len(inside)), (labels[rows][inside], inside))
            sums += csr_array(ones, shape=(n_clusters, len(points))) @ points.astype(np.float64)
        self.means = (sums / self.sizes[:, None]).astype(np.float32)
        squares, _ = self.own_distances()
        self.spreads = self._mean_of(squares)

    def __len__(self) -> int:
        return len(self.sizes)

    def own_distances(self) -> tuple[np.ndarray, np.ndarray]:
        """Squared distance and cosine of each item to the mean of its cluster, both ``(n,)``,
        float64; 0 for noise."""
        squares, cosines = np.zeros(len(self.labels)), np.zeros(len(self.labels))
        for rows, points in self._blocks():
            inside = np.flatnonzero(self.labels[rows] != NOISE)
            means = self.means[self.labels[rows][inside]]
            squares[rows.start + inside] = ((points[inside] - means) ** 2).sum(axis=1)
            products = unit_length(points[inside]) * unit_length(means)
            cosines[rows.start + inside] = products.sum(axis=1)
        return squares, cosines

    def silhouettes(self) -> np.ndarray:
        """See :func:`silhouettes`."""
        found = np.zeros(len(self.labels), np.float32)
        if len(self) < 2:
            return found
        offsets = (self.means.astype(np.float64) ** 2).sum(axis=1) + self.spreads
        for rows, points in self._blocks():
            inside = np.flatnonzero(self.labels[rows] != NOISE)
            own = self.labels[rows][inside, None]
            lengths = (points[inside].astype(np.float64) ** 2).sum(axis=1)[:, None]
            apart = lengths + offsets - 2.0 * (points[inside] @ self.means.T)  # means over members
            sizes = self.sizes[own[:, 0]]
            within = np.take_along_axis(apart, own, axis=1)[:, 0] * sizes / np.maximum(sizes - 1, 1)
            np.put_along_axis(apart, own, np.inf, axis=1)
            between = np.maximum(apart.min(axis=1), 0.0)
            within = np.maximum(within, 0.0)
            most = np.maximum(np.maximum(within, between), np.finfo(np.float32).tiny)
            found[rows.start + inside] = np.where(sizes > 1, (between - within) / most, 0.0)
        return found

    def nearest_others(self) -> tuple[np.ndarray, np.ndarray]:
        """The cluster whose mean is nearest to that of each, and how far, both ``(k,)``; -1 and
        infinity where there is only one."""
        k = len(self)
        others, distances = np.full(k, NOISE), np.full(k, np.inf)
        for rows, apart in self._between():
            others[rows], distances[rows] = apart.argmin(axis=1), apart.min(axis=1)
        others[np.isinf(distances)] = NOISE
        return others, distances

    def separation(self, silhouettes: np.ndarray) -> Separation:
        """All figures."""
        n, k = int(self.sizes.sum()), len(self)
        if not 2 <= k < n:
            return Separation(None, None, None)
        return Separation(
            float(silhouettes[self.labels != NOISE].mean()),
            self._davies_bouldin(),
            self._calinski_harabasz(n, k),
        )

    def _davies_bouldin(self) -> float | None:
        squares, _ = self.own_distances()
        reach = self._mean_of(np.sqrt(squares))
        worst = np.zeros(len(self))
        for rows, apart in self._between():
            both = reach[rows, None] + reach
            if (apart == 0).any():  # two clusters with one mean
                return None
            worst[rows] = (both / apart).max(axis=1)
        return float(worst.mean())

    def _calinski_harabasz(self, n: int, k: int) -> float | None:
        middle = (self.sizes[:, None] * self.means.astype(np.float64)).sum(axis=0) / n
        between = float((self.sizes * ((self.means - middle) ** 2).sum(axis=1)).sum())
        within = float((self.sizes * self.spreads).sum())
        return None if within == 0 else between / within * (n - k) / (k - 1)

    def _mean_of(self, values: np.ndarray) -> np.ndarray:
        inside = self.labels != NOISE
        sums = np.bincount(self.labels[inside], values[inside], minlength=len(self.sizes))
        return sums / self.sizes

    def _between(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Distances from some means to all, infinity to themselves."""
        k, means = len(self), self.means.astype(np.float64)
        squares = (means**2).sum(axis=1)
        step = max(1, _CELLS // max(k, 1))
        for start in range(0, k, step):
            rows = slice(start, min(start + step, k))
            apart = squares[rows, None] + squares - 2.0 * means[rows] @ means.T
            apart = np.sqrt(np.maximum(apart, 0.0))
            apart[np.arange(len(apart)), np.arange(rows.start, rows.stop)] = np.inf
            yield rows, apart

    def _blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        widest = max(self._vectors.shape[1], int(self.labels.max(initial=NOISE)) + 1)
        step = max(1, _CELLS // widest)
        for start in range(0, len(self._vectors), step):
            rows = slice(start, min(start + step, len(self._vectors)))
            block = self._vectors[rows]
            yield rows, unit_length(block) if self._unit else block


def silhouettes(vectors: np.ndarray, labels: np.ndarray, metric: str) -> np.ndarray:
    """How much nearer each item is to its own cluster than to the next, -1 to 1, shape ``(n,)``,
    float32; 0 for noise, for an item alone in its cluster and where there is one cluster.

    Of mean distances to all members (P. Rousseeuw, J. Comput. Appl. Math. 20, 1987, page 55), and
    exact: by cosine, or of squared Euclidean distances, these means need only the mean and the
    spread of a cluster. So n items cost n times the clusters, and no sample is drawn.

    Args:
        vectors: prepared, shape ``(n, dim)``.
        labels: shape ``(n,)``, noise -1.
        metric: ``"cosine"`` or ``"euclidean"`` (squared).
    """
    inside = labels != NOISE
    numbered = np.full(len(labels), NOISE)
    numbered[inside] = np.unique(labels[inside], return_inverse=True)[1]
    return Moments(vectors, numbered, metric).silhouettes()

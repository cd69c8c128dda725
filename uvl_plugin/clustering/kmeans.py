"""k-means: round clusters around their means; every item belongs to one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uvl_plugin.clustering.base import Clusterer, clusterers
from uvl_plugin.clustering.lloyd import Fit, Map, few_threads, lloyd
from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.clustering.seeding import seeds
from uvl_plugin.clustering.space import Grouping, Space
from uvl_plugin.core.progress import Progress, part
from uvl_plugin.core.settings import setting

_STARTS, _LEAST_STARTS = 30, 3  # one start in four found the best of ten clusters of digits
_STARTED = 600  # clusters of all starts together, about
_SAMPLE, _SAMPLE_OF_EACH = 16_384, 16  # vectors that starts are judged on, at least: in all, each
_SAMPLE_ITERATIONS = 10
_STILL, _STILL_OF_MANY = 1e-6, 5e-5  # ends when the spread falls by no more than this share
_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # faiss has GPUs under Linux only


@clusterers.register
@dataclass(frozen=True, kw_only=True)
class KMeans(Clusterer):
    """Lloyd's k-means from greedy k-means++ starts, exact, on all vectors.

    The vectors are read block by block, and so may lie in a mapped file. Where faiss sees a GPU,
    it runs the iterations there.

    Source: S. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28 (1982),
    page 129; see :mod:`~uvl_plugin.clustering.lloyd` and :mod:`~uvl_plugin.clustering.seeding`.
    """

    name, label = "kmeans", "k-means"
    description = "A fixed number of clusters of similar size; fast, also for millions."

    n_clusters: int = setting(10, ge=1, le=65536, help="How many clusters to make.")
    spherical: bool = setting(
        True, help="Compare by direction: centroids have length 1. Varies less with the seed."
    )
    n_init: int | None = setting(
        None,
        ge=1,
        le=1000,
        label="Starts",
        help="Independent starts; the best one is kept. Empty: 30 for up to 20 clusters, fewer "
        "for more, at least 3. Of more than 16,384 vectors (or 16 a cluster) a sample of so many "
        "says which start is best, and only that one goes on with all.",
    )
    max_iter: int = setting(50, ge=1, le=1000, label="Iterations", help="Iterations of each start.")
    seed: int = setting(0, ge=0, le=2**31 - 1, help="Seed of the starts.")

    @property
    def metric(self) -> str:
        return "cosine" if self.spherical else "euclidean"

    def cluster(self, space: Space, progress: Progress) -> Grouping:
        vectors, n = space.vectors, len(space)
        random = np.random.default_rng(self.seed)
        few = max(_SAMPLE, _SAMPLE_OF_EACH * self.n_clusters)
        with few_threads() as each:
            if n <= few:
                fit = self._best_start(vectors, random, each, self.max_iter, progress)
            else:
                sample = vectors[np.sort(random.choice(n, few, replace=False))]
                first = part(progress, 0.0, 0.3)
                best = self._best_start(sample, random, each, _SAMPLE_ITERATIONS, first)
                fit = self._on_all(vectors, best.centres, each, part(progress, 0.3, 1.0))
        return Grouping(fit.labels, report={"iterations": fit.n_iter, "spread": fit.spread})

    def _best_start(
        self, vectors: np.ndarray, random: np.random.Generator, each: Map, most: int, show: Progress
    ) -> Fit:
        """The start that ends with the least spread."""
        chosen_from = unit_length(vectors) if self.spherical else vectors - vectors.mean(axis=0)
        usual = max(_LEAST_STARTS, min(_STARTS, _STARTED // self.n_clusters))
        starts = self.n_init or usual
        found = []
        for start in range(starts):
            show(start / starts, f"k-means, start {start + 1} of {starts}")
            rows = seeds(chosen_from, min(self.n_clusters, len(vectors)), random)
            centres = chosen_from[rows] if self.spherical else vectors[rows]
            now = part(show, start / starts, (start + 1) / starts)
            found.append(self._lloyd(vectors, centres, each, most, _STILL, now))
            found = [min(found, key=lambda fit: fit.spread)]
        return found[0]

    def _on_all(
        self, vectors: np.ndarray, centres: np.ndarray, each: Map, progress: Progress
    ) -> Fit:
        if not _gpu():
            return self._lloyd(vectors, centres, each, self.max_iter, _STILL_OF_MANY, progress)
        import faiss

        kmeans: Any = faiss.Kmeans(
            vectors.shape[1],
            len(centres),
            niter=self.max_iter,
            spherical=self.spherical,
            early_stop_threshold=_STILL_OF_MANY,
            min_points_per_centroid=1,
            max_points_per_centroid=len(vectors),  # all items, not a sample of them
            gpu=True,
        )
        kmeans.train(vectors, init_centroids=centres)
        distances, nearest = kmeans.assign(vectors)
        spread = float(distances.sum(dtype=np.float64))
        return Fit(nearest.ravel(), kmeans.centroids, spread, len(kmeans.obj))

    def _lloyd(
        self,
        vectors: np.ndarray,
        centres: np.ndarray,
        each: Map,
        most: int,
        still: float,
        progress: Progress,
    ) -> Fit:
        return lloyd(
            vectors,
            centres,
            each,
            spherical=self.spherical,
            max_iter=most,
            still=still,
            progress=progress,
        )


def _gpu() -> bool:
    """Whether faiss sees a GPU; it is not loaded, which takes 165 MB, where there is no driver."""
    if not any(Path(driver).exists() for driver in _DRIVERS):
        return False
    import faiss

    return faiss.get_num_gpus() > 0

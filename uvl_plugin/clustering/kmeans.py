"""k-means: round clusters around their means; every item belongs to one."""

from dataclasses import dataclass

from uvl_plugin.clustering.base import Clusterer, clusterers
from uvl_plugin.clustering.space import Grouping, Space
from uvl_plugin.core.progress import Progress
from uvl_plugin.core.settings import setting

_STARTS, _FEWER_STARTS = 30, 10  # one start in four found the best of ten clusters of digits
_MANY = 50_000
_STILL = 1e-6  # a start ends when its objective changes by no more than this share


@clusterers.register
@dataclass(frozen=True, kw_only=True)
class KMeans(Clusterer):
    """Lloyd's k-means with k-means++ starts, as faiss runs it, on a GPU where faiss sees one.

    Source: S. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28 (1982),
    page 129; D. Arthur, S. Vassilvitskii, "k-means++", SODA 2007, page 1027.
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
        help="Independent starts; the best one is kept. Empty: 30, or 10 for over 50,000 vectors.",
    )
    max_iter: int = setting(50, ge=1, le=1000, label="Iterations", help="Iterations of each start.")
    seed: int = setting(0, ge=0, le=2**31 - 1, help="Seed of the starts.")

    @property
    def metric(self) -> str:
        return "cosine" if self.spherical else "euclidean"

    def cluster(self, space: Space, progress: Progress) -> Grouping:
        import faiss

        n, dim = space.vectors.shape
        n_clusters = min(self.n_clusters, n)
        progress(0.0, f"k-means, {n_clusters} clusters")
        kmeans = faiss.Kmeans(
            dim,
            n_clusters,
            niter=self.max_iter,
            nredo=self.n_init or (_STARTS if n <= _MANY else _FEWER_STARTS),
            seed=self.seed,
            spherical=self.spherical,
            early_stop_threshold=_STILL,
            init_method=faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS,
            min_points_per_centroid=1,
            max_points_per_centroid=n,  # all items, not a sample of them
            gpu=bool(faiss.get_num_gpus()),
        )
        kmeans.train(space.vectors)
        _, nearest = kmeans.assign(space.vectors)
        return Grouping(nearest.ravel())

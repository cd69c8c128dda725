"""Spectral: k-means on the leading eigenvectors of the graph of shared neighbours."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.clustering.base import Clusterer, clusterers
from uvl_plugin.clustering.graph import connected, shared_neighbor_graph
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.clustering.space import Grouping, Space
from uvl_plugin.clustering.spread import alike
from uvl_plugin.core.progress import Progress, part
from uvl_plugin.core.settings import setting

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_MOST = 20_000  # items whose graph is solved
_MORE = 1  # eigenvectors beyond the number of clusters
_DENSE = 1_000  # items up to which all of the matrix is solved, which is as fast
_CLOSE = 1e-5  # error of an eigenvalue, of the largest, which is 1
_LANCZOS = 40  # least vectors that the solver keeps


@clusterers.register
@dataclass(frozen=True, kw_only=True)
class Spectral(Clusterer):
    """Cuts the graph of shared neighbours where the fewest edges are lost.

    Neighbours are joined by the share of the neighbours that they have in common, and parts of
    the graph that no edge joins by bridges between their nearest items: without them the parts
    are the clusters. Rows of the leading eigenvectors of the normalised Laplacian, scaled to
    length 1, are clustered with k-means. The eigenvector after those of the clusters counts as far
    as its eigenvalue is near the last of them: without it, samples of digits fell from .89 to
    .81. Over 20,000 items a sample of that many is solved, and the others join their nearest item
    in it.

    Source: U. von Luxburg, "A tutorial on spectral clustering", arXiv:0711.0189, section 4; more
    eigenvectors than clusters: N. Rebagliati, A. Verri, Neurocomputing 74 (2011), page 1391.
    """

    name, label = "spectral", "Spectral"
    description = "A fixed number of clusters of any shape that few neighbours connect."
    round = False

    n_clusters: int = setting(10, ge=1, le=200, help="How many clusters to make.")
    n_neighbors: int = setting(12, ge=2, le=200, help="Neighbours of each item in the graph.")
    seed: int = setting(
        0, ge=0, le=2**31 - 1, help="Seed of k-means and, over 20,000 items, of the sample."
    )

    def cluster(self, space: Space, progress: Progress) -> Grouping:
        n = len(space)
        progress(0.0, f"spectral, {self.n_clusters} clusters, {n} vectors")
        if min(n, self.n_clusters) == 1 or alike(space.vectors):
            return Grouping(np.zeros(n, np.int64))
        if n <= _MOST:
            return Grouping(self._clusters(space, progress))
        random = np.random.default_rng(self.seed)
        chosen = np.sort(random.choice(n, _MOST, replace=False))
        sample = Space(space.vectors[chosen])
        labels = self._clusters(sample, progress)
        nearest = _nearest(space.vectors, sample.vectors)
        return Grouping(labels[nearest], report={"solved_on": _MOST})

    def _clusters(self, space: Space, progress: Progress) -> np.ndarray:
        neighbors = space.neighbors(self.n_neighbors, part(progress, 0.0, 0.4))
        graph = connected(shared_neighbor_graph(neighbors), space.vectors)
        progress(0.5, f"eigenvectors of {graph.nnz // 2:,} edges")
        n_clusters = min(self.n_clusters, len(space))
        rows = unit_length(embedded(graph, n_clusters))
        algorithm = KMeans(n_clusters=n_clusters, seed=self.seed)
        return algorithm.cluster(Space(rows), part(progress, 0.9, 1.0)).labels


def embedded(graph: "csr_array", n_clusters: int) -> np.ndarray:
    """Leading eigenvectors, and one more than ``n_clusters`` scaled by how near it is.

    Its scale is the last eigenvalue of the Laplacian that stands for a cluster divided by its
    own: 1 where nothing tells them apart, near 0 where a gap says that there are ``n_clusters``.
    """
    values, vectors = eigenvectors(graph, n_clusters + _MORE)
    last = max(values[n_clusters - 1], _CLOSE)
    vectors[:, n_clusters:] *= last / np.maximum(values[n_clusters:], last).astype(np.float32)
    return vectors


def eigenvectors(graph: "csr_array", wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Those of the smallest eigenvalues of the normalised Laplacian.

    They are those of the largest of ``D^-1/2 W D^-1/2``, which a solver finds without inverses.

    Args:
        graph: symmetric, shape ``(n, n)``, every item with an edge.
        wanted: how many; at most ``n`` are returned.

    Returns:
        Eigenvalues of the Laplacian, 0 to 2, smallest first, shape ``(wanted,)``; and
        eigenvectors, shape ``(n, wanted)``, float32, columns of length 1.
    """
    from scipy.linalg import eigh
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import eigsh

    n = graph.shape[0]
    wanted = min(wanted, n)
    scales = diags_array(1.0 / np.sqrt(graph.sum(axis=1, dtype=np.float64)))
    scaled = (scales @ graph.astype(np.float64) @ scales).tocsr()
    if n <= _DENSE:
        values, found = eigh(scaled.toarray(), subset_by_index=(n - wanted, n - 1))
    else:
        start = np.random.default_rng(0).normal(size=n)
        kept = min(n, max(2 * wanted + 1, _LANCZOS))
        values, found = eigsh(scaled, wanted, which="LA", v0=start, ncv=kept, tol=_CLOSE)
    order = np.argsort(-values)
    return 1.0 - values[order], found[:, order].astype(np.float32)


def _nearest(vectors: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """Which of the sample is nearest to each vector, shape ``(n,)``."""
    import faiss

    index = faiss.IndexFlatL2(sample.shape[1])
    index.add(sample)
    return index.search(vectors, 1)[1][:, 0]

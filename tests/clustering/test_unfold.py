import numpy as np
import pytest
from sklearn.datasets import make_circles
from sklearn.metrics import adjusted_rand_score

from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.core.embeddings import Embeddings


@pytest.fixture(scope="module")
def circles():
    points, truth = make_circles(300, factor=0.4, noise=0.03, random_state=0)
    return Embeddings(np.arange(300), points), truth


def test_any_algorithm_can_see_the_vectors_unfolded(circles):
    embeddings, truth = circles
    plain = {"normalize": False, "pca": 0, "spherical": False, "n_clusters": 2}
    bent, _ = cluster_embeddings(embeddings, KMeans(**plain))
    result, model = cluster_embeddings(embeddings, KMeans(**plain, umap=2))
    assert adjusted_rand_score(truth, bent.labels) < 0.1
    assert adjusted_rand_score(truth, result.labels) > 0.99
    assigned, _ = model.assign(embeddings.vectors)  # by the parts of the bent clusters
    assert np.mean(assigned == result.labels) > 0.95


def test_the_same_again_gives_the_same(circles):
    algorithm = KMeans(normalize=False, pca=0, n_clusters=2, umap=3, seed=5)
    first, second = (cluster_embeddings(circles[0], algorithm)[0] for _ in range(2))
    assert (first.labels == second.labels).all()

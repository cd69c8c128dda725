import numpy as np
import pytest
from sklearn.cluster import KMeans as Reference
from sklearn.metrics import adjusted_rand_score

from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.core.embeddings import Embeddings


def spread(vectors, labels) -> float:
    """What k-means makes small: squared distances to the means, summed slowly."""
    groups = [vectors[labels == label] for label in set(labels)]
    return sum(float(((group - group.mean(axis=0)) ** 2).sum()) for group in groups)


def test_clusters_are_as_tight_as_those_of_scikit_learn():
    vectors = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    algorithm = KMeans(n_clusters=8, normalize=False, pca=0)
    result, _ = cluster_embeddings(Embeddings(np.arange(400), vectors), algorithm)
    reference = Reference(8, n_init=10, max_iter=50, random_state=0).fit(vectors)
    assert spread(vectors, result.labels) < 1.02 * reference.inertia_


@pytest.mark.parametrize("spherical", [False, True])
def test_spherical_compares_by_direction(spherical):
    random = np.random.default_rng(0)
    truth = np.arange(90) % 3
    lengths = random.choice([1.0, 100.0], size=(90, 1))
    vectors = lengths * (np.eye(3)[truth] + 0.05 * random.normal(size=(90, 3)))
    algorithm = KMeans(n_clusters=3, spherical=spherical, normalize=False, pca=0)
    result, _ = cluster_embeddings(Embeddings(np.arange(90), vectors), algorithm)
    agrees = adjusted_rand_score(truth, result.labels)
    assert (agrees > 0.99) is spherical


def test_more_clusters_than_items_gives_each_its_own():
    result, _ = cluster_embeddings(Embeddings(np.arange(4), np.eye(4)), KMeans(n_clusters=10))
    assert sorted(result.labels) == [0, 1, 2, 3]


def test_the_seed_chooses_the_start():
    vectors = np.random.default_rng(0).normal(size=(300, 5))
    embeddings = Embeddings(np.arange(300), vectors)
    found = [
        cluster_embeddings(embeddings, KMeans(n_clusters=20, n_init=1, seed=seed))[0].labels
        for seed in (0, 0, 1)
    ]
    assert (found[0] == found[1]).all()
    assert adjusted_rand_score(found[0], found[2]) < 0.99


@pytest.mark.parametrize("spherical", [False, True])
def test_new_items_go_where_the_old_ones_went(blobs, spherical):
    algorithm = KMeans(n_clusters=5, spherical=spherical)
    result, model = cluster_embeddings(blobs.embeddings, algorithm)
    labels, strengths = model.assign(blobs.embeddings.vectors)
    assert (labels == result.labels).all()
    assert strengths == pytest.approx(result.strengths, abs=1e-5)

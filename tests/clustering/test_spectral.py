import numpy as np
import pytest
from sklearn.datasets import load_digits, make_circles, make_moons
from sklearn.metrics import adjusted_rand_score

from uvl_plugin.clustering import spectral
from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.graph import connected, shared_neighbor_graph
from uvl_plugin.clustering.quality import agreement
from uvl_plugin.clustering.space import Space
from uvl_plugin.clustering.spectral import Spectral, eigenvectors, embedded
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.core.progress import silent


def grouped(vectors, **settings):
    return Spectral(**settings).cluster(Space(vectors.astype(np.float32)), silent)


def graph_of(n):
    vectors = np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32)
    return connected(shared_neighbor_graph(Space(vectors).neighbors(8)), vectors)


@pytest.mark.parametrize("shape", [make_moons, lambda n, **s: make_circles(n, factor=0.4, **s)])
def test_groups_need_not_be_round(shape):
    points, truth = shape(400, noise=0.04, random_state=0)
    assert adjusted_rand_score(truth, grouped(points, n_clusters=2).labels) > 0.97


def test_a_small_group_far_away_is_one_of_the_clusters():
    random = np.random.default_rng(0)
    middles = np.repeat([[0, 0], [9, 0], [200, 200]], [150, 150, 17], axis=0)
    found = grouped(middles + random.normal(size=middles.shape), n_clusters=3)
    assert adjusted_rand_score(middles[:, 0], found.labels) > 0.95


def test_eigenvectors_are_those_of_the_laplacian(monkeypatch):
    graph = graph_of(300)
    weights = graph.toarray().astype(float)
    scales = 1 / np.sqrt(weights.sum(axis=1))
    laplacian = np.eye(300) - scales[:, None] * weights * scales
    expected = np.linalg.eigvalsh(laplacian)[:6]
    for most in (1000, 10):  # solved whole, and in part
        monkeypatch.setattr(spectral, "_DENSE", most)
        values, found = eigenvectors(graph, 6)
        assert values == pytest.approx(expected, abs=1e-4)
        assert found.shape == (300, 6)
        assert laplacian @ found == pytest.approx(found * expected, abs=3e-3)
        assert found.T @ found == pytest.approx(np.eye(6), abs=1e-4)


def test_the_eigenvector_beyond_a_gap_does_not_count():
    """Three groups that nearly nothing connects, of which one could be split in two."""
    random = np.random.default_rng(0)
    middles = np.repeat([[0, 0], [60, 0], [0, 60]], [200, 60, 20], axis=0)
    vectors = (middles + random.normal(size=middles.shape)).astype(np.float32)
    graph = connected(shared_neighbor_graph(Space(vectors).neighbors(12)), vectors)
    lengths = np.linalg.norm(embedded(graph, 3), axis=0)
    assert lengths[:3] == pytest.approx(np.ones(3), abs=1e-5)
    assert lengths[3] < 0.1
    noise = graph_of(300)
    assert np.linalg.norm(embedded(noise, 3), axis=0)[3] > 0.5


def test_many_items_join_their_nearest_in_a_sample(monkeypatch):
    monkeypatch.setattr(spectral, "_MOST", 300)
    points, truth = make_moons(900, noise=0.04, random_state=0)
    found = grouped(points, n_clusters=2)
    assert adjusted_rand_score(truth, found.labels) > 0.97
    assert found.report == {"solved_on": 300}


def test_ten_handwritten_digits():
    digits = load_digits()
    embeddings = Embeddings(np.arange(len(digits.data)), digits.data)
    result, _ = cluster_embeddings(embeddings, Spectral(n_clusters=10))
    noise = np.zeros(len(result), bool)
    assert agreement(result.labels, digits.target, noise).accuracy > 0.87  # 0.908; k-means 0.78


@pytest.mark.real_data
def test_two_kinds_of_digits_whose_graph_falls_apart(real_data):
    """Without bridges between the parts an outlying handful is one of the clusters."""
    from PIL import Image

    folders = [sorted((real_data / f"images/mnist/{digit}").glob("*.png"))[:80] for digit in "01"]
    pixels = np.array([np.asarray(Image.open(p).convert("L")).ravel() for f in folders for p in f])
    embeddings = Embeddings(np.arange(160), pixels / 255)
    result, _ = cluster_embeddings(embeddings, Spectral(n_clusters=2))
    assert adjusted_rand_score(np.repeat([0, 1], 80), result.labels) > 0.85

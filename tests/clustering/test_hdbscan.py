import numpy as np
import pytest
from sklearn.datasets import make_circles
from sklearn.metrics import adjusted_rand_score

from uvl_plugin.clustering import hdbscan
from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.hdbscan import HDBSCAN
from uvl_plugin.core.embeddings import Embeddings


def clustered(points, **settings):
    algorithm = HDBSCAN(normalize=False, pca=0, **settings)
    return cluster_embeddings(Embeddings(np.arange(len(points)), points), algorithm)[0]


def groups(centres, size, width, seed=0):
    random = np.random.default_rng(seed)
    return np.concatenate([random.normal(centre, width, size=(size, 2)) for centre in centres])


def test_scattered_items_are_noise():
    dense = groups([(0, 0), (20, 0)], 60, 0.5)
    far = np.array([(x, y) for x in (-40, 10, 60) for y in (-40, 40)], float)
    result = clustered(np.concatenate([dense, far]))
    assert result.n_clusters == 2
    assert (result.labels[-len(far) :] == -1).all()
    assert (result.strengths[-len(far) :] == 0).all()
    assert np.mean(result.labels[: len(dense)] == -1) < 0.1


def test_groups_need_not_be_round():
    points, truth = make_circles(400, factor=0.4, noise=0.03, random_state=0)
    assert adjusted_rand_score(truth, clustered(points).labels) > 0.99


@pytest.mark.parametrize(("smallest", "found"), [(10, 3), (20, 2)])
def test_groups_below_the_smallest_size_are_none(smallest, found):
    points = np.concatenate([groups([(0, 0), (9, 0)], 50, 0.4), groups([(0, 9)], 15, 0.4)])
    assert clustered(points, min_cluster_size=smallest, min_samples=5).n_clusters == found


def test_leaf_splits_what_eom_keeps_whole():
    points = groups([(0, 0), (4, 0), (40, 0), (44, 0)], 80, 0.45)
    large = clustered(points, min_samples=5, selection="eom")
    fine = clustered(points, min_samples=5, selection="leaf")
    assert large.n_clusters == 4
    assert fine.n_clusters > 4
    for cluster in range(fine.n_clusters):
        assert len(set(large.labels[fine.labels == cluster])) == 1


def test_a_core_item_belongs_more_firmly_than_a_rim_item():
    result = clustered(groups([(0, 0), (9, 0)], 100, 0.5))
    points = groups([(0, 0), (9, 0)], 100, 0.5)
    first = result.labels == result.labels[0]
    distance = np.linalg.norm(points - points[first].mean(axis=0), axis=1)
    inner = first & (distance < 0.3)
    outer = first & (distance > 1.0)
    assert result.strengths[inner].mean() > result.strengths[outer].mean() + 0.1


@pytest.mark.parametrize("smallest", [10, 40])
def test_many_items_are_clustered_by_their_neighbours_alike(smallest, monkeypatch):
    points = groups([(0, 0), (5, 0), (0, 40), (90, 90)], 150, 0.7)
    far = np.random.default_rng(1).uniform(-200, 200, size=(20, 2))
    points = np.concatenate([points, far])
    exact = clustered(points, min_cluster_size=smallest)
    monkeypatch.setattr(hdbscan, "_MOST", 100)
    found = clustered(points, min_cluster_size=smallest)
    assert found.n_clusters == exact.n_clusters
    assert adjusted_rand_score(exact.labels, found.labels) > 0.95
    assert np.mean(np.abs(found.strengths - exact.strengths)) < 0.05


def test_the_density_of_many_items_is_that_of_at_most_a_hundred_neighbours(monkeypatch):
    monkeypatch.setattr(hdbscan, "_MOST", 100)
    points = groups([(0, 0), (50, 50)], 160, 0.5)
    result = clustered(points, min_cluster_size=150)
    assert result.n_clusters == 2


def test_equal_items_among_many_are_no_error(monkeypatch):
    monkeypatch.setattr(hdbscan, "_MOST", 100)
    points = np.repeat([[0.0, 0.0], [9.0, 9.0]], 120, axis=0)
    assert clustered(points).n_clusters == 2

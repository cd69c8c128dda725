import sys

import numpy as np
import pytest
from sklearn.datasets import make_circles
from sklearn.metrics import adjusted_rand_score

from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.space import Grouping
from uvl_plugin.clustering.umap_hdbscan import UMAPHDBSCAN
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.core.errors import MissingPackageError


def clustered(points, **settings):
    algorithm = UMAPHDBSCAN(normalize=False, pca=0, **settings)
    return cluster_embeddings(Embeddings(np.arange(len(points)), points), algorithm)[0]


def circles():
    return make_circles(300, factor=0.4, noise=0.03, random_state=0)


@pytest.fixture
def without_umap(monkeypatch):
    """An installation that lacks it."""
    monkeypatch.setitem(sys.modules, "umap", None)


def test_planted_groups_are_found_with_their_number(blobs):
    result = cluster_embeddings(blobs.embeddings, UMAPHDBSCAN(min_cluster_size=10))[0]
    assert result.n_clusters == len(blobs.sizes)
    assert adjusted_rand_score(blobs.truth, result.labels) > 0.99


def test_groups_need_not_be_round_and_the_seed_decides():
    points, truth = circles()
    first, same = (clustered(points, min_cluster_size=40, seed=3) for _ in range(2))
    assert adjusted_rand_score(truth, first.labels) > 0.99
    assert (first.labels == same.labels).all()
    assert (first.strengths == same.strengths).all()


def test_scattered_items_do_not_become_large_groups(blobs):
    random = np.random.default_rng(1)
    scattered = random.normal(scale=4, size=(12, 96))
    points = np.concatenate([blobs.embeddings.vectors, scattered])
    result = clustered(points, min_cluster_size=15)
    assert result.n_clusters == len(blobs.sizes)
    known = slice(len(blobs.truth))
    assert adjusted_rand_score(blobs.truth, result.labels[known]) > 0.95
    noise = result.labels == -1
    assert (result.strengths[noise] == 0).all()


@pytest.mark.parametrize(("n", "smallest"), [(44, 5), (250, 5), (1000, 20), (1600, 32)])
def test_the_smallest_cluster_is_one_item_in_fifty(n, smallest, monkeypatch):
    asked = []

    class Dense:
        def __init__(self, min_cluster_size):
            asked.append(min_cluster_size)

        def cluster(self, space, progress):
            return Grouping(np.zeros(len(space)), np.ones(len(space)))

    monkeypatch.setattr("uvl_plugin.clustering.umap_hdbscan.HDBSCAN", Dense)
    monkeypatch.setattr(
        "uvl_plugin.clustering.umap_hdbscan.unfold", lambda space, *settings: space.vectors
    )
    clustered(np.zeros((n, 2)))
    clustered(np.zeros((n, 2)), min_cluster_size=9)
    assert asked == [smallest, 9]


@pytest.mark.parametrize(("n", "settings"), [(44, {}), (11, {"n_neighbors": 2}), (2, {})])
def test_few_items_need_no_umap(n, settings, without_umap):
    points = np.random.default_rng(0).normal(size=(n, 4))
    points[: n // 2] += 50
    result = clustered(points, **settings)
    assert len(result.labels) == n
    if n == 44:
        assert result.n_clusters == 2


@pytest.mark.parametrize(("n", "settings"), [(45, {}), (12, {"n_neighbors": 2})])
def test_more_items_need_it(n, settings, without_umap):
    points = np.random.default_rng(0).normal(size=(n, 4))
    with pytest.raises(
        MissingPackageError, match="UMAP needs .*'umap-learn': .* install umap-learn"
    ):
        clustered(points, **settings)


def test_a_sample_is_unfolded_and_the_others_join_it(monkeypatch, without_umap):
    """With few items nothing is unfolded, and so the test needs no UMAP."""
    monkeypatch.setattr("uvl_plugin.clustering.umap_hdbscan._MOST", 40)
    truth = np.arange(400) % 2
    points = 50 * truth[:, None] + np.random.default_rng(0).normal(size=(400, 4))
    points[7] = 500
    result = clustered(points, min_cluster_size=100)
    assert result.n_clusters == 2
    assert result.labels[7] == -1
    assert adjusted_rand_score(np.delete(truth, 7), np.delete(result.labels, 7)) > 0.9


@pytest.mark.real_data
def test_two_kinds_of_real_digits_are_told_apart(real_data):
    from PIL import Image

    folders = [sorted((real_data / f"images/mnist/{digit}").glob("*.png"))[:60] for digit in "01"]
    pixels = np.array([np.asarray(Image.open(p).convert("L")).ravel() for f in folders for p in f])
    result = clustered(pixels / 255, min_cluster_size=20)
    truth = np.repeat([0, 1], 60)
    assert adjusted_rand_score(truth, result.labels) > 0.85

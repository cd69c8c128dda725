import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from uvl_plugin.clustering import birch
from uvl_plugin.clustering.birch import Birch
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.progress import silent


def grouped(vectors, **settings):
    return Birch(**settings).cluster(Space(vectors), silent)


def blobs(n=600, width=0.5):
    truth = np.arange(n) % 3
    noise = np.random.default_rng(0).normal(size=(n, 4))
    return (10 * np.eye(4)[truth] + width * noise).astype(np.float32), truth


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_threshold_comes_from_the_data(scale):
    vectors, truth = blobs()
    found = grouped(vectors * np.float32(scale), n_clusters=3)
    assert adjusted_rand_score(truth, found.labels) == 1
    assert 10 < found.report["small_groups"] < 500
    assert 0.05 * scale < found.report["threshold"] < scale


def test_a_wider_threshold_makes_fewer_small_groups():
    vectors, _ = blobs()
    made = [grouped(vectors, threshold=t).report["small_groups"] for t in (0.2, 0.5, 2.0)]
    assert made == sorted(made, reverse=True)
    assert made[-1] == 3


def test_items_of_a_small_group_lie_within_the_threshold():
    vectors, _ = blobs()
    found = grouped(vectors, threshold=0.4)
    for leaf in range(found.report["small_groups"]):
        own = vectors[found.hierarchy.leaves == leaf]
        radius = np.sqrt(((own - own.mean(axis=0)) ** 2).sum(axis=1).mean())
        assert radius < 2 * 0.4  # items move to the nearest group in the end


def test_the_threshold_grows_until_the_groups_are_few(monkeypatch):
    monkeypatch.setattr(birch, "_MOST", 50)
    monkeypatch.setattr(birch, "_ROWS", 40)
    vectors, truth = blobs()
    found = grouped(vectors, n_clusters=3, threshold=0.01)
    assert 3 <= found.report["small_groups"] <= 50
    assert found.report["threshold"] > 0.01
    assert adjusted_rand_score(truth, found.labels) > 0.99


def test_chunks_give_the_same_as_all_at_once(monkeypatch):
    vectors, _ = blobs()
    whole = grouped(vectors, n_clusters=5)
    monkeypatch.setattr(birch, "_ROWS", 64)
    assert (grouped(vectors, n_clusters=5).labels == whole.labels).all()


def test_a_tree_joins_the_small_groups():
    vectors, _ = blobs()
    found = grouped(vectors, n_clusters=3)
    leaves, tree = found.hierarchy.leaves, found.hierarchy.tree
    assert set(leaves) == set(range(tree.n_leaves))
    assert adjusted_rand_score(tree.cut(3)[leaves], found.labels) == 1

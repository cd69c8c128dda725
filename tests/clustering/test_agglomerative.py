import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score

from uvl_plugin.clustering import agglomerative
from uvl_plugin.clustering.agglomerative import Agglomerative
from uvl_plugin.clustering.linkage import join
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.progress import silent

every_linkage = pytest.mark.parametrize("method", ["ward", "average", "complete"])
few = arrays(
    np.float32, st.tuples(st.integers(2, 25), st.integers(1, 3)), elements=st.integers(-5, 5)
)


def points(n, dim=5) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, dim)).astype(np.float32)


def grouped(vectors, n_clusters=4, **settings):
    return Agglomerative(n_clusters=n_clusters, **settings).cluster(Space(vectors), silent)


@every_linkage
def test_the_tree_is_that_of_scipy(method):
    vectors = points(150)
    tree = join(vectors, np.ones(150, int), method, silent)
    expected = linkage(vectors.astype(float), method)
    assert tree.heights == pytest.approx(expected[:, 2], rel=1e-5)
    assert (tree.merges == np.sort(expected[:, :2], axis=1)).all()


@every_linkage
def test_a_point_of_weight_three_is_three_points(method):
    vectors = points(40)
    sizes = np.random.default_rng(1).integers(1, 5, 40)
    tree = join(vectors, sizes, method, silent)
    repeated = linkage(np.repeat(vectors, sizes, axis=0).astype(float), method)
    assert tree.heights == pytest.approx(repeated[-39:, 2], rel=1e-5)


@every_linkage
def test_clusters_are_the_cut_of_scipy(method):
    found = grouped(points(120), 7, linkage=method)
    expected = fcluster(linkage(points(120).astype(float), method), 7, "maxclust")
    assert adjusted_rand_score(expected, found.labels) == 1


@every_linkage
@given(vectors=few)
def test_heights_never_fall_also_where_many_are_equal(method, vectors):
    """A tree whose heights fall, or that joins twice, is an error of its own."""
    tree = join(vectors, np.ones(len(vectors), int), method, silent)
    assert tree.n_leaves == len(vectors)
    assert tree.cut(1).max() == 0


@given(vectors=few, n_clusters=st.integers(1, 30))
def test_what_is_the_same_stays_together(vectors, n_clusters):
    labels = grouped(vectors, n_clusters).labels
    _, distinct = np.unique(vectors, axis=0, return_inverse=True)
    assert len(np.unique(labels)) == min(n_clusters, distinct.max() + 1)
    for same in range(distinct.max() + 1):
        assert len(set(labels[distinct == same])) == 1


def test_many_items_are_first_made_into_small_groups(monkeypatch):
    monkeypatch.setattr(agglomerative, "_MOST", 500)
    monkeypatch.setattr(agglomerative, "_GROUPS", 60)
    truth = np.arange(900) % 4
    vectors = (10 * np.eye(4)[truth] + np.random.default_rng(0).normal(size=(900, 4))).astype("f4")
    found = grouped(vectors)
    assert adjusted_rand_score(truth, found.labels) > 0.99
    assert found.hierarchy.tree.n_leaves == 60
    assert set(found.hierarchy.leaves) == set(range(60))
    whole = grouped(vectors[:400])
    assert whole.hierarchy.tree.n_leaves == 400


def test_labels_are_a_cut_of_the_tree():
    found = grouped(points(80), 6)
    cut = found.hierarchy.tree.cut(6)[found.hierarchy.leaves]
    assert adjusted_rand_score(cut, found.labels) == 1

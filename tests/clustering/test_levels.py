import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage
from sklearn.metrics import adjusted_rand_score

from uvl_plugin.clustering import levels
from uvl_plugin.clustering.base import cluster_embeddings, number_by_size
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.levels import MOST_COARSE, build_levels, ward
from uvl_plugin.clustering.space import Hierarchy, Space
from uvl_plugin.clustering.subtrees import Subtrees
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.tree import Tree


def spread(groups, *, seed=0, dim=6, noise=0.1) -> Space:
    """Vectors around one random point for each group."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(int(groups.max()) + 2, dim))
    return Space(
        (centres[groups] + noise * random.normal(size=(len(groups), dim))).astype("float32")
    )


def linked(vectors, method="ward") -> Tree:
    steps = linkage(vectors, method)
    return Tree(steps[:, :2], steps[:, 2])


def same_groups(one, two) -> bool:
    pairs = set(zip(one.tolist(), two.tolist(), strict=True))
    return len(pairs) == len(set(one.tolist())) == len(set(two.tolist()))


def assert_contract(found, labels):
    noise = labels < 0
    assert found.coarse.dtype == found.fine.dtype == np.int64
    assert (labels == found.coarse).all() or (labels == found.fine).all()
    assert ((found.coarse < 0) == noise).all()
    assert ((found.fine < 0) == noise).all()
    coarse, fine = found.coarse[~noise], found.fine[~noise]
    n_coarse, n_fine = len(set(coarse)), len(set(fine))
    assert set(coarse) == set(range(n_coarse))
    assert set(fine) == set(range(n_fine))
    assert n_coarse <= MOST_COARSE
    assert len(set(zip(coarse, fine, strict=True))) == n_fine  # each in one coarse cluster
    sizes = np.bincount(coarse).tolist()
    assert sizes == sorted(sizes, reverse=True)
    assert found.tree.n_leaves == n_fine
    assert same_groups(found.tree.cut(n_coarse)[fine], coarse)


def assert_numbered(found):
    """Fine clusters of coarse cluster 0 come first, the larger ones first."""
    inside = found.fine >= 0
    _, first = np.unique(found.fine[inside], return_index=True)
    owners, sizes = found.coarse[inside][first], np.bincount(found.fine[inside])
    keys = list(zip(owners, -sizes, strict=True))
    assert keys == sorted(keys)


random_labels = st.builds(
    lambda n, k, noise, seed: number_by_size(
        np.where(
            np.random.default_rng(seed).random(n) < noise,
            -1,
            (k * np.random.default_rng(seed + 1).random(n) ** 2).astype(int),
        )
    ),
    st.integers(1, 600),
    st.sampled_from([1, 2, 5, 30, 200]),
    st.sampled_from([0, 0.2]),
    st.integers(0, 999),
)


@given(random_labels)
def test_levels_keep_the_contract(labels):
    if labels.max() < 0:
        return
    found = build_levels(spread(labels, noise=1.0), labels)
    assert_contract(found, labels)
    if labels.max() < MOST_COARSE:
        assert_numbered(found)


@given(st.integers(1, 400), st.integers(1, 12), st.sampled_from(["ward", "single", "average"]))
def test_levels_along_a_hierarchy_keep_the_contract(n, n_clusters, method):
    space = spread(np.arange(n) % 7, seed=n, noise=0.5)
    tree = linked(space.vectors, method) if n > 1 else Tree(np.zeros((0, 2)), np.zeros(0))
    labels = number_by_size(tree.cut(n_clusters))
    found = build_levels(space, labels, Hierarchy(np.arange(n), tree))
    assert_contract(found, labels)
    assert_numbered(found)


@pytest.mark.parametrize("with_hierarchy", [False, True])
def test_parts_are_about_the_root_of_the_size_and_not_too_small(with_hierarchy):
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2, 3], [325, 80, 19, 3])
    space = Space((10 * labels[:, None] + random.normal(size=(len(labels), 4))).astype("float32"))
    hierarchy = Hierarchy(np.arange(len(labels)), linked(space.vectors)) if with_hierarchy else None
    found = build_levels(space, labels, hierarchy)
    parts = [len(set(found.fine[labels == cluster])) for cluster in range(4)]
    assert parts == [8, 4, 1, 1]
    assert np.bincount(found.fine)[:-1].min() >= 5


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("with_hierarchy", [False, True])
def test_groups_within_a_cluster_are_its_parts(with_hierarchy, seed):
    truth = np.repeat([0, 1, 2, 3], 20)  # 80 items: four parts
    space = spread(truth, seed=seed, noise=0.05)
    hierarchy = (
        Hierarchy(np.arange(80), linked(space.vectors, "single")) if with_hierarchy else None
    )
    found = build_levels(space, np.zeros(80, np.int64), hierarchy)
    assert adjusted_rand_score(truth, found.fine) == 1


def test_stragglers_of_a_chain_go_to_the_nearest_part():
    """A single-linkage tree sheds them one by one, before it comes to the two groups."""
    random = np.random.default_rng(0)
    groups = np.repeat([0, 10], 14)[:, None] + 0.01 * random.normal(size=(28, 2))
    far = np.array([[-3.0, 0], [14.5, 10]])
    vectors = np.concatenate([groups, far]).astype("float32")
    hierarchy = Hierarchy(np.arange(30), linked(vectors, "single"))
    found = build_levels(Space(vectors), np.zeros(30, np.int64), hierarchy)
    assert same_groups(found.fine, np.repeat([0, 1, 0, 1], [14, 14, 1, 1]))


def test_more_than_a_hundred_are_fine_and_their_groups_coarse():
    random = np.random.default_rng(0)
    group = np.repeat(np.arange(15), 12)  # 180 clusters in 15 groups
    centres = 10 * random.normal(size=(15, 8))[group] + random.normal(size=(180, 8))
    labels = number_by_size(random.integers(0, 180, 4000))
    vectors = (centres[labels] + 0.05 * random.normal(size=(4000, 8))).astype("float32")
    found = build_levels(Space(vectors), labels)
    assert_contract(found, labels)
    assert (found.fine == labels).all()
    assert same_groups(found.coarse, group[labels])


def test_an_own_hierarchy_is_kept_above_the_clusters():
    """Two near groups that the algorithm says are joined last stay apart longest."""
    labels = np.repeat([0, 1, 2], [30, 20, 10])
    space = Space((labels[:, None] * [1.0] + np.zeros((60, 3))).astype("float32"))
    hierarchy = Hierarchy(labels, Tree([(0, 2), (1, 3)], [1, 2]))
    found = build_levels(space, labels, hierarchy)
    assert found.tree.cut(2)[found.fine[[0, 30, 50]]].tolist() == [0, 1, 0]
    assert_contract(found, labels)


def test_a_hierarchy_with_many_clusters_is_kept_too():
    space = spread(np.arange(1000) % 150, noise=0.02)
    tree = linked(space.vectors)
    labels = number_by_size(tree.cut(150))
    found = build_levels(space, labels, Hierarchy(np.arange(1000), tree))
    assert_contract(found, labels)
    assert same_groups(found.tree.cut(40)[labels], tree.cut(40))


@pytest.mark.parametrize(
    ("leaves", "tree", "message"),
    [
        ([0, 1, 1, 2], Tree([(0, 1), (2, 3)], [1, 2]), "A leaf of the hierarchy"),
        ([0, -1, 1, 1], Tree([(0, 1)], [1]), "A leaf of the hierarchy"),
        ([0, 2, 1, 3], Tree([(0, 1), (2, 3), (4, 5)], [1, 2, 3]), "not one branch"),
    ],
)
def test_a_hierarchy_of_other_clusters_is_refused(leaves, tree, message):
    with pytest.raises(DataError, match=message):
        Subtrees(Hierarchy(np.array(leaves), tree), np.array([0, 0, 1, 1]))


@given(st.lists(st.integers(1, 4), min_size=2, max_size=10), st.integers(0, 99))
def test_a_weighted_point_counts_as_so_many(sizes, seed):
    """Ward's tree over points with weights is that over so many equal points."""
    points = np.random.default_rng(seed).normal(size=(len(sizes), 3))
    items = np.repeat(np.arange(len(sizes)), sizes)
    found, expected = ward(points, np.array(sizes)), linked(points[items])
    top = expected.heights[len(items) - len(sizes) :]
    assert found.heights == pytest.approx(top, rel=1e-4)
    for n_clusters in range(1, len(sizes) + 1):
        assert same_groups(found.cut(n_clusters)[items], expected.cut(n_clusters))


def test_very_many_are_joined_in_groups(monkeypatch):
    monkeypatch.setattr(levels, "_AT_ONCE", 60)
    monkeypatch.setattr(levels, "_GROUP", 20)
    truth = np.arange(300) % 5
    points = spread(truth, noise=0.02).vectors
    tree = ward(points, np.ones(300))
    assert tree.n_leaves == 300
    assert adjusted_rand_score(truth, tree.cut(5)) == 1


def test_very_many_equal_ones_can_be_joined(monkeypatch):
    monkeypatch.setattr(levels, "_AT_ONCE", 60)
    monkeypatch.setattr(levels, "_GROUP", 20)
    tree = ward(np.ones((300, 4), np.float32), np.ones(300))
    assert tree.n_leaves == 300
    assert tree.heights.max() == pytest.approx(0, abs=1e-3)


def test_noise_alone_has_no_tree():
    labels = np.full(4, -1)
    found = build_levels(Space(np.eye(4, dtype=np.float32)), labels)
    assert found.tree is None
    assert found.coarse.tolist() == found.fine.tolist() == [-1] * 4


def test_equal_items_stay_together():
    labels = np.zeros(500, np.int64)
    found = build_levels(Space(np.ones((500, 8), np.float32)), labels)
    assert_contract(found, labels)
    assert len(set(found.fine)) == 1


def test_the_order_of_the_items_does_not_matter():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(900, 5))
    embeddings = Embeddings(np.arange(900), vectors)
    order = random.permutation(900)
    turned = Embeddings(embeddings.ids[order], vectors[order])
    one, two = (cluster_embeddings(each, KMeans(n_clusters=3))[0] for each in (embeddings, turned))
    assert (two.fine == one.fine[order]).all()
    assert (two.tree.merges == one.tree.merges).all()

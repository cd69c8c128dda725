import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import cut_tree, linkage

from uvl_plugin.core.errors import DataError
from uvl_plugin.core.tree import Tree, joined

NOTHING = Tree(np.zeros((0, 2)), np.zeros(0))


def random_tree(n_leaves, seed) -> Tree:
    if n_leaves == 1:
        return NOTHING
    points = np.random.default_rng(seed).normal(size=(n_leaves, 2))
    steps = linkage(points, "average")
    return Tree(steps[:, :2], steps[:, 2])


trees = st.builds(random_tree, st.integers(1, 12), st.integers(0, 99))


def same_groups(one, two) -> bool:
    return ((one[:, None] == one) == (two[:, None] == two)).all()


@given(st.integers(2, 20), st.integers(0, 99), st.data())
def test_a_cut_is_that_of_scipy(n_leaves, seed, data):
    steps = linkage(np.random.default_rng(seed).normal(size=(n_leaves, 2)), "average")
    n_clusters = data.draw(st.integers(1, n_leaves))
    found = Tree(steps[:, :2], steps[:, 2]).cut(n_clusters)
    assert same_groups(found, cut_tree(steps, n_clusters)[:, 0])
    assert len(set(found)) == n_clusters


@given(trees, st.integers(1, 15))
def test_clusters_are_numbered_by_their_first_leaf(tree, n_clusters):
    numbers = tree.cut(n_clusters).tolist()
    assert list(dict.fromkeys(numbers)) == list(range(min(n_clusters, tree.n_leaves)))


@given(trees, st.integers(1, 11))
def test_each_cut_lies_within_the_next_coarser(tree, n_clusters):
    coarse, fine = tree.cut(n_clusters), tree.cut(n_clusters + 1)
    assert len(set(zip(coarse, fine, strict=True))) == len(set(fine))


def test_a_single_leaf_is_a_tree():
    assert (NOTHING.n_leaves, NOTHING.cut(1).tolist(), NOTHING.cut(5).tolist()) == (1, [0], [0])


def test_a_cut_has_a_cluster():
    with pytest.raises(DataError, match="cut into 1 cluster or more, got 0"):
        NOTHING.cut(0)


@pytest.mark.parametrize(
    ("merges", "heights"),
    [
        ([(0, 0)], [1]),  # with itself
        ([(0, 1), (0, 2)], [1, 2]),  # twice
        ([(0, 3), (1, 2)], [1, 2]),  # with what comes later
        ([(0, 1), (2, 9)], [1, 2]),  # with what is not there
        ([(-1, 1)], [1]),
        ([(0, 1)], [1, 2]),
    ],
)
def test_what_is_no_tree_is_refused(merges, heights):
    with pytest.raises(DataError, match="This is no tree"):
        Tree(merges, heights)


@pytest.mark.parametrize("heights", [[2, 1], [1, np.nan], [1, np.inf]])
def test_heights_are_numbers_that_do_not_fall(heights):
    with pytest.raises(DataError, match="must be numbers that do not fall"):
        Tree([(0, 1), (2, 3)], heights)


@given(trees)
def test_a_stored_tree_is_the_same(tree):
    again = Tree.from_dict(json.loads(json.dumps(tree.to_dict())))
    assert (again.merges == tree.merges).all()
    assert (again.heights == tree.heights).all()


@given(trees, st.data())
def test_leaves_can_have_other_numbers(tree, data):
    numbers = np.array(data.draw(st.permutations(range(tree.n_leaves))))
    n_clusters = data.draw(st.integers(1, tree.n_leaves))
    assert same_groups(tree.renumbered(numbers).cut(n_clusters)[numbers], tree.cut(n_clusters))


@given(st.lists(trees, min_size=1, max_size=5), st.integers(0, 99))
def test_trees_grow_out_of_the_leaves_of_another(inner, seed):
    top = random_tree(len(inner), seed)
    tree = joined(inner, top)
    owner = np.repeat(np.arange(len(inner)), [each.n_leaves for each in inner])
    assert tree.n_leaves == len(owner)
    assert (tree.cut(len(inner)) == owner).all()
    for n_clusters in range(1, len(inner)):
        assert (tree.cut(n_clusters) == top.cut(n_clusters)[owner]).all()
    for number, each in enumerate(inner):  # further cuts undo the joins of the inner trees
        for n_clusters in range(len(inner), tree.n_leaves + 1):
            part = tree.cut(n_clusters)[owner == number]
            assert same_groups(part, each.cut(len(set(part))))


def test_the_highest_joins_are_undone_first_in_whatever_tree():
    tree = joined([Tree([(0, 1)], [3]), Tree([(0, 1), (2, 3)], [2, 4])], Tree([(0, 1)], [1]))
    assert tree.heights.tolist() == [2, 3, 4, 4]
    assert tree.cut(3).tolist() == [0, 0, 1, 1, 2]
    assert tree.cut(4).tolist() == [0, 1, 2, 2, 3]


def test_a_tree_is_needed_for_each_leaf():
    with pytest.raises(DataError, match="3 trees cannot be joined by 2 leaves"):
        joined([NOTHING] * 3, Tree([(0, 1)], [1]))

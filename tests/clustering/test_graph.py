import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from uvl_plugin.clustering import graph
from uvl_plugin.clustering.graph import (
    bridges,
    connected,
    neighbor_graph,
    shared_neighbor_graph,
    with_edges,
)
from uvl_plugin.clustering.neighbors import nearest_neighbors


def points(n, seed=0, dim=3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def groups(n_groups, size, width=0.1) -> np.ndarray:
    """Far from each other on a line."""
    middles = 100.0 * np.arange(n_groups)[:, None] * np.ones((1, 2))
    noise = np.random.default_rng(0).normal(size=(n_groups, size, 2))
    return (middles[:, None] + width * noise).reshape(-1, 2).astype(np.float32)


def jaccard(neighbors) -> np.ndarray:
    """By hand, for neighbours only."""
    around = [{i, *row} for i, row in enumerate(neighbors.indices.tolist())]
    n = len(around)
    return np.array(
        [
            [
                len(around[i] & around[j]) / len(around[i] | around[j])
                if i != j and (j in around[i] or i in around[j])
                else 0.0
                for j in range(n)
            ]
            for i in range(n)
        ]
    )


@pytest.mark.parametrize("rows", [4096, 7])
@pytest.mark.parametrize("k", [1, 4, 19])
def test_weights_are_the_shares_of_common_neighbours(k, rows, monkeypatch):
    monkeypatch.setattr(graph, "_ROWS", rows)
    neighbors = nearest_neighbors(points(20), k)
    found = shared_neighbor_graph(neighbors).toarray()
    assert found == pytest.approx(jaccard(neighbors))
    assert (found == found.T).all()


def test_edges_go_both_ways_and_keep_the_larger_weight():
    neighbors = nearest_neighbors(np.array([[0.0], [1.0], [5.0]], np.float32), 1)
    found = neighbor_graph(neighbors, np.array([[2.0], [3.0], [4.0]])).toarray()
    assert found.tolist() == [[0, 3, 0], [3, 0, 4], [0, 4, 0]]


@given(st.integers(1, 9), st.integers(1, 5))
def test_bridges_join_all_parts_and_are_few(n_groups, size):
    vectors = groups(n_groups, size)
    parts = np.repeat(np.arange(n_groups), size)
    blocks = csr_array((parts[:, None] == parts).astype(np.float32))
    pairs = bridges(blocks, vectors)
    assert n_groups - 1 <= len(pairs) <= 2 * n_groups
    assert connected_components(connected(blocks, vectors))[0] == 1
    assert (parts[pairs[:, 0]] != parts[pairs[:, 1]]).all()


def test_a_bridge_is_between_the_nearest_items_of_two_groups():
    vectors = np.array([[0], [1], [2], [10], [11], [13]], np.float32)
    parts = np.repeat([0, 1], 3)
    pairs = bridges(csr_array((parts[:, None] == parts).astype(float)), vectors)
    assert {tuple(sorted(pair)) for pair in pairs.tolist()} == {(2, 3)}


def test_a_graph_of_one_part_stays_as_it_is():
    neighbors = nearest_neighbors(points(30), 10)
    before = shared_neighbor_graph(neighbors)
    assert len(bridges(before, points(30))) == 0
    assert (connected(before, points(30)) != before).nnz == 0


def test_an_edge_that_comes_twice_counts_once():
    empty = csr_array((3, 3))
    pairs, weights = np.array([[0, 1], [1, 0], [1, 2]]), np.array([0.5, 0.5, 2.0])
    found = with_edges(empty, pairs, weights).toarray()
    assert found.tolist() == [[0, 0.5, 0], [0.5, 0, 2], [0, 2, 0]]

"""Neighbours within a radius: those that there are, in few dimensions or in lists."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from uvl_plugin.clustering import close, neighbor_cache, neighbors
from uvl_plugin.clustering.close import close_neighbors
from uvl_plugin.clustering.neighbors import inverted_file, nearest_neighbors
from uvl_plugin.core.progress import silent


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(neighbor_cache.FOLDER, str(tmp_path))


def clustered(n, dim=16, seed=0):
    random = np.random.default_rng(seed)
    centres = 2 * random.normal(size=(40, dim))
    return (centres[random.integers(40, size=n)] + random.normal(size=(n, dim))).astype(np.float32)


def with_copies(n, radius, dim=16):
    """A third of the items have a copy nearly a radius away."""
    vectors, third = clustered(n, dim), n // 3
    copies = np.random.default_rng(1).normal(size=(third, dim))
    copies *= 0.9 * radius / np.linalg.norm(copies, axis=1, keepdims=True)
    vectors[-third:] = vectors[:third] + copies
    return vectors


def assert_within(found, vectors, k, radius, share=1.0):
    """Each list begins with the nearest ones within the radius."""
    distances, true = NearestNeighbors(n_neighbors=k).fit(vectors).kneighbors()
    near = distances <= radius * (1 - 1e-4)
    hit = (true[:, :, None] == found.indices[:, None, :]).any(axis=2)
    assert near.any()
    assert hit[near].mean() >= share
    there = np.isfinite(found.distances)
    rows = np.broadcast_to(np.arange(len(vectors))[:, None], there.shape)
    assert (found.indices[there] != rows[there]).all()
    assert (found.indices[~there] == rows[~there]).all()
    apart = np.linalg.norm(vectors[rows[there]] - vectors[found.indices[there]], axis=1)
    assert found.distances[there] == pytest.approx(apart, abs=1e-2, rel=1e-3)
    in_order = np.diff(np.nan_to_num(found.distances, posinf=1e9), axis=1)
    assert (in_order >= -1e-3).all()


@pytest.fixture
def projected(monkeypatch):
    """Small numbers of items are compared in few dimensions too."""
    monkeypatch.setattr(close, "_COMPARED", 10)
    monkeypatch.setattr(close, "_DIRECTIONS", 4)


@pytest.fixture
def listed(projected, monkeypatch):
    """And looked for in lists."""
    monkeypatch.setattr(close, "_PROJECTED", 10)
    monkeypatch.setattr(close, "_PROBED", 2)
    monkeypatch.setattr(neighbors, "_LIST", 32)
    monkeypatch.setattr(neighbors, "_SLOWER", 1)


@pytest.mark.parametrize("radius", [0.5, 2.0, 5.0])
def test_in_few_dimensions_none_is_missed(radius, projected):
    vectors = with_copies(1500, radius)
    assert_within(close_neighbors(vectors, 15, radius), vectors, 15, radius)
    assert not neighbor_cache.folder().exists()


def test_blocks_make_no_difference(projected, monkeypatch):
    vectors = with_copies(700, 1.0)
    whole = close_neighbors(vectors, 10, 1.0)
    monkeypatch.setattr(close, "_CELLS", 700 * 7)
    assert (close_neighbors(vectors, 10, 1.0).indices == whole.indices).all()


def test_a_clump_of_equal_items_fills_its_lists(projected):
    vectors = clustered(600)
    vectors[100:300] = vectors[100]
    found = close_neighbors(vectors, 12, 0.01)
    assert (found.distances[100:300] <= 0.01).all()
    assert ((found.indices[100:300] >= 100) & (found.indices[100:300] < 300)).all()


@pytest.fixture
def searched(monkeypatch):
    """How many rows were compared with all items, at each call."""
    sizes, real = [], close.exact_search

    def noting(vectors):
        search = real(vectors)
        return lambda wanted, k: sizes.append(len(wanted)) or search(wanted, k)

    monkeypatch.setattr(close, "exact_search", noting)
    return sizes


def test_more_directions_are_taken_where_few_tell_nothing(projected, searched):
    vectors = np.random.default_rng(0).normal(size=(1500, 128)).astype(np.float32)
    vectors[-300:] = vectors[:300] + 0.05
    found = close_neighbors(vectors, 4, 8.0)  # half of the mean distance
    assert (found.indices[:300, 0] == np.arange(1200, 1500)).all()
    assert np.isfinite(found.distances).sum() < 700
    assert searched == []


def test_crowded_rows_are_compared_together(projected, searched, monkeypatch):
    monkeypatch.setattr(close, "_CELLS", 1500 * 7)
    vectors = clustered(1500)
    assert_within(close_neighbors(vectors, 3, 30.0), vectors, 3, 30.0)
    assert searched == [1024, 476]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(11, 80), scale=st.sampled_from([1e-3, 1.0, 1e3]))
def test_it_agrees_with_all_distances(seed, n, scale):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(close, "_COMPARED", 10)
        patch.setattr(close, "_DIRECTIONS", 3)
        vectors = (scale * clustered(n, 8, seed)).astype(np.float32)
        apart = np.linalg.norm(vectors[:, None].astype(float) - vectors[None], axis=2)
        np.fill_diagonal(apart, np.inf)
        radius = float(np.quantile(apart, 0.1)) * 1.0001
        found = close_neighbors(vectors, n - 1, radius)
        for row in range(n):
            near = set(np.flatnonzero(apart[row] <= radius * (1 - 1e-4)))
            assert near <= set(found.indices[row][np.isfinite(found.distances[row])])


@pytest.mark.parametrize("radius", [0.5, 2.0, 3.5])
def test_in_lists_nearly_all_are_found(radius, listed):
    vectors = with_copies(3000, radius)
    assert_within(close_neighbors(vectors, 15, radius), vectors, 15, radius, share=0.99)
    assert not neighbor_cache.folder().exists()


def test_a_part_of_the_lists_is_looked_through_and_all_where_nothing_is_far(listed):
    vectors = clustered(3000)
    index = inverted_file(vectors, silent)
    few, many, most = (close._lists_within(index, vectors, radius) for radius in (0, 2, 50))
    assert few == close._PROBED
    assert few < many < most <= index.nlist
    found, all_ = close_neighbors(vectors, 5, 50), NearestNeighbors(n_neighbors=5).fit(vectors)
    assert (found.indices == all_.kneighbors(return_distance=False)).all()


def test_few_items_have_their_true_neighbours():
    vectors = clustered(300)
    found, true = close_neighbors(vectors, 6, 0.1), nearest_neighbors(vectors, 6)
    assert (found.indices == true.indices).all()
    assert close_neighbors(vectors, 0, 0.1).indices.shape == (300, 0)

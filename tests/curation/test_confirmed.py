"""Candidates by vectors, and what is left of them when pixels decide."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvl_plugin.curation.confirmed import Candidates, candidates, confirmed
from uvl_plugin.curation.duplicates import groups


def by_picture(picture):
    """Items agree that show the same picture."""
    return lambda left, right: picture[left] == picture[right]


def decided(vectors, alike, metric="cosine", reach=None):
    found = candidates(vectors, metric, reach=reach)
    same = alike(found.left, found.right)
    agreeing = Candidates(found.left[same], found.right[same], found.reach)
    return confirmed(vectors, agreeing, alike, metric)


def test_candidates_are_the_nearest_within_reach():
    places = np.array([0, 1, 3, 10, 10.5, 30], np.float32)[:, None]
    found = candidates(places, "euclidean", reach=2.0)
    pairs = list(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert pairs == [(0, 1), (1, 2), (3, 4)]
    assert found.rows.tolist() == [0, 1, 2, 3, 4]
    assert found.reach == pytest.approx(2.0)


def test_strongly_altered_copies_are_within_the_usual_reach():
    random = np.random.default_rng(0)
    different = random.normal(size=(200, 32))
    copies = different[:50] + 0.7 * random.normal(size=(50, 32))
    found = candidates(np.concatenate([different, copies]).astype(np.float32))
    pairs = set(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert sum((row, 200 + row) in pairs for row in range(50)) >= 48
    assert len(pairs) < 250 * 8


@given(st.integers(1, 40), st.integers(1, 10), st.integers(0, 50))
def test_one_item_of_each_picture_is_kept_the_first(n, n_pictures, seed):
    random = np.random.default_rng(seed)
    picture = random.integers(n_pictures, size=n)
    vectors = 10 * np.eye(n_pictures, dtype=np.float32)[picture]
    vectors += 0.01 * random.normal(size=vectors.shape).astype(np.float32)
    found = decided(vectors, by_picture(picture))
    _, first, which = np.unique(picture, return_index=True, return_inverse=True)
    if n <= 9:  # all are neighbours of each other
        assert found.of.tolist() == first[which].tolist()
    assert (picture[found.of] == picture).all()
    assert found.kept[found.of].all()
    assert found.of[found.kept].tolist() == np.flatnonzero(found.kept).tolist()


def test_more_copies_than_an_item_has_neighbours_are_one_group():
    random = np.random.default_rng(1)
    picture = np.repeat(np.arange(5), 60)[random.permutation(300)]
    vectors = np.eye(5, 16, dtype=np.float32)[picture]
    vectors += 0.02 * random.normal(size=vectors.shape).astype(np.float32)
    found = decided(vectors, by_picture(picture))
    assert found.count >= 295 - 2
    assert (picture[found.of] == picture).all()


def test_equal_vectors_of_different_pictures_are_no_duplicates():
    vectors = np.ones((20, 4), np.float32)
    found = decided(vectors, by_picture(np.arange(20)))
    assert found.kept.all()
    assert (groups(found) == -1).all()


def test_in_a_chain_each_dropped_one_agrees_with_the_one_that_is_kept():
    chain = np.arange(8, dtype=np.float32)[:, None]
    found = decided(
        chain, lambda left, right: np.abs(left - right) <= 2, metric="euclidean", reach=1.0
    )
    assert found.of.tolist() == [0, 0, 0, 3, 3, 3, 6, 6]
    assert found.distances.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few(n):
    vectors = np.ones((n, 3), np.float32)
    found = decided(vectors, by_picture(np.zeros(n)))
    assert found.of.tolist() == [0] * n

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvl_plugin.core.errors import Cancelled, SettingsError
from uvl_plugin.curation import farthest
from uvl_plugin.curation.farthest import farthest_first


def all_distances(vectors, metric) -> np.ndarray:
    exact = vectors.astype(np.float64)
    if metric == "cosine":
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
        return ((exact[:, None] - exact[None]) ** 2).sum(axis=2) / 2
    return np.sqrt(((exact[:, None] - exact[None]) ** 2).sum(axis=2))


@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 70), st.sampled_from([7, 8192]))
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_each_pick_is_the_farthest_from_those_before(metric, seed, n, count, rows):
    vectors = np.random.default_rng(seed).normal(size=(n, 5)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(farthest, "_ROWS", rows)
        patch.setattr(farthest, "_FRONT", rows)
        patch.setattr(farthest, "_LATE", 2)
        picks, distances, nearest = farthest_first(vectors, count, metric=metric)
    apart = all_distances(vectors, metric)
    assert len(picks) == len(set(picks)) == min(count, n)
    for number in range(1, len(picks)):
        least = apart[picks[:number]].min(axis=0)
        assert least[picks[number]] == pytest.approx(least.max(), abs=1e-5)
    assert distances == pytest.approx(apart[picks].min(axis=0), abs=1e-5)
    assert apart[np.arange(n), nearest] == pytest.approx(distances, abs=1e-5)
    assert np.isin(nearest, picks).all()
    assert (picks.dtype, distances.dtype, nearest.dtype) == (np.int64, np.float32, np.int64)


def test_picks_are_more_than_half_as_far_apart_as_any_can_be():
    vectors = np.random.default_rng(0).normal(size=(14, 3)).astype(np.float32)
    apart = all_distances(vectors, "euclidean")

    def least(rows) -> float:
        return min(apart[a, b] for a, b in combinations(rows, 2))

    best = max(least(rows) for rows in combinations(range(14), 5))
    for first in range(14):
        picks, _, _ = farthest_first(vectors, 5, metric="euclidean", first=first)
        assert picks[0] == first
        assert least(picks) >= best / 2


def test_one_of_each_group_comes_before_a_second_of_any():
    random = np.random.default_rng(1)
    groups = np.repeat(np.arange(12), 25)
    centres = 10 * np.eye(12, 16)
    vectors = centres[groups] + 0.1 * random.normal(size=(300, 16))
    order = random.permutation(300)
    picks, distances, nearest = farthest_first(vectors[order].astype(np.float32), 12)
    assert sorted(groups[order][picks]) == list(range(12))
    assert (groups[order][nearest] == groups[order]).all()
    assert distances.max() < 0.02


def test_the_first_is_farthest_from_the_mean_and_the_earlier_of_equal_ones():
    vectors = np.array([[0], [9], [1], [9], [2]], np.float32)
    picks, distances, nearest = farthest_first(vectors, 2, metric="euclidean")
    assert picks.tolist() == [1, 0]
    assert distances.tolist() == [0, 0, 1, 0, 2]
    assert nearest.tolist() == [0, 1, 0, 1, 0]


def test_copies_come_last_in_the_order_of_rows():
    one, two = [1000.0, 3.0, 0.1], [1000.0, 3.0, 8.0]
    vectors = np.array([one, one, two, one, two], np.float32)
    picks, distances, _ = farthest_first(vectors, 5, metric="euclidean", first=3)
    assert picks.tolist() == [3, 2, 0, 1, 4]
    assert not distances.any()


def test_nothing_asked_and_nothing_there():
    picks, distances, nearest = farthest_first(np.ones((3, 2), np.float32), 0)
    assert len(picks) == 0
    assert np.isinf(distances).all()
    assert nearest.tolist() == [-1, -1, -1]
    picks, distances, nearest = farthest_first(np.ones((0, 2), np.float32), 4)
    assert len(picks) == len(distances) == len(nearest) == 0


def test_what_cannot_be_is_refused():
    vectors = np.ones((3, 2), np.float32)
    with pytest.raises(SettingsError, match="count must be at least 0"):
        farthest_first(vectors, -1)
    with pytest.raises(SettingsError, match="from 0 to 2, got 3"):
        farthest_first(vectors, 1, first=3)
    with pytest.raises(SettingsError, match="dot product is no distance"):
        farthest_first(vectors, 1, metric="dot")


def test_it_can_be_stopped():
    def stop(share, message):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        farthest_first(np.eye(4, dtype=np.float32), 3, progress=stop)

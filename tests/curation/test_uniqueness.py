import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvl_plugin.core.errors import SettingsError
from uvl_plugin.curation.uniqueness import uniqueness


def by_hand(vectors, k) -> np.ndarray:
    exact = vectors.astype(np.float64)
    apart = np.sqrt(((exact[:, None] - exact[None]) ** 2).sum(axis=2))
    np.fill_diagonal(apart, np.inf)
    near = np.sort(apart, axis=1)[:, : min(k, len(vectors) - 1)]
    mean = near.prod(axis=1) ** (1 / near.shape[1])
    return mean / (mean + np.median(mean[mean > 0])) if mean.any() else mean


@given(st.integers(0, 10**6), st.integers(2, 50), st.integers(1, 6))
def test_it_is_the_formula_and_half_are_below_a_half(seed, n, k):
    vectors = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    found = uniqueness(vectors, metric="euclidean", k=k)
    assert found == pytest.approx(by_hand(vectors, k), abs=1e-4)
    assert ((found > 0) & (found < 1)).all()
    assert np.median(found) == pytest.approx(0.5, abs=0.2)
    assert found.dtype == np.float32


def test_by_cosine_only_directions_count():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(60, 5)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    longer = vectors * random.uniform(0.1, 30, size=(60, 1)).astype(np.float32)
    assert uniqueness(longer) == pytest.approx(by_hand(unit, 3), abs=1e-4)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_an_item_with_a_copy_is_not_unique_however_odd_and_wherever_it_lies(metric):
    vectors = np.random.default_rng(1).normal(size=(100, 8)).astype(np.float32)
    vectors[:, 0] += 1000  # far from the origin, where products are rounded
    vectors[70] = vectors[20]
    vectors[71] = vectors[21] = -vectors[5]
    found = uniqueness(vectors, metric=metric)
    assert sorted(np.flatnonzero(found == 0)) == [20, 21, 70, 71]


def test_a_lonely_item_has_the_greatest_and_nobody_elses_changes():
    vectors = np.random.default_rng(2).normal(size=(101, 4)).astype(np.float32)
    without = uniqueness(vectors[:100], metric="euclidean")
    vectors[100] = 1e6
    found = uniqueness(vectors, metric="euclidean")
    assert found.argmax() == 100
    assert found[100] > 0.99
    assert found[:100] == pytest.approx(without, abs=0.01)


def test_farther_is_more_unique():
    line = np.cumsum([0, 1, 2, 4, 8, 16, 32])[:, None].astype(np.float32)
    found = uniqueness(line, metric="euclidean")
    assert (np.diff(found[1:]) > 0).all()


def test_where_most_have_copies_the_others_are_still_told_apart():
    vectors = np.repeat(np.random.default_rng(3).normal(size=(40, 4)), 2, axis=0)[:-2]
    vectors = np.concatenate([vectors, [[9, 9, 9, 9], [30, 30, 30, 30]]]).astype(np.float32)
    found = uniqueness(vectors, metric="euclidean")
    assert not found[:78].any()
    assert 0 < found[78] < found[79] < 1


def test_few_and_equal_items():
    assert uniqueness(np.ones((0, 2), np.float32)).tolist() == []
    assert uniqueness(np.ones((1, 2), np.float32)).tolist() == [1]
    assert uniqueness(np.eye(2, dtype=np.float32)).tolist() == [0.5, 0.5]
    assert uniqueness(np.ones((40, 2), np.float32)).tolist() == 40 * [0]


def test_other_metrics_are_refused():
    with pytest.raises(SettingsError, match="metric must be cosine or euclidean"):
        uniqueness(np.ones((3, 2), np.float32), metric="l1")


def test_there_must_be_a_neighbour():
    with pytest.raises(SettingsError, match="k must be at least 1, got 0"):
        uniqueness(np.ones((3, 2), np.float32), k=0)

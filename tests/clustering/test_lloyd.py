"""The pruned iterations are compared with Lloyd's, done slowly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from uvl_plugin.clustering import lloyd as module
from uvl_plugin.clustering.lloyd import few_threads, lloyd
from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.clustering.seeding import seeds
from uvl_plugin.core.errors import Cancelled


def run(vectors, centres, *, spherical=False, max_iter=100, still=0.0, **more):
    with few_threads() as each:
        return lloyd(
            vectors, centres, each, spherical=spherical, max_iter=max_iter, still=still, **more
        )


def slowly(vectors, centres, spherical, max_iter=100):
    """All distances in every iteration, in float64."""
    vectors, centres = vectors.astype(np.float64), centres.astype(np.float64)
    compared = unit_length(vectors) if spherical else vectors
    for _ in range(max_iter):
        labels = ((compared[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
        before = centres.copy()
        for label in set(labels):
            mean = vectors[labels == label].mean(axis=0)
            centres[label] = mean / np.linalg.norm(mean) if spherical else mean
        if np.array_equal(before, centres):
            break
    return labels, centres


@pytest.fixture
def blocks(monkeypatch):
    """Small ones, and all steps of the pruning whatever the number of centres."""
    monkeypatch.setattr(module, "_ROWS", 64)
    monkeypatch.setattr(module, "_FEW", 4)


@pytest.mark.parametrize("offset", [0.0, 30.0])
@pytest.mark.parametrize("spherical", [False, True])
@pytest.mark.parametrize("k", [1, 2, 40])
def test_pruning_changes_nothing(spherical, k, offset, blocks):
    random = np.random.default_rng(1)
    vectors = (random.normal(size=(700, 9)) + offset).astype(np.float32)
    centres = vectors[random.choice(700, k, replace=False)]
    centres = unit_length(centres) if spherical else centres
    expected, means = slowly(vectors, centres, spherical)
    found = run(vectors, centres, spherical=spherical)
    agree = np.mean(found.labels == expected)
    assert agree == 1.0 if offset == 0 else agree > 0.97  # float32 decides what is nearly equal
    if offset == 0:
        assert found.centres == pytest.approx(means, abs=1e-4)


def test_most_distances_are_never_computed(blocks, monkeypatch):
    random = np.random.default_rng(0)
    means = 4 * random.normal(size=(64, 16))
    vectors = (means[random.integers(64, size=6000)] + random.normal(size=(6000, 16))).astype("f4")
    looked = []
    original = module._Run._two_nearest

    def counted(self, items, rows):
        looked.append(len(items))
        return original(self, items, rows)

    monkeypatch.setattr(module._Run, "_two_nearest", counted)
    found = run(vectors, vectors[seeds(vectors, 64, random)])
    assert found.n_iter >= 5
    assert sum(looked) < 0.5 * found.n_iter * len(vectors)


@pytest.mark.parametrize("spherical", [False, True])
def test_spread_is_that_of_the_labels(spherical):
    vectors = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32) + 1
    centres = unit_length(vectors[:6]) if spherical else vectors[:6]
    found = run(vectors, centres, spherical=spherical)
    weights = np.linalg.norm(vectors, axis=1) if spherical else np.ones(300)
    compared = unit_length(vectors) if spherical else vectors
    apart = ((compared - found.centres[found.labels]) ** 2).sum(axis=1)
    assert found.spread == pytest.approx((weights * apart).sum(), rel=1e-3)


def test_a_centre_without_items_goes_where_one_is_missing():
    vectors = np.array([[0.0], [0.1], [5.0], [5.1], [9.0], [9.1]], np.float32)
    centres = np.array([[0.0], [5.0], [100.0]], np.float32)
    found = run(vectors, centres)
    assert len(set(found.labels)) == 3
    assert found.spread == pytest.approx(0.015, rel=0.02)


def test_the_number_of_threads_changes_nothing():
    vectors = np.random.default_rng(0).normal(size=(5000, 8)).astype(np.float32)
    with few_threads() as each:
        many = lloyd(vectors, vectors[:30], each, spherical=False, max_iter=20, still=0.0)
    one = lloyd(vectors, vectors[:30], map, spherical=False, max_iter=20, still=0.0)
    assert (many.labels == one.labels).all()
    assert (many.centres == one.centres).all()


def test_it_ends_after_so_many_iterations_or_when_little_changes():
    vectors = np.random.default_rng(0).normal(size=(2000, 8)).astype(np.float32)
    assert run(vectors, vectors[:20], max_iter=3).n_iter == 3
    still = run(vectors, vectors[:20], still=1e-3).n_iter
    assert 3 < still < run(vectors, vectors[:20]).n_iter


def test_it_can_be_stopped_between_iterations():
    seen = []

    def stop(fraction, message):
        seen.append(fraction)
        if len(seen) == 3:
            raise Cancelled("stopped")

    vectors = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    with pytest.raises(Cancelled):
        run(vectors, vectors[:9], max_iter=10, progress=stop)
    assert seen == pytest.approx([0.0, 0.1, 0.2])


numbers = st.floats(-100, 100, width=32).map(lambda value: round(value, 2))


@given(
    arrays(np.float32, st.tuples(st.integers(1, 25), st.integers(1, 4)), elements=numbers),
    st.integers(1, 8),
    st.booleans(),
)
def test_any_vectors_are_clustered_and_no_spread_grows(vectors, k, spherical):
    chosen = seeds(vectors, min(k, len(vectors)), np.random.default_rng(0))
    assert len(set(chosen)) == len(chosen) <= k
    start = unit_length(vectors[chosen]) if spherical else vectors[chosen]
    spreads = [run(vectors, start, spherical=spherical, max_iter=m).spread for m in (1, 2, 10)]
    slack = 1e-4 * float((vectors.astype(float) ** 2).sum() + np.abs(vectors).sum()) + 1e-6
    assert spreads[1] <= spreads[0] + slack
    assert spreads[2] <= spreads[1] + slack


def test_seeds_spread_over_far_groups():
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(50), 20)
    means = 10 * random.normal(size=(50, 200))
    vectors = (means[truth] + random.normal(size=(1000, 200))).astype(np.float32)
    assert len(set(truth[seeds(vectors, 50, random)])) >= 49


def test_equal_rows_are_drawn_once():
    vectors = np.repeat(np.eye(12, dtype=np.float32), 5, axis=0)
    chosen = seeds(vectors, 40, np.random.default_rng(0))
    assert sorted(chosen // 5) == list(range(12))


@pytest.mark.parametrize("rounds", [4096, 4])
def test_as_many_rows_are_drawn_as_are_asked_for(rounds, monkeypatch):
    monkeypatch.setattr("uvl_plugin.clustering.seeding._ROUNDS", rounds)
    random = np.random.default_rng(0)
    chosen = seeds(random.random((60, 3), np.float32), 33, random)
    assert len(set(chosen)) == 33

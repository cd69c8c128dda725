"""Questions beyond the nearest of one vector, compared with all distances worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import uvl_plugin as uvl
from tests.indexing.made import clustered, distances_by_hand, made, names
from uvl_plugin.indexing import queries
from uvl_plugin.indexing.queries import AGGREGATIONS, aggregated, neighbors_of_all, within

N, DIM = 300, 8
METRICS = ("cosine", "dotproduct", "euclidean")
BY_HAND = {"post-mean": np.mean, "post-min": np.min, "post-max": np.max}


@pytest.fixture(scope="module")
def vectors():
    return clustered(N, DIM)


@pytest.fixture(scope="module")
def snapshots(vectors, tmp_path_factory):
    """By metric; with vectors that were added later, and some that were removed."""
    found = {}
    for metric in METRICS:
        index = made(tmp_path_factory.mktemp(metric) / "index", vectors[:250], metric=metric)
        index.add(names(N)[250:], vectors[250:])
        index.remove(names(N)[::50])
        found[metric] = index.snapshot()
    return found


def numbers(snapshot, rows):
    """Which of the vectors these rows are."""
    return [int(name, 16) for name in snapshot.ids(rows)]


LEFT = [number for number in range(N) if number % 50]


@settings(max_examples=40, deadline=None)
@given(
    metric=st.sampled_from(METRICS),
    how=st.sampled_from(sorted(AGGREGATIONS)),
    n_queries=st.integers(1, 4),
    k=st.integers(0, N + 5),
    share=st.sampled_from([None, 2, 9]),
    farthest=st.booleans(),
)
def test_distances_to_several_are_put_together(
    snapshots, vectors, metric, how, n_queries, k, share, farthest
):
    snapshot = snapshots[metric]
    asked = clustered(n_queries, DIM, seed=3)
    among = None if share is None else snapshot.rows[::share]
    rows, apart = aggregated(snapshot, asked, how, k, among=among, farthest=farthest)
    left = LEFT if share is None else LEFT[::share]
    each = [distances_by_hand(metric, vectors[left], query) for query in asked]
    total = BY_HAND[how](each, axis=0)
    order = np.argsort(-total if farthest else total, kind="stable")[:k]
    assert apart == pytest.approx(total[order], abs=1e-4)
    assert len(rows) == min(k, len(left))
    assert [total[left.index(number)] for number in numbers(snapshot, rows)] == (
        pytest.approx(total[order], abs=1e-4)
    )


def test_an_unknown_way_to_put_them_together_is_refused(snapshots, vectors):
    with pytest.raises(uvl.SettingsError, match="mean or one of post-mean, .*, got 'median'"):
        aggregated(snapshots["cosine"], vectors[:2], "median", 3)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("share", [None, 4])
def test_all_within_a_distance_and_no_others(snapshots, vectors, metric, share, monkeypatch):
    monkeypatch.setattr(queries, "_FIRST", 3)
    monkeypatch.setattr(queries, "_BATCH", 7)
    snapshot = snapshots[metric]
    among = None if share is None else snapshot.rows[::share]
    left = np.array(LEFT if share is None else LEFT[::share])
    every = [distances_by_hand(metric, vectors[left], query) for query in vectors[:20]]
    for threshold in (np.quantile(every, 0.1), np.min(every) - 1.0, np.max(every) + 1.0):
        found = list(within(snapshot, vectors[:20], threshold, among=among))
        assert len(found) == 20
        for (rows, apart), distances in zip(found, every, strict=True):
            inside = np.flatnonzero(distances <= threshold)
            inside = inside[np.argsort(distances[inside], kind="stable")]
            assert sorted(numbers(snapshot, rows)) == sorted(left[inside].tolist())
            assert apart == pytest.approx(distances[inside], abs=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_the_others_of_each_of_some_rows(snapshots, vectors, metric):
    snapshot = snapshots[metric]
    rows = snapshot.rows[::3]
    left = np.array(LEFT[::3])
    for k in (0, 1, 5, len(rows) + 3):
        found = list(neighbors_of_all(snapshot, rows, k))
        assert len(found) == len(rows)
        for own, (near, apart) in zip(range(len(left)), found, strict=True):
            distances = distances_by_hand(metric, vectors[left], vectors[left[own]])
            others = np.delete(np.arange(len(left)), own)
            order = others[np.argsort(distances[others], kind="stable")][:k]
            assert rows[own] not in near
            assert numbers(snapshot, near) == left[order].tolist()
            assert apart == pytest.approx(distances[order], abs=1e-4)


def test_equal_vectors_are_others_of_each_other(tmp_path):
    """Also where an item is not among its own nearest, since there are so many equal ones."""
    snapshot = made(tmp_path / "index", np.ones((6, 3), np.float32)).snapshot()
    for own, (near, apart) in enumerate(neighbors_of_all(snapshot, snapshot.rows, 2)):
        assert len(near) == 2
        assert own not in near
        assert apart == pytest.approx([0.0, 0.0], abs=1e-6)


def test_an_empty_index_has_no_answers(tmp_path):
    snapshot = made(tmp_path / "index", np.zeros((0, DIM), np.float32)).snapshot()
    asked = np.ones((2, DIM), np.float32)
    assert [len(part) for part in aggregated(snapshot, asked, "post-min", 3)] == [0, 0]
    assert [len(rows) for rows, _ in within(snapshot, asked, 1.0)] == [0, 0]
    assert list(neighbors_of_all(snapshot, snapshot.rows, 3)) == []

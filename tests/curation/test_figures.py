"""Figures of single clusters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.prepare import Preparation
from uvl_plugin.curation.figures import exemplars, figures, novelties, sampled
from uvl_plugin.curation.joint import joint


def random(seed=0):
    return np.random.default_rng(seed)


def keys(n):
    return np.array([f"{number:024x}" for number in range(n)])


def test_cohesion_is_the_mean_cosine_to_the_mean():
    vectors = random().normal(1, 1, (40, 8)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    mean = unit.mean(axis=0)
    expected = (unit @ mean).mean() / np.linalg.norm(mean)
    assert figures(vectors, keys(40), "cosine").cohesion == pytest.approx(expected, abs=1e-6)


def test_exemplars_are_typical_and_differ():
    near_copies = random().normal(0, 0.01, (60, 16)) + 5 * np.eye(16)[0]
    groups = [random(1).normal(0, 0.3, (8, 16)) + 5 * np.eye(16)[side] for side in (1, 2, 3)]
    far = -500 * np.eye(16)[:1]  # an outlier
    vectors = np.concatenate([near_copies, *groups, far]).astype(np.float32)
    found = exemplars(vectors, 4)
    assert found[0] < 60
    group_of = (found - 60) // 8
    assert sorted(group_of[1:].tolist()) == [0, 1, 2]


def test_copies_are_shown_once():
    one = random().normal(size=(1, 8)).astype(np.float32)
    assert exemplars(np.repeat(one, 30, axis=0)).tolist() == [0]
    two = np.concatenate([np.repeat(one, 20, axis=0), np.repeat(-one, 10, axis=0)])
    assert exemplars(two).tolist() == [0, 20]
    assert exemplars(one).tolist() == [0]


def test_novelty_is_the_distance_to_the_nearest_part_of_another_cluster():
    centroids = np.array([[0, 0], [10, 0], [13, 0], [0, 4], [9, 1]], np.float32)
    owners = np.array([0, 1, 1, 2, -1])  # the last one is noise
    radii = np.zeros(5, np.float32)
    model = ClusterModel(Preparation(False), centroids, owners, radii, "euclidean")
    assert novelties(model) == pytest.approx({0: 4.0, 1: 10.0, 2: 4.0}, abs=1e-4)
    alone = ClusterModel(Preparation(False), centroids[:1], owners[:1], radii[:1], "cosine")
    assert novelties(alone) == {}


@given(st.integers(0, 2**16), st.sampled_from(["cosine", "euclidean"]))
def test_figures_do_not_depend_on_the_order_of_the_items(seed, metric):
    rng = random(seed)
    n = int(rng.integers(2, 700))
    labels, ids = rng.integers(-1, 3, n), keys(n)
    vectors = rng.normal(size=(n, 4)).astype(np.float32)
    order = rng.permutation(n)
    made = [
        {cluster: figures(v[rows], i[rows], metric) for cluster, rows in chosen.items()}
        for v, i, chosen in (
            (vectors, ids, sampled(labels, ids, range(5))),
            (vectors[order], ids[order], sampled(labels[order], ids[order], range(5))),
        )
    ]
    assert made[0] == made[1]
    assert made[0].keys() == set(labels.tolist()) - {-1}
    for cluster, found in made[0].items():
        own = set(ids[labels == cluster].tolist())
        assert set(found.exemplars) <= own
        assert 1 <= len(found.exemplars) == len(set(found.exemplars)) <= 6


def test_large_clusters_are_sampled_evenly():
    labels = np.zeros(5000, np.int64)
    (rows,) = sampled(labels, keys(5000), [0]).values()
    assert len(rows) == 512
    assert (rows[0], rows[-1]) == (0, 4999)
    assert set(np.diff(rows).tolist()) == {9, 10}
    assert sampled(labels, keys(5000), []) == {}


@given(st.lists(st.tuples(st.integers(-1, 5), st.integers(-1, 3))))
def test_joint_is_unique_by_rows(rows):
    table = np.array(rows, np.int64).reshape(-1, 2)
    expected = np.unique(table, axis=0, return_inverse=True, return_counts=True)
    for mine, theirs in zip(joint(table[:, 0], table[:, 1]), expected, strict=True):
        assert mine.tolist() == theirs.tolist()

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score, silhouette_samples

from uvl_plugin.clustering.base import number_by_size
from uvl_plugin.clustering.confidence import (
    confidence,
    cosine_silhouettes,
    euclidean_silhouettes,
)
from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.clustering.space import Space


@pytest.fixture
def overlapping() -> tuple[np.ndarray, np.ndarray]:
    """Three groups that overlap, and which each item is of."""
    random = np.random.default_rng(0)
    truth = np.arange(600) % 3
    points = 2 * np.eye(3, 6)[truth] + 0.7 * random.normal(size=(600, 6))
    return points.astype(np.float32), truth


def test_silhouettes_are_scikit_learns(overlapping):
    points, truth = overlapping
    expected = silhouette_samples(points, truth)
    assert euclidean_silhouettes(points, truth) == pytest.approx(expected, abs=1e-4)
    directions = unit_length(points - points.mean(axis=0))
    expected = silhouette_samples(directions, truth, metric="cosine")
    assert cosine_silhouettes(points, truth) == pytest.approx(expected, abs=1e-4)


def test_noise_is_left_out(overlapping):
    points, truth = overlapping
    labels = np.where(np.arange(600) < 30, -1, truth)
    found = euclidean_silhouettes(points, labels)
    assert found[30:] == pytest.approx(silhouette_samples(points[30:], truth[30:]), abs=1e-4)
    assert (found[:30] == 0).all()
    strengths = confidence(Space(points), labels, found)
    assert (strengths[:30] == 0).all()
    assert (strengths[30:] > 0).all()


@pytest.mark.parametrize("second", [False, True])
def test_wrong_items_have_low_confidence(second, overlapping):
    points, truth = overlapping
    nearest = ((points[:, None] - 2 * np.eye(3, 6)) ** 2).sum(axis=2).argmin(axis=1)
    wrong = nearest != truth
    assert 20 < wrong.sum() < 120
    other = euclidean_silhouettes(points, nearest) if second else None
    found = confidence(Space(points), nearest, other)
    assert roc_auc_score(wrong, -found) > 0.85


def test_a_small_group_inside_a_cluster_stands_out_in_the_second_view():
    random = np.random.default_rng(0)
    middles = np.array([[0, 0], [9, 0], [3, 0]])  # the third has no cluster of its own
    truth = np.repeat([0, 1, 2], [100, 100, 20])
    unfolded = middles[truth] + 0.3 * random.normal(size=(220, 2))
    labels = np.where(truth == 1, 1, 0)
    alike = Space(random.normal(size=(220, 5)).astype(np.float32))  # says nothing
    found = confidence(alike, labels, euclidean_silhouettes(unfolded, labels))
    assert roc_auc_score(truth == 2, -found) > 0.95


def test_one_cluster_is_certain():
    space = Space(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))
    assert confidence(space, np.array([0, 0, -1, 0, 0])).tolist() == [1, 1, 0, 1, 1]
    assert confidence(space, np.full(5, -1)).tolist() == [0] * 5


@given(
    arrays(np.float32, (12, 3), elements=st.floats(-5, 5, width=32)),
    arrays(np.int64, 12, elements=st.integers(-1, 4)),
)
def test_it_is_a_share_and_the_order_does_not_matter(points, labels):
    labels = number_by_size(labels)
    found = confidence(Space(points), labels)
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()
    assert (found[labels < 0] == 0).all()
    backwards = confidence(Space(points[::-1].copy()), labels[::-1])
    assert backwards[::-1] == pytest.approx(found, abs=1e-3)

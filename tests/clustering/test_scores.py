import math

import numpy as np
import pytest
from sklearn import metrics
from sklearn.neighbors import LocalOutlierFactor

from uvl_plugin.clustering import scores, separation
from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.prepare import Preparation
from uvl_plugin.clustering.scores import SCORES, nearest_cluster, score
from uvl_plugin.clustering.separation import silhouettes
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.errors import DataError, SettingsError

AS_THEY_ARE = Preparation(normalize=False)
METRICS = {"cosine": "cosine", "euclidean": "sqeuclidean"}  # ours, and as scikit-learn says it


def model_of(vectors, labels, metric="euclidean", parts=None) -> ClusterModel:
    parts = labels if parts is None else parts
    return ClusterModel.of(AS_THEY_ARE, vectors, labels, parts, metric=metric)


@pytest.fixture(scope="module")
def noisy(blobs):
    """Vectors in five clusters, some of them noise."""
    labels = np.where(np.arange(len(blobs.truth)) % 7 == 0, -1, blobs.truth)
    return blobs.embeddings.vectors[:, :8] + 1.0, labels


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", SCORES)
def test_every_score_is_in_its_range_and_one_for_each(name, metric, noisy):
    vectors, labels = noisy
    found = score(name, Space(vectors), labels, model_of(vectors, labels, metric))
    assert (found.shape, found.dtype) == (labels.shape, np.float32)
    assert (found >= SCORES[name].low).all()
    assert (found <= SCORES[name].high).all()
    assert np.isfinite(found).all()
    assert SCORES[name].meaning


@pytest.mark.parametrize("name", SCORES)
def test_scores_do_not_depend_on_the_order_nor_on_the_portions(name, noisy, monkeypatch):
    vectors, labels = noisy
    whole = score(name, Space(vectors), labels, model_of(vectors, labels))
    monkeypatch.setattr(scores, "_CELLS", 50)
    monkeypatch.setattr(separation, "_CELLS", 50)
    order = np.random.default_rng(0).permutation(len(labels))
    vectors, labels = vectors[order], labels[order]
    again = score(name, Space(vectors), labels, model_of(vectors, labels))
    assert again == pytest.approx(whole[order], abs=2e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_silhouettes_are_those_of_all_pairs(metric, noisy):
    vectors, labels = noisy
    inside = labels != -1
    gaps = np.where(inside, 3 * labels, -1)
    found = silhouettes(vectors, gaps, metric)
    truth = metrics.silhouette_samples(vectors[inside], labels[inside], metric=METRICS[metric])
    assert found[inside] == pytest.approx(truth, abs=1e-4)
    assert not found[~inside].any()


def test_silhouette_is_0_alone_and_where_there_is_one_cluster():
    vectors = np.array([[0, 0], [0, 1], [5, 5]], np.float32)
    found = silhouettes(vectors, np.array([0, 0, 1]), "euclidean")
    assert found[2] == 0
    assert found[0] > 0.9
    assert not silhouettes(vectors, np.zeros(3, int), "euclidean").any()


def test_margin_is_the_difference_of_affinities_and_negative_where_another_is_nearer():
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1], [3, 3]], np.float32)
    labels = np.array([0, 0, 1, 1, 0, -1])
    model = model_of(vectors, labels)
    found = score("margin", Space(vectors), labels, model)
    mean = np.array([2 / 3, 1 / 3])
    near, far = 1.0, mean[1] / np.hypot(*mean)  # cosines of (0, 1)
    weight = 1 / (1 + math.exp((far - near) / 0.1))
    assert found[2] == pytest.approx(2 * weight - 1, rel=1e-4)
    assert found[4] == pytest.approx(1 - 2 * weight, rel=1e-4)
    assert found[5] == 0


def test_margin_is_full_where_there_is_one_cluster(noisy):
    vectors, labels = noisy
    ones = np.minimum(labels, 0)
    found = score("margin", Space(vectors), ones, model_of(vectors, ones))
    assert (found[ones == 0] == 1).all()


def test_distance_is_to_the_nearest_part_of_the_own_cluster_and_of_noise_to_any():
    vectors = np.array([[0, 0], [0, 10], [4, 0], [4.5, 0]], np.float32)
    labels, parts = np.array([0, 0, 1, -1]), np.array([0, 1, 2, -1])
    space, model = Space(vectors), model_of(vectors, labels, parts=parts)
    assert score("distance", space, labels, model) == pytest.approx([0, 0, 0, 0.5], abs=1e-3)
    moved = np.array([1, 0, 1, 0])
    assert score("distance", space, moved, model) == pytest.approx([4, 0, 0, 4.5], abs=1e-3)


def test_nearest_cluster_passes_over_dissolved_ones():
    vectors = np.array([[0, 0], [3, 0], [9, 0]], np.float32)
    owners = np.array([-1, 4, 2])
    model = ClusterModel(AS_THEY_ARE, vectors, owners, np.ones(3, np.float32), "euclidean")
    labels, distances = nearest_cluster(model, vectors + [[1, 0]])
    assert labels.tolist() == [4, 4, 2]
    assert distances == pytest.approx([2, 1, 1])
    noise = np.full(3, -1)
    found = score("distance", Space(vectors), noise, model)
    assert found == pytest.approx([3, 0, 0], abs=1e-3)


def test_outlier_is_the_local_outlier_factor():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(300, 6)).astype(np.float32)
    vectors[:150] *= 0.1  # the dense half is not the less odd one
    labels = np.zeros(300, int)
    found = score("outlier", Space(vectors), labels, model_of(vectors, labels))
    factor = -LocalOutlierFactor(n_neighbors=30).fit(vectors).negative_outlier_factor_
    assert found == pytest.approx(factor / (1 + factor), abs=1e-4)


def test_planted_oddities_have_the_greatest_outlier_score_and_equal_items_are_not_odd():
    random = np.random.default_rng(1)
    vectors = random.normal(size=(300, 6)).astype(np.float32)
    vectors[:5] += 12 * np.eye(6, dtype=np.float32)[:5]
    labels = np.zeros(300, int)
    found = score("outlier", Space(vectors), labels, model_of(vectors, labels))
    assert set(np.argsort(-found)[:5]) == set(range(5))
    same = np.ones((60, 4), np.float32)
    equal = score("outlier", Space(same), np.zeros(60, int), model_of(same, np.zeros(60, int)))
    assert equal == pytest.approx([0.5] * 60)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("name", SCORES)
def test_one_and_two_items_have_scores(name, n):
    vectors, labels = np.ones((n, 3), np.float32), np.arange(n)
    found = score(name, Space(vectors), labels, model_of(vectors, labels))
    assert np.isfinite(found).all()


def test_all_noise_has_no_nearest_cluster():
    vectors, noise = np.ones((3, 2), np.float32), np.full(3, -1)
    model = model_of(vectors, noise)
    with pytest.raises(DataError, match="no clusters"):
        nearest_cluster(model, vectors)
    with pytest.raises(DataError, match="no clusters"):
        score("distance", Space(vectors), noise, model)
    assert not score("margin", Space(vectors), noise, model).any()
    assert not score("silhouette", Space(vectors), noise, model).any()


def test_an_unknown_score_is_named_with_the_nearest(noisy):
    vectors, labels = noisy
    with pytest.raises(SettingsError, match="no score 'margins'. Did you mean 'margin'"):
        score("margins", Space(vectors), labels, model_of(vectors, labels))

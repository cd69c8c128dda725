import math

import numpy as np
import pytest

from uvl_plugin.clustering import assign
from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.prepare import Preparation
from uvl_plugin.core.errors import DataError

AS_THEY_ARE = Preparation(normalize=False)


def model_of(centroids, metric, preparation=AS_THEY_ARE) -> ClusterModel:
    """Clusters of one part each."""
    n = len(centroids)
    return ClusterModel(preparation, centroids, np.arange(n), np.ones(n, np.float32), metric)


def cosine(a, b) -> float:
    a, b = np.asarray(a), np.asarray(b)
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def strength_by_hand(vector, centroids, own) -> float:
    weights = [math.exp(cosine(vector, centroid) / 0.1) for centroid in centroids]
    return weights[own] / sum(weights)


def nearest_by_hand(vector, centroids, metric) -> int:
    if metric == "cosine":
        return max(range(len(centroids)), key=lambda i: cosine(vector, centroids[i]))
    return min(range(len(centroids)), key=lambda i: float(((vector - centroids[i]) ** 2).sum()))


@pytest.mark.parametrize("rows", [65536, 7])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_labels_and_strengths_are_the_formulas(metric, rows, monkeypatch):
    monkeypatch.setattr(assign, "_ROWS", rows)
    random = np.random.default_rng(0)
    centroids = random.normal(size=(4, 6)).astype(np.float32) * [[1], [1], [2], [5]]
    vectors = random.normal(size=(25, 6)).astype(np.float32)
    labels, strengths = model_of(centroids, metric).assign(vectors)
    assert labels.tolist() == [nearest_by_hand(vector, centroids, metric) for vector in vectors]
    assert strengths == pytest.approx(
        [
            strength_by_hand(vector, centroids, own)
            for vector, own in zip(vectors, labels, strict=True)
        ],
        rel=1e-4,
    )


def test_the_metrics_differ_where_lengths_do():
    centroids = np.array([[1, 0], [10, 10]], np.float32)
    vector = np.array([[2, 1.9]], np.float32)
    assert model_of(centroids, "euclidean").assign(vector)[0] == [0]
    assert model_of(centroids, "cosine").assign(vector)[0] == [1]


def test_centroids_are_the_means_of_the_members_and_noise_has_no_strength():
    vectors = np.array([[0, 2], [0, 4], [6, 0], [-50, -50]], np.float32)
    labels = np.array([0, 0, 1, -1])
    model = ClusterModel.of(AS_THEY_ARE, vectors, labels, labels, metric="euclidean")
    assert model.centroids.tolist() == [[0, 3], [6, 0]]
    strengths = model.strengths(vectors, labels)
    assert strengths[:3] == pytest.approx([1 / (1 + math.exp(-10))] * 3)
    assert strengths[3] == 0


def test_a_zero_vector_belongs_to_all_alike():
    model = model_of(np.eye(4, dtype=np.float32), "cosine")
    assert model.assign(np.zeros((1, 4), np.float32))[1] == pytest.approx([0.25])


def test_vectors_are_prepared_first():
    turned = Preparation(True, np.zeros(2, np.float32), np.array([[0, 1], [1, 0]], np.float32))
    model = model_of(np.eye(2, dtype=np.float32), "euclidean", turned)
    assert model.assign(np.array([[9, 1], [1, 9]], np.float32))[0].tolist() == [1, 0]


def test_no_vectors_give_no_labels():
    model = model_of(np.eye(4, dtype=np.float32), "cosine")
    labels, strengths = model.assign(np.zeros((0, 4), np.float32))
    assert (labels.tolist(), strengths.tolist()) == ([], [])


def test_without_clusters_nothing_can_be_assigned():
    labels = np.full(3, -1)
    model = ClusterModel.of(
        AS_THEY_ARE, np.eye(3, dtype=np.float32), labels, labels, metric="cosine"
    )
    with pytest.raises(DataError, match="found no clusters"):
        model.assign(np.eye(3, dtype=np.float32))


def test_a_cluster_of_several_parts_counts_with_the_nearest():
    prepared = np.array([[4, 0], [2, 0], [0, 3], [0, -1], [-5, -5]], np.float32)
    labels, parts = np.array([0, 0, 0, 1, -1]), np.array([0, 0, 1, 2, -1])
    model = ClusterModel.of(AS_THEY_ARE, prepared, labels, parts, metric="cosine")
    assert model.centroids.tolist() == [[3, 0], [0, 3], [0, -1]]
    assert (model.owners.tolist(), model.n_clusters) == ([0, 0, 1], 2)
    found, strengths = model.assign(np.array([[1, 0.1], [0.1, 1], [0.1, -1]]))
    assert found.tolist() == [0, 0, 1]
    by_hand = 1 / (1 + math.exp((cosine([0.1, 1], [0, -1]) - cosine([0.1, 1], [0, 1])) / 0.1))
    assert strengths[1] == pytest.approx(by_hand, rel=1e-5)


def test_what_was_dissolved_takes_items_with_it_and_no_cluster_needs_a_part():
    centroids = np.eye(4, dtype=np.float32)
    owners = np.array([2, -1, 0, 0])
    model = ClusterModel(AS_THEY_ARE, centroids, owners, np.ones(4, np.float32), "cosine")
    labels, strengths = model.assign(np.eye(4))
    assert labels.tolist() == [2, -1, 0, 0]
    assert strengths[1] == 0
    assert (strengths[[0, 2, 3]] > 0.99).all()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_radii_hold_nearly_all_members(metric):
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], [1000, 400])
    prepared = (np.eye(2)[labels] + 0.1 * random.normal(size=(1400, 2))).astype(np.float32)
    model = ClusterModel.of(AS_THEY_ARE, prepared, labels, labels, metric=metric)
    parts, distances = model.nearest(prepared)
    assert np.mean(distances > model.radii[parts]) == pytest.approx(0.01, abs=0.005)

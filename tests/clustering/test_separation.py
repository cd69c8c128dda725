import numpy as np
import pytest
from sklearn import metrics

from uvl_plugin.clustering import separation
from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.clustering.separation import Moments, Separation


def figures(vectors, labels, metric) -> Separation:
    moments = Moments(vectors, labels, metric)
    return moments.separation(moments.silhouettes())


@pytest.mark.parametrize("cells", [2**22, 100])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_figures_are_those_of_scikit_learn(metric, cells, blobs, monkeypatch):
    monkeypatch.setattr(separation, "_CELLS", cells)
    vectors = blobs.embeddings.vectors[:, :10] + 0.5
    labels = np.where(np.arange(len(vectors)) % 9 == 0, -1, blobs.truth)
    found = figures(vectors, labels, metric)
    inside = labels != -1
    points = unit_length(vectors) if metric == "cosine" else vectors
    points, labels = points[inside], labels[inside]
    assert found.davies_bouldin == pytest.approx(metrics.davies_bouldin_score(points, labels), 1e-4)
    assert found.calinski_harabasz == pytest.approx(
        metrics.calinski_harabasz_score(points, labels), 1e-4
    )
    truth = metrics.silhouette_score(points, labels, metric="sqeuclidean")
    assert found.silhouette == pytest.approx(truth, abs=1e-4)


@pytest.mark.parametrize("labels", [[-1, -1, -1], [0, 0, -1], [0, 1, -1], [0, 1, 2]])
def test_what_is_not_defined_is_none(labels):
    found = figures(np.eye(3, dtype=np.float32), np.array(labels), "cosine")
    assert found == Separation(None, None, None)


def test_equal_items_in_two_clusters_are_not_separated():
    found = figures(np.ones((6, 2), np.float32), np.array([0, 0, 0, 1, 1, 1]), "euclidean")
    assert found == Separation(0.0, None, None)


def test_nearest_others_are_by_the_means():
    vectors = np.array([[0, 0], [0, 2], [0, 5], [0, 9]], np.float32)
    others, distances = Moments(vectors, np.array([0, 0, 1, 2]), "euclidean").nearest_others()
    assert others.tolist() == [1, 0, 1]
    assert distances == pytest.approx([4, 4, 4])
    others, distances = Moments(vectors, np.zeros(4, int), "euclidean").nearest_others()
    assert (others.tolist(), distances.tolist()) == ([-1], [np.inf])

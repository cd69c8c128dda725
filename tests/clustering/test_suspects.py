import numpy as np
import pytest
from sklearn.datasets import load_digits

from uvl_plugin.clustering import suspects as module
from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.classes import contingency
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.space import Space
from uvl_plugin.clustering.suspects import doubts, suspects
from uvl_plugin.core.embeddings import Embeddings


@pytest.fixture(scope="module")
def digits():
    """Clusters of scikit-learn's digits, their strengths and neighbours, and the truth."""
    vectors, truth = load_digits(return_X_y=True)
    embeddings = Embeddings([f"{row:04d}" for row in range(len(truth))], vectors, "pixels")
    result, model = cluster_embeddings(embeddings, KMeans(n_clusters=10, pca=32, n_init=3))
    near = Space(model.preparation(embeddings.vectors)).neighbors(10).indices
    return result.labels, result.strengths, near, truth


def with_wrong_labels(truth, seed) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which 5 % were exchanged for another one, and which."""
    random = np.random.default_rng(seed)
    wrong = np.sort(random.choice(len(truth), len(truth) // 20, replace=False))
    given = truth.copy()
    given[wrong] = (given[wrong] + random.integers(1, 10, len(wrong))) % 10
    return given, wrong


def found_at_the_top(digits, seed, *, with_neighbors) -> float:
    """Share of exchanged labels among as many items with the greatest doubt."""
    clusters, strengths, near, truth = digits
    given, wrong = with_wrong_labels(truth, seed)
    table = contingency(clusters, given, 10, 10)
    _, leads = doubts(clusters, given, table, strengths, near if with_neighbors else None)
    return np.isin(np.argsort(-leads, kind="stable")[: len(wrong)], wrong).mean()


def test_exchanged_labels_of_digits_are_found(digits):
    shares = [found_at_the_top(digits, seed, with_neighbors=True) for seed in range(3)]
    assert np.mean(shares) >= 0.88
    alone = [found_at_the_top(digits, seed, with_neighbors=False) for seed in range(3)]
    assert np.mean(alone) >= 0.4  # a twentieth by chance; the clusters themselves err


def test_suspects_are_nearly_all_wrong_and_the_suggestion_is_the_truth(digits):
    clusters, strengths, near, truth = digits
    given, wrong = with_wrong_labels(truth, 0)
    ids = np.array([f"{row:04d}" for row in range(len(truth))])
    names = list("abcdefghij")
    table = contingency(clusters, given, 10, 10)
    found = suspects(ids, given, names, *doubts(clusters, given, table, strengths, near))
    rows = np.array([int(one.id) for one in found])
    assert np.isin(rows, wrong).mean() >= 0.8
    assert np.isin(wrong, rows).mean() >= 0.8
    assert all(names[given[row]] == one.given for row, one in zip(rows, found, strict=True))
    hits = [one for one in found if int(one.id) in wrong]
    right = [names[truth[int(one.id)]] == one.suggested for one in hits]
    assert np.mean(right) >= 0.95
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    assert 0.5 <= scores[-1] <= scores[0] <= 1


def test_evidence_is_a_fifth_the_cluster_and_four_fifths_the_neighbours():
    clusters = np.array([0, 0, 0, 0, -1])
    classes = np.array([1, 0, 0, 1, -1])
    near = np.array([[1, 2], [2, 3], [1, 4], [0, 4], [0, 1]])
    table = contingency(clusters[:4], classes[:4], 1, 2)
    others, leads = doubts(clusters, classes, table, np.full(5, 0.5), near)
    assert others.tolist() == [0, 1, 1, 0, 0]
    by_hand = [
        0.8 * 1.0 + 0.1 * (2 - 1) / 3,
        0.8 * 0.0 + 0.1 * (2 - 1) / 3,
        -0.8 * 0.5 + 0.1 * (2 - 1) / 3,
        -0.8 * 0.5 + 0.1 * (2 - 1) / 3,
        -1,
    ]
    assert leads == pytest.approx(by_hand)


def test_portions_change_nothing(digits, monkeypatch):
    clusters, strengths, near, truth = digits
    table = contingency(clusters, truth, 10, 10)
    whole = doubts(clusters, truth, table, strengths, near)
    monkeypatch.setattr(module, "_CELLS", 70)
    again = doubts(clusters, truth, table, strengths, near)
    assert all(np.array_equal(*pair) for pair in zip(whole, again, strict=True))


def test_one_class_and_lone_items_raise_no_doubt():
    one = np.zeros(3, int)
    _, leads = doubts(one, one, contingency(one, one, 1, 1))
    assert leads.tolist() == [-1, -1, -1]
    alone, pair = np.arange(2), np.arange(2)
    _, leads = doubts(alone, pair, contingency(alone, pair, 2, 2))
    assert leads.tolist() == [0, 0]
    assert suspects(np.array(["a", "b"]), pair, ["x", "y"], pair, leads) == []

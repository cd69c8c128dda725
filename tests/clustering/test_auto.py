import json

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from uvl_plugin.clustering import auto
from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.auto import Auto
from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.core.embeddings import NOISE, ClusteringResult, Embeddings


def clustered(points, *, normalize=False, pca=0, **settings) -> ClusteringResult:
    found = Embeddings(np.arange(len(points)), points)
    return cluster_embeddings(found, Auto(normalize=normalize, pca=pca, **settings))[0]


def groups(k, dim, spread, n, seed=0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = np.arange(n) % k
    points = random.normal(size=(k, dim))[truth] + spread * random.normal(size=(n, dim))
    return points, truth


@pytest.fixture
def without_umap(monkeypatch):
    """Looks at all items as they are, which is quick and enough for round groups."""
    monkeypatch.setattr(auto, "_FEW", 10**6)


def test_planted_groups_are_found_with_their_number(blobs):
    result, model = cluster_embeddings(blobs.embeddings, Auto())
    assert (result.labels == blobs.truth).all()
    assert result.report["opinions"].keys() >= {"density", "silhouette", "stability"}
    assert result.report["n_clusters"] == 5
    assert result.report["sureness"] > 0.7
    assert isinstance(model, ClusterModel)
    again, _ = model.assign(blobs.embeddings.vectors)
    assert (again == blobs.truth).all()


@pytest.mark.parametrize("k", [2, 10])
def test_the_number_of_round_groups_is_found(k, without_umap):
    points, truth = groups(k, 16, 0.2, 250)
    result = clustered(points)
    assert result.n_clusters == k
    assert adjusted_rand_score(truth, result.labels) > 0.99


@pytest.mark.parametrize("kind", ["round", "long", "box", "one direction", "many dimensions"])
def test_one_group_is_one_cluster(kind):
    random = np.random.default_rng(0)
    points = {
        "round": random.normal(size=(250, 2)),
        "long": random.normal(size=(250, 8)) * [9, 3, 1, 1, 1, 1, 1, 1],
        "box": random.uniform(size=(250, 3)),
        "one direction": 5 + random.normal(size=(250, 2)),
        "many dimensions": random.normal(size=(250, 64)),
    }[kind]
    result = clustered(points, normalize=kind == "one direction")
    assert set(result.labels) == {0}
    assert (result.strengths == 1).all()
    assert result.report["n_clusters"] == 1
    assert "one cloud" in result.report["sentence"]


def test_equal_lengths_are_no_groups():
    """Directions of a cloud around the origin: a ring, that a Gaussian does not resemble."""
    points = np.random.default_rng(0).normal(size=(250, 2))
    assert clustered(points, normalize=True).n_clusters == 1


@pytest.mark.parametrize("asked", [1, 3, 8])
def test_a_person_may_say_the_number(asked, without_umap):
    points, truth = groups(5, 8, 0.05, 200)
    result = clustered(points, n_clusters=asked)
    assert result.n_clusters == asked
    if asked == 3:
        joined = {tuple(np.unique(result.labels[truth == group])) for group in range(5)}
        assert len(joined) == 3  # whole groups were joined
        assert result.report["sentence"] == "3 clusters, as asked for."


@pytest.fixture(scope="module")
def four():
    """Four groups, a run on them and the progress that it made."""
    seen = []
    points, _ = groups(4, 8, 0.15, 100)
    found = cluster_embeddings(
        Embeddings(np.arange(100), points), Auto(), lambda *done: seen.append(done)
    )[0]
    return points, found, seen


def test_detail_gives_coarser_and_finer_clusters(four):
    points, found, _ = four
    coarse, fine = (clustered(points, detail=detail) for detail in (-1, 1))
    assert coarse.n_clusters < found.n_clusters == 4 < fine.n_clusters
    assert "finer was asked for" in fine.report["sentence"]


def test_the_report_is_json_and_names_the_candidates(four):
    report = four[1].report
    assert json.loads(json.dumps(report)) == report
    assert report["view"] in {"density", "centroid"}
    assert all(k < 4 for k in report["coarser"])
    assert all(k > 4 for k in report["finer"])


def test_progress_says_what_is_done(four):
    fractions = [fraction for fraction, _ in four[2]]
    assert fractions == sorted(fractions)
    said = " ".join(message for _, message in four[2])
    for expected in ("more than one group", "HDBSCAN", "k-means for a range", "stability"):
        assert expected in said


def test_bent_groups_are_found_whole():
    random = np.random.default_rng(0)
    angle = random.uniform(0, 2 * np.pi, 600)
    radius = np.repeat([1.0, 4.0], 300) + random.normal(scale=0.08, size=600)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    result = clustered(points, n_clusters=2)
    assert adjusted_rand_score(np.repeat([0, 1], 300), result.labels) > 0.95


def test_a_sample_finds_the_groups_and_the_others_join_them(monkeypatch, without_umap):
    monkeypatch.setattr(auto, "_MOST", 300)
    points, truth = groups(6, 16, 0.2, 900)
    result = clustered(points)
    assert result.n_clusters == 6
    assert adjusted_rand_score(truth, result.labels) > 0.99
    assert result.strengths.min() > 0.5


def test_an_item_far_from_all_is_noise(without_umap):
    points, _ = groups(4, 16, 0.1, 240)
    points[17] = 40.0
    result = clustered(points)
    assert result.labels[17] == NOISE
    assert result.strengths[17] == 0
    assert (result.labels == NOISE).sum() == 1


@pytest.mark.parametrize("n", [1, 2, 3, 12, 40])
def test_few_or_equal_items_are_one_cluster(n):
    assert set(clustered(np.ones((n, 4))).labels) == {0}
    if n < 12:
        points = np.random.default_rng(n).normal(size=(n, 4))
        assert set(clustered(points).labels) == {0}


def test_written_digits_come_out_as_ten():
    """Measured: 10 groups, accuracy 0.899 with seeds 0 to 2; wrong ones have low strengths."""
    from sklearn.datasets import load_digits
    from sklearn.metrics import roc_auc_score

    digits = load_digits()
    result = clustered(digits.data[:900], normalize=True, pca=64)
    assert 8 <= result.n_clusters <= 12
    table = np.zeros((result.n_clusters, 10))
    np.add.at(table, (result.labels, digits.target[:900]), 1)
    wrong = table.argmax(axis=1)[result.labels] != digits.target[:900]
    assert wrong.mean() < 0.15
    assert roc_auc_score(wrong, -result.strengths) > 0.8

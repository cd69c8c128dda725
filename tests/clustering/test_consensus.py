"""Consensus, against co-association summed up pair by pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import adjusted_rand_score

from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.coassociation import agreements, combined, memberships
from uvl_plugin.clustering.consensus import Consensus
from uvl_plugin.core.embeddings import NOISE, Embeddings
from uvl_plugin.core.errors import SettingsError

several_runs = arrays(
    np.int64,
    st.tuples(st.integers(1, 25), st.integers(1, 5)),
    elements=st.integers(-1, 4),
)


def by_hand(runs) -> np.ndarray:
    """Share of the runs in which two items are in the same cluster, pair by pair."""
    n, n_runs = runs.shape
    together = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            same = [run for run in range(n_runs) if runs[i, run] == runs[j, run] >= 0]
            together[i, j] = len(same) / n_runs
    return together


@given(several_runs)
def test_products_of_rows_are_the_co_association(runs):
    rows = memberships(runs)
    assert (rows @ rows.T).toarray() == pytest.approx(by_hand(runs))


@given(several_runs)
def test_strength_is_the_mean_co_association_with_the_cluster(runs):
    labels, strengths = combined(runs, 3, seed=0)
    together = by_hand(runs)
    expected = [
        0.0 if label == NOISE else together[item, labels == label].mean()
        for item, label in enumerate(labels)
    ]
    assert strengths == pytest.approx(expected)


@given(several_runs)
def test_noise_in_more_than_half_of_the_runs_is_noise(runs):
    labels, strengths = combined(runs, 3, seed=0)
    noise = (runs < 0).sum(axis=1) * 2 > runs.shape[1]
    assert ((labels == NOISE) == noise).all()
    assert (strengths[noise] == 0).all()


def test_rows_count_as_often_as_they_have_items():
    rows = memberships(np.array([[0, 0], [0, 1]]))
    assert agreements(rows, np.array([0, 0]), np.array([3, 1])) == pytest.approx([0.875, 0.625])


@given(arrays(np.int64, st.integers(1, 40), elements=st.integers(-1, 5)), st.integers(1, 4))
def test_runs_that_agree_give_their_partition_at_strength_one(run, n_runs):
    runs = np.repeat(run[:, None], n_runs, axis=1)
    labels, strengths = combined(runs, max(1, len(set(run) - {NOISE})), seed=0)
    assert ((labels == NOISE) == (run == NOISE)).all()
    assert ((labels[:, None] == labels) == (run[:, None] == run)).all()
    assert strengths == pytest.approx((run >= 0).astype(float))


@settings(max_examples=20)
@given(several_runs, st.randoms(use_true_random=False))
def test_numbers_of_the_clusters_change_nothing(runs, random):
    renamed = runs.copy()
    for run in range(runs.shape[1]):
        names = np.array([*random.sample(range(100), 5), NOISE])
        renamed[:, run] = names[runs[:, run]]
    for first, second in zip(combined(runs, 3, 0), combined(renamed, 3, 0), strict=True):
        assert (first == second).all()


def test_the_majority_decides():
    truth = np.repeat([0, 1, 2], 30)
    runs = np.tile(truth[:, None], (1, 5))
    for run in range(5):
        runs[6 * run : 6 * run + 6, run] = 1  # each run errs, each with other items
    labels, strengths = combined(runs, 3, seed=0)
    assert adjusted_rand_score(truth, labels) == 1.0
    assert strengths[:30].max() < 0.9 < strengths[30:].min()


def test_members_get_the_number_and_the_seeds():
    members = Consensus(algorithms="kmeans, hdbscan,", seeds=2, n_clusters=7, seed=5).members()
    assert [member.name for member in members] == ["kmeans", "kmeans", "hdbscan"]
    assert [member.seed for member in members[:2]] == [5, 6]
    assert [member.n_clusters for member in members[:2]] == [7, 7]


def test_the_greatest_seed_is_allowed():
    members = Consensus(algorithms="kmeans", seeds=2, seed=2**31 - 1).members()
    assert [member.seed for member in members] == [2**31 - 1, 0]


def test_a_number_that_is_not_given_is_the_median_of_the_runs(blobs):
    algorithm = Consensus(algorithms="hdbscan", n_clusters=None)
    result, _ = cluster_embeddings(blobs.embeddings, algorithm)
    assert result.n_clusters == 5
    assert result.report["number_from"] == "median of the runs"


def test_the_report_names_every_run(blobs):
    algorithm = Consensus(algorithms="kmeans, hdbscan", seeds=2, n_clusters=5)
    result, _ = cluster_embeddings(blobs.embeddings, algorithm)
    runs = result.report["runs"]
    assert [(run["algorithm"], run["seed"]) for run in runs] == [
        ("kmeans", 0),
        ("kmeans", 1),
        ("hdbscan", None),
    ]
    assert [run["n_clusters"] for run in runs] == [5, 5, 5]
    assert min(run["agreement"] for run in runs) > 0.95
    assert result.report["agreement"] > 0.95


def test_items_that_runs_disagree_on_are_weaker():
    random = np.random.default_rng(0)
    centres = np.eye(4)[:2]
    clear = np.repeat(centres, 60, axis=0) + 0.05 * random.normal(size=(120, 4))
    between = centres.mean(axis=0) + 0.1 * random.normal(size=(20, 4))
    vectors = np.concatenate([clear, between])
    algorithm = Consensus(algorithms="kmeans, hdbscan", n_clusters=2, seeds=1)
    result, _ = cluster_embeddings(Embeddings(np.arange(140), vectors), algorithm)
    strengths = dict(zip(result.ids.astype(int), result.strengths, strict=True))
    weak = [strengths[item] for item in range(120, 140)]
    strong = [strengths[item] for item in range(120)]
    assert np.median(weak) < np.median(strong) - 0.2


@pytest.mark.parametrize(
    ("algorithms", "message"),
    [
        ("kmeans, consensus", "names 'consensus' itself"),
        ("kmeens", "no clustering algorithm 'kmeens'. Did you mean 'kmeans'"),
        (" , ", "names no algorithm; give some"),
    ],
)
def test_wrong_names_are_errors_with_a_way_out(algorithms, message):
    with pytest.raises(SettingsError, match=message) as caught:
        Consensus(algorithms=algorithms)
    assert caught.value.argument == "algorithms"


def test_more_clusters_than_a_member_can_make_is_an_error_at_once():
    with pytest.raises(SettingsError, match="Spectral.n_clusters must be at most"):
        Consensus(algorithms="spectral", n_clusters=999)

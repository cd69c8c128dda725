import numpy as np
import pytest
from sklearn.cluster import KMeans as Reference
from sklearn.metrics import adjusted_rand_score

from uvl_plugin.clustering import kmeans
from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.core import scratch
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.core.errors import Cancelled


def spread(vectors, labels) -> float:
    """What k-means makes small: squared distances to the means, summed slowly."""
    groups = [vectors[labels == label] for label in set(labels)]
    return sum(float(((group - group.mean(axis=0)) ** 2).sum()) for group in groups)


def test_clusters_are_as_tight_as_those_of_scikit_learn():
    vectors = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    algorithm = KMeans(n_clusters=8, normalize=False, pca=0)
    result, _ = cluster_embeddings(Embeddings(np.arange(400), vectors), algorithm)
    reference = Reference(8, n_init=10, max_iter=50, random_state=0).fit(vectors)
    assert spread(vectors, result.labels) < 1.02 * reference.inertia_


@pytest.mark.parametrize("spherical", [False, True])
def test_spherical_compares_by_direction(spherical):
    random = np.random.default_rng(0)
    truth = np.arange(90) % 3
    lengths = random.choice([1.0, 100.0], size=(90, 1))
    vectors = lengths * (np.eye(3)[truth] + 0.05 * random.normal(size=(90, 3)))
    algorithm = KMeans(n_clusters=3, spherical=spherical, normalize=False, pca=0)
    result, _ = cluster_embeddings(Embeddings(np.arange(90), vectors), algorithm)
    agrees = adjusted_rand_score(truth, result.labels)
    assert (agrees > 0.99) is spherical


def test_more_clusters_than_items_gives_each_its_own():
    result, _ = cluster_embeddings(Embeddings(np.arange(4), np.eye(4)), KMeans(n_clusters=10))
    assert sorted(result.labels) == [0, 1, 2, 3]


def test_the_seed_chooses_the_start():
    vectors = np.random.default_rng(0).normal(size=(300, 5))
    embeddings = Embeddings(np.arange(300), vectors)
    found = [
        cluster_embeddings(embeddings, KMeans(n_clusters=20, n_init=1, seed=seed))[0].labels
        for seed in (0, 0, 1)
    ]
    assert (found[0] == found[1]).all()
    assert adjusted_rand_score(found[0], found[2]) < 0.99


@pytest.mark.parametrize("spherical", [False, True])
def test_new_items_go_where_the_old_ones_went(blobs, spherical):
    algorithm = KMeans(n_clusters=5, spherical=spherical)
    result, model = cluster_embeddings(blobs.embeddings, algorithm)
    labels, strengths = model.assign(blobs.embeddings.vectors)
    assert (labels == result.labels).all()
    assert strengths == pytest.approx(result.strengths, abs=1e-5)


@pytest.fixture
def many(monkeypatch):
    """Numbers that starts are judged on a sample of, in small groups."""
    monkeypatch.setattr(kmeans, "_SAMPLE", 300)
    random = np.random.default_rng(0)
    truth = random.integers(12, size=3000)
    vectors = 4 * random.normal(size=(12, 20))[truth] + random.normal(size=(3000, 20))
    return vectors.astype(np.float32), truth


@pytest.mark.parametrize("spherical", [False, True])
def test_starts_on_a_sample_end_as_well(many, spherical):
    vectors, truth = many
    embeddings = Embeddings(np.arange(3000), vectors)
    result, _ = cluster_embeddings(embeddings, KMeans(n_clusters=12, spherical=spherical))
    assert adjusted_rand_score(truth, result.labels) > 0.98
    assert result.report["iterations"] < 50


def test_one_start_on_a_sample_is_as_tight_as_one_of_scikit_learn(many):
    vectors, _ = many
    algorithm = KMeans(n_clusters=60, normalize=False, pca=0, n_init=1, spherical=False)
    result, _ = cluster_embeddings(Embeddings(np.arange(3000), vectors), algorithm)
    reference = Reference(60, n_init=1, max_iter=50, tol=0, random_state=0).fit(vectors)
    assert spread(vectors, result.labels) < 1.01 * reference.inertia_
    assert result.report["spread"] == pytest.approx(spread(vectors, result.labels), rel=1e-3)


@pytest.mark.parametrize("pca", [0, 8])
@pytest.mark.parametrize("spherical", [False, True])
def test_mapped_vectors_give_the_same_as_vectors_in_memory(
    many, tmp_path, monkeypatch, spherical, pca
):
    vectors, _ = many
    algorithm = KMeans(n_clusters=12, spherical=spherical, pca=pca)
    expected, _ = cluster_embeddings(Embeddings(np.arange(3000), vectors), algorithm)
    np.save(tmp_path / "vectors.npy", vectors)
    mapped = Embeddings(np.arange(3000), np.load(tmp_path / "vectors.npy", mmap_mode="r"))
    monkeypatch.setattr(scratch, "free_memory", lambda: 1000.0)
    found, _ = cluster_embeddings(mapped, algorithm)
    assert (found.labels == expected.labels).all()
    assert (found.strengths == expected.strengths).all()


@pytest.mark.parametrize("sample", [300, 10_000])
def test_progress_moves_and_the_work_can_be_stopped(many, sample, monkeypatch):
    monkeypatch.setattr(kmeans, "_SAMPLE", sample)
    embeddings = Embeddings(np.arange(3000), many[0])
    seen = []

    def note(fraction, message):
        seen.append(fraction)

    cluster_embeddings(embeddings, KMeans(n_clusters=12, n_init=4), note)
    assert len(set(seen)) > 10
    assert seen == sorted(seen)

    def stop(fraction, message):
        if fraction > 0.3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        cluster_embeddings(embeddings, KMeans(n_clusters=12, n_init=4), stop)

import numpy as np
import pytest

from uvl_plugin.clustering import reruns
from uvl_plugin.clustering.hdbscan import HDBSCAN
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.reruns import stability


def test_clear_groups_come_again(blobs):
    found = stability(blobs.embeddings.vectors, blobs.truth, KMeans(n_clusters=5, n_init=3))
    assert found.seeds == pytest.approx([1, 1, 1])
    assert found.bootstraps == pytest.approx([1] * 5)
    assert found.recovered == pytest.approx([1] * 5)
    assert found.n_items == len(blobs.truth)


def test_pieces_of_one_cloud_do_not():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(400, 8)).astype(np.float32)
    algorithm = KMeans(n_clusters=8, n_init=1, max_iter=20)
    labels = np.argmax(vectors, axis=1)
    found = stability(vectors, labels, algorithm)
    assert max(found.seeds + found.bootstraps) < 0.6
    assert max(found.recovered) < 0.75


def test_one_unstable_cluster_is_told_from_stable_ones(blobs):
    def merges_two_at_times(space, seed):
        again = np.array([known[vector.tobytes()] for vector in space.vectors])
        return np.where((again == 4) & (seed % 2 == 0), 3, again)

    rows = (vector.tobytes() for vector in blobs.embeddings.vectors)
    known = dict(zip(rows, blobs.truth.tolist(), strict=True))
    found = stability(blobs.embeddings.vectors, blobs.truth, merges_two_at_times)
    assert found.recovered[:3] == (1.0, 1.0, 1.0)
    assert 0.5 < found.recovered[3] < 0.9
    assert found.recovered[4] < found.recovered[3]
    assert len(found.seeds) == 3
    assert min(found.seeds) < 1.0


def test_without_a_seed_there_is_nothing_to_compare_between_seeds(blobs):
    found = stability(blobs.embeddings.vectors, blobs.truth, HDBSCAN())
    assert found.seeds == ()
    assert len(found.bootstraps) == 5


def test_a_sample_stands_for_many(blobs, monkeypatch):
    monkeypatch.setattr(reruns, "MOST", 100)
    sizes = []

    def rerun(space, seed):
        sizes.append(len(space))
        return np.zeros(len(space), int)

    found = stability(blobs.embeddings.vectors, blobs.truth, rerun, seed=5)
    assert found.n_items == 100
    assert sizes[:3] == [100] * 3
    assert all(50 <= size <= 76 for size in sizes[3:])  # 1 - 1/e = 63 expected
    assert found.seeds == (0.0, 0.0, 0.0)


def test_draws_follow_the_seed(blobs):
    def drawn(seed):
        seen = []

        def rerun(space, again):
            seen.append((space.vectors[:, 0].tolist(), again))
            return np.zeros(len(space), int)

        stability(blobs.embeddings.vectors, blobs.truth, rerun, seed=seed)
        return seen

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_noise_is_recovered_by_nobody():
    vectors = np.arange(12, dtype=np.float32).reshape(6, 2)
    labels = np.array([0, 0, 0, -1, -1, -1])
    found = stability(vectors, labels, lambda space, seed: np.full(len(space), -1))
    assert found.recovered == (0.0,)
    all_noise = stability(vectors, np.full(6, -1), lambda space, seed: np.full(len(space), -1))
    assert all_noise.recovered == ()
    assert all_noise.bootstraps == (1.0,) * 5

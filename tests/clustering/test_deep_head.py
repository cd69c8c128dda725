import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.deep_head import DeepHead
from uvl_plugin.clustering.heads import Heads, temi_loss
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.progress import silent


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def log_probabilities(*shape, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed)).log_softmax(dim=-1)


def loss_by_hand(students, teachers, marginal, beta) -> list[float]:
    """Equations of the paper, section 3, with loops."""
    s, t, mean = students.exp().numpy(), teachers.exp().numpy(), marginal.numpy()
    n_heads, _, batch, _ = s.shape
    losses = []
    for head in range(n_heads):
        total = 0.0
        for i in range(batch):
            weight = np.mean([(t[other, 0, i] * t[other, 1, i]).sum() for other in range(n_heads)])
            for first, second in ((0, 1), (1, 0)):
                agreed = (s[head, first, i] * t[head, second, i]) ** beta
                total -= weight * math.log((agreed / mean[head, 0]).sum()) / 2
        losses.append(total / batch)
    return losses


@pytest.mark.parametrize("beta", [0.6, 1.0])
@pytest.mark.parametrize("n_heads", [1, 3])
def test_loss_is_the_papers(beta, n_heads):
    students = log_probabilities(n_heads, 2, 5, 4, seed=0)
    teachers = log_probabilities(n_heads, 2, 5, 4, seed=1)
    marginal = log_probabilities(n_heads, 1, 4, seed=2).exp()
    found = temi_loss(students, teachers, marginal, beta).tolist()
    assert found == pytest.approx(loss_by_hand(students, teachers, marginal, beta), rel=1e-4)


def test_information_is_that_of_the_neighbours():
    vectors = np.repeat(np.eye(2, dtype=np.float32), 4, axis=0)
    others = np.arange(8) // 4 * 4 + (np.arange(8) + 1) % 4
    weights = torch.stack(
        [torch.eye(2), torch.zeros(2, 2)]
    )  # one head that knows, one that does not
    judged = Heads(weights, vectors, others[:, None]).judged()
    assert judged.information == pytest.approx([math.log(2), 0.0], abs=1e-3)
    assert judged.entropy == pytest.approx([math.log(2), math.log(2)], abs=1e-5)
    assert judged.used.tolist() == [2, 1]


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return Embeddings(np.arange(len(data.data)), data.data / 16.0), data.target


def test_it_finds_digits_better_than_kmeans(digits):
    embeddings, truth = digits
    head, _ = cluster_embeddings(embeddings, DeepHead(epochs=20, heads=4, pca=0))
    kmeans, _ = cluster_embeddings(embeddings, KMeans(pca=0))
    found = adjusted_rand_score(truth, head.labels)
    assert found > adjusted_rand_score(truth, kmeans.labels) + 0.05
    assert head.report["clusters_used"] == 10
    assert head.report["collapsed"] is False
    right = (
        truth
        == np.array([np.bincount(truth[head.labels == c]).argmax() for c in range(10)])[head.labels]
    )
    assert head.strengths[right].mean() > head.strengths[~right].mean() + 0.05


def test_the_most_informative_head_is_kept(blobs):
    result, _ = cluster_embeddings(blobs.embeddings, DeepHead(n_clusters=5, heads=4))
    information = result.report["information"]
    assert len(information) == 4
    assert information[result.report["head"]] == max(information)


def test_collapse_is_said_with_a_way_out():
    vectors = np.repeat(np.eye(3, 8), 40, axis=0)  # three different items cannot be six clusters
    algorithm = DeepHead(n_clusters=6, heads=2, epochs=5)
    result, _ = cluster_embeddings(Embeddings(np.arange(120), vectors), algorithm)
    assert result.report["collapsed"] is True
    assert result.report["heads_collapsed"] == 2
    assert result.report["clusters_used"] == result.n_clusters == 3
    assert "uses 3 of 6 clusters" in result.report["note"]
    assert "ask for fewer clusters" in result.report["note"]


def test_a_head_that_collapsed_is_passed_over(monkeypatch, blobs):
    def with_a_dull_head(self, space, device):
        starts = usual(self, space, device)
        starts[0, 2:] = 0.0
        starts[0, :2] = 5.0 * torch.eye(space.dim)[:2]
        return starts

    usual = DeepHead._starts
    monkeypatch.setattr(DeepHead, "_starts", with_a_dull_head)
    algorithm = DeepHead(n_clusters=5, heads=2, epochs=1, learning_rate=1e-6)
    result, _ = cluster_embeddings(blobs.embeddings, algorithm)
    assert result.report["heads_collapsed"] == 1
    assert result.report["head"] == 1
    assert result.report["collapsed"] is False


def test_too_few_items_are_clustered_by_kmeans_and_it_says_so():
    vectors = np.random.default_rng(0).normal(size=(29, 6))
    embeddings = Embeddings(np.arange(29), vectors)
    head, _ = cluster_embeddings(embeddings, DeepHead(n_clusters=10))
    kmeans, _ = cluster_embeddings(embeddings, KMeans(n_clusters=10))
    assert (head.labels == kmeans.labels).all()
    assert head.report["trained"] is False
    assert "Too few different items" in head.report["note"]


def test_twins_share_their_cluster():
    vectors = np.random.default_rng(0).normal(size=(100, 6))
    embeddings = Embeddings(np.arange(200), np.concatenate([vectors, vectors]))
    result, _ = cluster_embeddings(embeddings, DeepHead(n_clusters=4, epochs=20))
    assert (result.labels[:100] == result.labels[100:]).all()


def test_the_seed_decides_and_nothing_of_torch_is_changed(blobs):
    torch.manual_seed(3)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    found = []
    for torch_seed, seed in ((1, 0), (2, 0), (2, 1)):
        torch.manual_seed(torch_seed)
        with torch.inference_mode():
            algorithm = DeepHead(n_clusters=7, epochs=20, seed=seed)
            found.append(cluster_embeddings(blobs.embeddings, algorithm)[0])
        torch.random.set_rng_state(state)
    assert (found[0].strengths == found[1].strengths).all()
    assert (found[0].strengths != found[2].strengths).any()
    assert torch.get_num_threads() == threads
    DeepHead(n_clusters=5, epochs=1).cluster(Space(blobs.embeddings.vectors), silent)
    assert (torch.get_rng_state() == state).all()


def test_a_device_that_is_not_there_is_an_error(blobs):
    with pytest.raises(SettingsError, match="device='cuda:99' cannot be used"):
        DeepHead(device="cuda:99").cluster(Space(blobs.embeddings.vectors), silent)

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from uvl_plugin.backbones.base import Encoder
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.backbones.torchvision import TorchVision
from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.prepare import Preparation
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.media.images import read_image
from uvl_plugin.training import robustness
from uvl_plugin.training.robustness import adversarial, flips

SIDE = 6
CPU = torch.device("cpu")


class Slope(nn.Module):
    """The vector is (w . x, 1): two clusters on both sides of w . x = 0."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(3, SIDE, SIDE, generator=seeded(1)))

    def forward(self, images):
        height = (images * self.weight).sum((1, 2, 3))
        return torch.stack([height, torch.ones_like(height)], dim=1)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(n: int) -> np.ndarray:
    """Pixels that stay within 0 and 255 when they are moved by up to 0.2 of that."""
    return np.random.default_rng(0).integers(60, 196, (n, SIDE, SIDE, 3), dtype=np.uint8)


def two_sides(normalize: bool = False, components=None, mean=None) -> ClusterModel:
    centroids = np.array([[1, 1], [-1, 1]], np.float32)
    ones = np.ones(len(centroids), np.float32)
    preparation = Preparation(normalize, mean, components)
    return ClusterModel(preparation, centroids, np.arange(len(centroids)), ones, "cosine")


@pytest.fixture
def encoder() -> Encoder:
    grey = Preprocess(size=SIDE, mean=(0.5, 0.5, 0.4), std=(0.5, 1.0, 2.0))
    return Encoder(Slope(), grey, CPU)


def margins(encoder: Encoder, images: np.ndarray) -> tuple[np.ndarray, float]:
    """Distance of each image from the border, and how far noise of size 1 can move it."""
    per_pixel = encoder.module.weight / torch.tensor(encoder.preprocess.std).view(3, 1, 1)
    return np.abs(encoder.encode(images)[:, 0]), float(per_pixel.abs().sum())


@pytest.mark.parametrize("batch", [32, 7])
@pytest.mark.parametrize("size", [0.0, 0.005, 0.01, 0.02, 0.1])
def test_attacks_on_a_slope_flip_whatever_is_within_reach(encoder, size, batch, monkeypatch):
    monkeypatch.setattr(robustness, "_BATCH", batch)
    images = noise(50)
    distance, reach = margins(encoder, images)
    found = flips(encoder, two_sides(), images, size=size)
    assert found["fgsm"] == found["pgd"] == np.mean(distance < size * reach)
    assert found["random"] <= found["fgsm"] / 2


def test_the_slope_is_a_test_that_can_fail(encoder):
    distance, reach = margins(encoder, noise(50))
    shares = [np.mean(distance < size * reach) for size in (0.005, 0.01, 0.02, 0.1)]
    assert 0 < shares[0] < shares[1] < shares[2] < shares[3] <= 1


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_the_loss_is_the_strength_of_the_cluster_model(encoder, normalize, turned):
    middle, axes = np.array([0.1, 0.3], np.float32), np.array([[0, 1], [1, 0]], np.float32)
    model = two_sides(normalize, axes, middle) if turned else two_sides(normalize)
    images = noise(9)
    labels, strengths = model.assign(encoder.encode(images))
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    attacked = robustness._Attacked(encoder, model)
    assert attacked.clusters(pixels).tolist() == labels.tolist()
    loss = attacked.loss_of(torch.from_numpy(labels))(pixels)
    assert float(loss) == pytest.approx(-np.log(strengths).sum(), rel=1e-4)


def test_the_seed_decides(encoder):
    images = noise(40)
    shares = [flips(encoder, two_sides(), images, size=0.2, seed=seed) for seed in (0, 0, 1, 2, 3)]
    assert shares[0] == shares[1]
    assert len({share["random"] for share in shares}) > 1


def test_what_cannot_be_is_an_error(encoder):
    with pytest.raises(DataError, match="no images to disturb"):
        flips(encoder, two_sides(), noise(0), size=0.1)
    with pytest.raises(SettingsError, match=r"size must be from 0 to 1, got 8"):
        flips(encoder, two_sides(), noise(1), size=8)
    with pytest.raises(SettingsError, match=r"steps must be at least 1, got 0"):
        flips(encoder, two_sides(), noise(1), size=0.1, steps=0)
    nothing = ClusterModel(
        Preparation(False), np.zeros((0, 2), np.float32), np.zeros(0), np.zeros(0), "cosine"
    )
    with pytest.raises(DataError, match="found no clusters"):
        flips(encoder, nothing, noise(1), size=0.1)


@given(st.floats(0, 1), st.integers(1, 5), st.integers(0, 99))
def test_adversarial_views_stay_in_the_ball_and_in_range(size, steps, seed):
    images = torch.rand(3, 3, 4, 4, generator=seeded(seed))
    weight = torch.randn(3, 4, 4, generator=seeded(seed + 1))
    moved = adversarial(
        images, lambda views: (views * weight).sum(), size=size, steps=steps, generator=seeded(0)
    )
    assert float((moved - images).abs().max()) <= size + 1e-6
    assert 0 <= float(moved.min()) <= float(moved.max()) <= 1
    assert not moved.requires_grad
    farthest = torch.where(weight > 0, (images + size).clamp(max=1), (images - size).clamp(min=0))
    assert moved == pytest.approx(farthest, abs=1e-5)


def test_adversarial_views_raise_the_loss_and_leave_the_weights_alone():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.Flatten())
    images = torch.rand(4, 3, 8, 8, generator=seeded(0))

    def loss_of(views):
        return ((network(views) - network(images).detach()) ** 2).mean()

    def attacked(seed, steps=5):
        return adversarial(images, loss_of, size=0.1, steps=steps, generator=seeded(seed))

    with torch.no_grad():  # where a caller switched gradients off
        first, again, other = attacked(0), attacked(0), attacked(1)
    chance = images + 0.1 * torch.randn(images.shape, generator=seeded(0)).sign()
    assert loss_of(first) > 1.4 * loss_of(chance.clamp(0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert all(weight.grad is None for weight in network.parameters())


@pytest.mark.real_data
def test_a_real_network_is_moved_by_design_and_hardly_by_chance(real_data):
    weights = real_data / "weights/torchvision/mobilenet_v2_imagenet.safetensors"
    half = (0.5, 0.5, 0.5)
    encoder = TorchVision(model="mobilenet_v2", mean=half, std=half, weights=str(weights)).load(
        "cpu"
    )
    files = sorted((real_data / "images/flowers5").glob("*/*.jpg"))[::24]
    images = np.stack([encoder.preprocess(read_image(str(file))) for file in files])
    embeddings = Embeddings(np.array([file.name for file in files]), encoder.encode(images))
    _, model = cluster_embeddings(embeddings, KMeans(n_clusters=5))
    found = flips(encoder, model, images[:6], size=0.02, steps=3)
    assert found["random"] <= 0.25
    assert found["pgd"] >= 0.75
    assert found["pgd"] >= found["fgsm"] >= found["random"]
    pixels = torch.from_numpy(images[:4]).permute(0, 3, 1, 2) / 255
    clusters = robustness._Attacked(encoder, model).clusters(pixels)
    assert clusters.tolist() == model.assign(embeddings.vectors[:4])[0].tolist()

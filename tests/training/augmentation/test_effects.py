import pytest
import torch
from torch.nn import functional
from torchvision.transforms.v2.functional import gaussian_blur

from uvl_plugin.training.augmentation.base import Augmentation
from uvl_plugin.training.augmentation.draws import Draws
from uvl_plugin.training.augmentation.effects import (
    blur_,
    cut_out_,
    draw_squares,
    stroke_,
    stroke_radius,
)


def draws(n: int) -> Draws:
    return Draws(n, torch.device("cpu"), torch.Generator().manual_seed(0))


def pictures(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_strokes_grow_as_far_as_the_radius(radius):
    images = pictures(4, 3, 12, 9)
    grown, shrunk = images.clone(), images.clone()
    stroke_(grown, torch.ones(4), radius)
    stroke_(shrunk, -torch.ones(4), radius)
    window = 2 * radius + 1
    assert torch.equal(grown, functional.max_pool2d(images, window, 1, radius))
    assert torch.equal(shrunk, -functional.max_pool2d(-images, window, 1, radius))


def test_each_image_has_its_own_stroke():
    image = pictures(1, 1, 12, 12)
    images = image.repeat(4, 1, 1, 1)
    stroke_(images, torch.tensor([0.0, 0.5, 1.0, -0.5]), 1)
    largest = functional.max_pool2d(image, 3, 1, 1)
    least = -functional.max_pool2d(-image, 3, 1, 1)
    expected = [image, (image + largest) / 2, largest, (image + least) / 2]
    assert torch.allclose(images, torch.cat(expected), atol=1e-6)


def test_strokes_grow_with_the_side():
    assert [stroke_radius(side, side) for side in (8, 28, 56, 224)] == [1, 1, 2, 8]


def test_blur_is_torchvisions_for_each_image():
    images = pictures(5, 3, 30, 41)
    sigmas = torch.tensor([0.3, 2.0, 0.0, 1.1, 1.0])
    expected = [
        gaussian_blur(image, 2 * int(torch.ceil(3 * sigma)) + 1, float(sigma)) if sigma else image
        for image, sigma in zip(images, sigmas, strict=True)
    ]
    ours = images.clone()
    blur_(ours, sigmas)
    assert torch.allclose(ours, torch.stack(expected), atol=1e-5)
    assert torch.equal(ours[2], images[2])


def test_blur_of_nothing_changes_nothing():
    images = pictures(2, 1, 5, 5)
    ours = images.clone()
    blur_(ours, torch.zeros(2))
    assert torch.equal(ours, images)


@pytest.mark.parametrize("side", [1, 2, 4])
def test_blur_fits_into_tiny_images(side):
    images = pictures(3, 1, side, side)
    mean = images.mean()
    blur_(images, torch.full((3,), 5.0))
    assert images.isfinite().all()
    assert float(images.mean()) == pytest.approx(float(mean), abs=0.2)


def test_noise_has_its_own_strength_for_each_image():
    images = torch.full((60, 1, 40, 40), 0.5)
    noisy = Augmentation(noise=0.1)(images, torch.Generator().manual_seed(0))
    strengths = noisy.flatten(1).std(1)
    assert strengths.max() < 0.105
    assert strengths.min() < 0.02
    assert float(strengths.mean()) == pytest.approx(0.05, abs=0.01)
    assert float(noisy.mean()) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("background", [0.0, 1.0])
def test_a_square_is_filled_with_the_background(background):
    images = torch.full((300, 3, 50, 50), background)
    images[..., 1:-1, 1:-1] = 0.5
    cut_out_(images, draw_squares(draws(300), 0.5, 0.3))
    cut = (images[:, 0, 1:-1, 1:-1] == background).flatten(1).sum(1)
    assert 0.4 < float((cut > 0).float().mean()) < 0.6
    assert int(cut.max()) <= 15**2 + 1
    whole = cut[cut > 6**2]
    assert int(whole.min()) < 9**2  # a third of the greatest side, in places
    assert len(whole.unique()) > 20  # each image has its own
    outside = images.clone()
    outside[..., 1:-1, 1:-1] = background
    assert (outside == background).all()

import pytest
import torch
from scipy.stats import ks_2samp
from torchvision.transforms import ColorJitter
from torchvision.transforms.v2 import functional

from uvl_plugin.training.augmentation.base import Augmentation
from uvl_plugin.training.augmentation.colour import Jitter, colour_matrices, draw_jitter, recoloured
from uvl_plugin.training.augmentation.draws import Draws

N = 3000


def pictures(n: int = 5, low: float = 0.3, high: float = 0.6) -> torch.Tensor:
    """Of medium brightness, so that no value has to be cut off."""
    drawn = torch.rand(n, 3, 8, 11, generator=torch.Generator().manual_seed(1))
    return low + (high - low) * drawn


def jitter(n: int, **changed: torch.Tensor) -> Jitter:
    still = Jitter(torch.ones(n), torch.ones(n), torch.ones(n), torch.zeros(n))
    return still._replace(**changed)


def coloured(images: torch.Tensor, jitter: Jitter, grey: bool = False) -> torch.Tensor:
    matrices = colour_matrices(jitter, torch.full((len(images),), grey))
    return recoloured(images, matrices, jitter.contrast)


FACTORS = torch.tensor([0.6, 0.8, 1.0, 1.2, 1.4])


@pytest.mark.parametrize("what", ["brightness", "contrast", "saturation"])
def test_factors_do_what_torchvisions_do(what):
    images = pictures()
    ours = coloured(images, jitter(5, **{what: FACTORS}))
    adjust = getattr(functional, f"adjust_{what}")
    theirs = [adjust(image, float(f)) for image, f in zip(images, FACTORS, strict=True)]
    assert torch.allclose(ours, torch.stack(theirs), atol=2e-3)


def test_grey_is_torchvisions():
    images = pictures()
    assert torch.allclose(
        coloured(images, jitter(5), grey=True), functional.rgb_to_grayscale(images, 3), atol=1e-3
    )


@pytest.mark.parametrize("what", ["brightness", "contrast"])
def test_one_channel_is_changed_as_torchvision_does(what):
    images = pictures()[:, :1]
    moved = jitter(5, **{what: FACTORS})
    ours = recoloured(images, moved.brightness[:, None, None], moved.contrast)
    adjust = getattr(functional, f"adjust_{what}")
    theirs = [adjust(image, float(f)) for image, f in zip(images, FACTORS, strict=True)]
    assert torch.allclose(ours, torch.stack(theirs), atol=1e-5)


def test_hue_turns_the_way_that_torchvisions_does():
    red, green, blue = torch.eye(3).view(3, 3, 1, 1) * 0.2 + 0.4
    images = torch.stack([red, green, blue])
    for turn in (-0.1, 0.1):
        ours = coloured(images, jitter(3, hue=torch.full((3,), turn)))
        theirs = functional.adjust_hue(images, turn)
        changes = (ours - images).flatten(1), (theirs - images).flatten(1)
        assert torch.cosine_similarity(*changes).min() > 0.25  # other axes


def test_hue_keeps_greys_and_the_luma_and_can_be_undone():
    images = pictures()
    turn = torch.linspace(-0.5, 0.5, 5)
    turned = coloured(images, jitter(5, hue=turn))
    assert not torch.allclose(turned[0], images[0], atol=0.01)
    lumas = [functional.rgb_to_grayscale(each) for each in (images, turned)]
    assert torch.allclose(*lumas, atol=1e-3)
    assert torch.allclose(coloured(turned, jitter(5, hue=-turn)), images, atol=1e-4)
    greys = torch.full((5, 3, 2, 2), 0.4)
    assert torch.allclose(coloured(greys, jitter(5, hue=turn)), greys, atol=1e-4)


def test_the_order_of_changes_is_brightness_saturation_hue_contrast():
    images = pictures(1)
    step = {"brightness": 1.1, "saturation": 0.7, "contrast": 0.8}
    ours = coloured(images, jitter(1, **{name: torch.tensor([f]) for name, f in step.items()}))
    theirs = images
    for name, factor in step.items():
        theirs = getattr(functional, f"adjust_{name}")(theirs, factor)
    assert torch.allclose(ours, theirs, atol=2e-3)


def test_factors_are_distributed_as_torchvisions():
    torch.manual_seed(2)
    jitter = ColorJitter(0.4, 0.3, 0.9, 0.1)
    bounds = (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
    theirs = [ColorJitter.get_params(*bounds)[1:] for _ in range(N)]
    draws = Draws(N, torch.device("cpu"), torch.Generator().manual_seed(0))
    ours = draw_jitter(
        draws, brightness=0.4, contrast=0.3, saturation=0.9, hue=0.1, probability=1.0
    )
    for number, drawn in enumerate(ours):
        assert ks_2samp(drawn.numpy(), [each[number] for each in theirs]).pvalue > 0.001


def test_images_that_are_not_chosen_stay():
    images = pictures(200)
    views = Augmentation(brightness=0.5, contrast=0.5, hue=0.2, jitter_probability=0.25)(
        images, torch.Generator().manual_seed(0)
    )
    same = torch.isclose(views, images, atol=1e-5).flatten(1).all(1)
    assert 0.6 < float(same.float().mean()) < 0.9


def test_grey_images_are_as_many_as_asked_for():
    views = Augmentation(grey_probability=0.2)(pictures(400), torch.Generator().manual_seed(0))
    grey = (views - views[:, :1]).abs().flatten(1).amax(1) < 1e-4
    assert 0.12 < float(grey.float().mean()) < 0.28

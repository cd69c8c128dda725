import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from torchvision.transforms import RandomAffine, RandomResizedCrop, v2
from torchvision.transforms.v2 import functional

from uvl_plugin.training.augmentation.base import Augmentation
from uvl_plugin.training.augmentation.draws import Draws
from uvl_plugin.training.augmentation.geometry import (
    Affine,
    affine_map,
    draw_affine,
    draw_crops,
    resampled,
)
from uvl_plugin.training.augmentation.plan import Frame

N = 3000


def draws(n: int = N, seed: int = 0) -> Draws:
    return Draws(n, torch.device("cpu"), torch.Generator().manual_seed(seed))


def pictures(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


def smooth(n: int, height: int, width: int) -> torch.Tensor:
    coarse = pictures(n, 3, 4, 4)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")


def alike(ours: torch.Tensor, theirs: list[float]) -> bool:
    return ks_2samp(ours.numpy(), theirs).pvalue > 0.001


@pytest.mark.parametrize(
    ("height", "width", "area", "aspect"),
    [
        (224, 224, (0.2, 1.0), 4 / 3),
        (32, 32, (0.2, 1.0), 4 / 3),
        (60, 240, (0.5, 1.0), 4 / 3),  # nothing fits often: the crop in the middle
        (500, 90, (0.05, 0.4), 2.0),
    ],
)
def test_crops_are_distributed_as_torchvisions(height, width, area, aspect):
    torch.manual_seed(2)
    image = torch.empty(1, height, width)
    theirs = [RandomResizedCrop.get_params(image, area, (1 / aspect, aspect)) for _ in range(N)]
    ours = draw_crops(draws(), height, width, area, aspect)
    for number in range(4):  # top, left, height, width
        assert alike(ours[:, number], [crop[number] for crop in theirs])
    shares = [crop[2] * crop[3] for crop in theirs]
    assert alike(ours[:, 2] * ours[:, 3], shares)


@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    least=st.floats(0.01, 1.0),
    aspect=st.floats(1.0, 4.0),
    seed=st.integers(0, 1000),
)
def test_crops_are_whole_pixels_within_the_image(height, width, least, aspect, seed):
    crops = draw_crops(draws(20, seed), height, width, (least, 1.0), aspect)
    top, left, high, wide = crops.unbind(1)
    assert torch.equal(crops, crops.round())
    assert min(top.min(), left.min()) >= 0
    assert min(high.min(), wide.min()) >= 1
    assert (top + high).max() <= height
    assert (left + wide).max() <= width


def test_affine_numbers_are_distributed_as_torchvisions():
    torch.manual_seed(3)
    theirs = [
        RandomAffine.get_params([-17, 17], (0.1, 0.1), [0.85, 1.2], [-14, 14], [28, 28])
        for _ in range(N)
    ]
    ours = draw_affine(draws(), rotation=17.0, shear=14.0, scale=(0.85, 1.2), shift=0.1)
    assert alike(ours.angle, [each[0] for each in theirs])
    assert alike(ours.scale, [each[2] for each in theirs])
    assert alike(ours.shear, [each[3][0] for each in theirs])
    for axis in range(2):  # theirs are whole pixels
        assert alike((ours.shift[:, axis] * 28).round(), [each[1][axis] for each in theirs])


@given(
    angle=st.floats(-180, 180),
    shear=st.floats(-40, 40),
    scale=st.floats(0.5, 2.0),
    across=st.integers(-8, 8),
    down=st.integers(-8, 8),
)
def test_affine_pixels_are_torchvisions(angle, shear, scale, across, down):
    images = smooth(1, 24, 40)
    shift = torch.tensor([[across / 40, down / 24]])
    one = Affine(torch.tensor([angle]), torch.tensor([shear]), torch.tensor([scale]), shift)
    ours = resampled(images, affine_map(one, 24, 40), (24, 40), "zeros")
    theirs = functional.affine(
        images, angle, [across, down], scale, [shear, 0.0], v2.InterpolationMode.BILINEAR
    )
    assert torch.allclose(ours, theirs, atol=1e-3)


def test_a_crop_is_the_part_of_the_image():
    images = pictures(6, 3, 40, 40)
    crop = Augmentation(crop_area_min=0.36, crop_area_max=0.36, crop_aspect=1.0)
    generator = torch.Generator().manual_seed(5)
    views = crop(images, generator, size=24)
    parts = images.unfold(2, 24, 1).unfold(3, 24, 1)  # every part of 24 x 24
    for image_parts, view in zip(parts, views, strict=True):
        wrong = (image_parts - view[:, None, None]).abs().amax((0, 3, 4))
        assert wrong.min() < 1e-4


def test_large_crops_of_whole_numbers_are_torchvisions():
    images = (smooth(4, 90, 120) * 255).byte()
    before = images.clone()
    crop = Augmentation(crop_area_min=0.2)
    views = crop(images, torch.Generator().manual_seed(0), 64)
    boxes = draw_crops_of(crop, 4, (90, 120), (64, 64))
    theirs = [
        functional.resized_crop(image, *box, [64, 64], antialias=True)
        for image, box in zip(images, boxes.int().tolist(), strict=True)
    ]
    assert torch.allclose(views, torch.stack(theirs) / 255.0, atol=1e-6)
    assert torch.equal(images, before)
    floats = crop(images / 255.0, torch.Generator().manual_seed(0), 64)
    assert torch.allclose(views, floats, atol=0.03)  # the same places, though not antialiased


def draw_crops_of(crop, n, source, shape) -> torch.Tensor:
    return crop.drawn(draws(n), Frame(source, shape, "border"), 3).crops


def test_a_shift_by_whole_pixels_moves_the_picture():
    images = pictures(8, 1, 20, 20)
    views = Augmentation(shift=0.5)(images, torch.Generator().manual_seed(0))
    assert not torch.allclose(views, images, atol=0.01)
    still = torch.tensor([[3 / 20, -2 / 20]])
    one = Affine(torch.zeros(1), torch.zeros(1), torch.ones(1), still)
    moved = resampled(images[:1], affine_map(one, 20, 20), (20, 20), "border")
    rolled = images[:1].roll((3, -2), (3, 2))
    assert torch.allclose(moved[..., :18, 3:], rolled[..., :18, 3:], atol=1e-5)


def test_a_quarter_turn_is_rot90():
    images = pictures(2, 3, 17, 17)
    quarter = Affine(torch.full((2,), 90.0), torch.zeros(2), torch.ones(2), torch.zeros(2, 2))
    turned = resampled(images, affine_map(quarter, 17, 17), (17, 17), "border")
    assert torch.allclose(turned, images.rot90(-1, (2, 3)), atol=1e-4)  # clockwise


@pytest.mark.parametrize(("setting", "axis"), [("flip_horizontal", 3), ("flip_vertical", 2)])
def test_flips_are_exact(setting, axis):
    images = pictures(40, 3, 9, 14)
    assert torch.equal(Augmentation(**{setting: 1.0})(images), images.flip(axis))
    some = Augmentation(**{setting: 0.5})(images, torch.Generator().manual_seed(0))
    same, flipped = ((some == wanted).flatten(1).all(1) for wanted in (images, images.flip(axis)))
    assert (same | flipped).all()
    assert 8 < int(same.sum()) < 32


def test_elastic_displacement_has_the_size_that_was_asked_for():
    ramp = torch.linspace(0, 1, 64).expand(400, 1, 64, 64)
    views = Augmentation(elastic=0.03)(ramp, torch.Generator().manual_seed(0))
    corner = (views - ramp)[:, 0, 20:44, 42]  # a third from the edge: a control point's column
    assert float(corner.std()) == pytest.approx(0.03 * 0.75, rel=0.3)  # between points it is less
    bent = views[0, 0].diff(dim=0).abs().max()
    assert 0 < float(bent) < 0.05  # smooth


@pytest.mark.parametrize("padding", ["border", "reflection", "zeros"])
def test_padding_is_what_lies_around(padding):
    white = torch.ones(30, 1, 16, 16)
    views = Augmentation(shift=0.3, rotation=30, padding=padding)(
        white, torch.Generator().manual_seed(0)
    )
    if padding == "zeros":
        assert float(views.min()) == 0.0
    else:
        assert torch.allclose(views, white)


def test_large_images_are_not_sampled_with_gaps():
    chess = (torch.arange(512) % 2).float().expand(1, 1, 512, 512)  # stripes of one pixel
    view = Augmentation(flip_horizontal=1.0)(chess, size=16)
    assert torch.allclose(view, torch.full_like(view, 0.5), atol=0.02)


def test_a_view_squashes_an_image_that_is_not_square():
    images = torch.zeros(1, 1, 20, 40)
    images[..., 20:] = 1.0
    view = Augmentation()(images, size=20)
    assert torch.equal(view[0, 0, :, :10], torch.zeros(20, 10))
    assert torch.equal(view[0, 0, :, 10:], torch.ones(20, 10))


def test_rotation_of_a_wide_image_keeps_its_proportions():
    assert math.isclose(
        float(
            affine_map(
                Affine(torch.full((1,), 90.0), torch.zeros(1), torch.ones(1), torch.zeros(1, 2)),
                10,
                40,
            )[0, 1, 0]
        ),
        -4.0,
        rel_tol=1e-5,
    )

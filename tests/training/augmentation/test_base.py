from dataclasses import replace

import numpy as np
import pytest
import torch

from uvl_plugin.core.errors import SettingsError
from uvl_plugin.training.augmentation.base import Augmentation, augmentations
from uvl_plugin.training.augmentation.glyph import Glyph
from uvl_plugin.training.augmentation.photo import Photo

SIZES = [(8, 8), (28, 28), (33, 47), (224, 224)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=seeded(1))


def test_there_are_these_presets():
    assert augmentations.names() == ["glyph", "photo", "texture"]
    assert all(cls.label and cls.description for cls in augmentations)


@pytest.mark.parametrize("name", augmentations.names())
@pytest.mark.parametrize("n", [0, 1, 5])
@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_views_keep_the_contract(name, n, shape, channels):
    images = pictures(n, channels, *shape)
    before = images.clone()
    augmentation = augmentations[name]()
    for size in (None, 31):
        views = augmentation(images, seeded(), size)
        assert views.shape == (n, channels, *((size, size) if size else shape))
        assert views.dtype == torch.float32
        assert ((views >= 0) & (views <= 1)).all()
        assert torch.equal(views, augmentation(images, seeded(), size))  # equal seed, equal views
    if n:
        assert not torch.equal(views, augmentation(images, seeded(1), 31))
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", augmentations.names())
def test_equal_images_get_different_views(name):
    images = pictures(1, 3, 28, 28).repeat(20, 1, 1, 1)
    views = augmentations[name]()(images, seeded()).flatten(1)
    apart = torch.cdist(views, views) + 100.0 * torch.eye(20)
    assert apart.min() > 0.1


@pytest.mark.parametrize("name", augmentations.names())
def test_crops_can_be_made_local(name):
    local = replace(augmentations[name](), crop_area_min=0.05, crop_area_max=0.2)
    ramp = torch.linspace(0, 1, 64).expand(50, 1, 64, 64)
    still = replace(local, brightness=0.0, contrast=0.0, stroke=0.0, noise=0.0, elastic=0.0)
    still = replace(still, rotation=0.0, cutout_probability=0.0, shear=0.0)
    views = still(ramp, seeded(), 24)
    seen = views.amax((1, 2, 3)) - views.amin((1, 2, 3))
    assert seen.max() < 0.7
    assert type(local) is augmentations[name]


@pytest.mark.parametrize("name", augmentations.names())
def test_settings_survive_their_record(name):
    changed = replace(augmentations[name](), rotation=5.0)
    assert type(changed).from_dict(changed.to_dict()) == changed
    assert {spec.help for spec in type(changed).specs()}.isdisjoint({""})


def test_with_everything_off_nothing_happens():
    images = pictures(3, 3, 13, 17)
    views = Augmentation()(images)
    assert torch.equal(views, images)
    views.zero_()
    assert images.max() > 0  # a copy


def test_whole_numbers_are_scaled():
    images = (pictures(4, 3, 28, 28) * 255).byte()
    ours = Photo()(images, seeded(), 24)
    assert torch.allclose(ours, Photo()(images / 255.0, seeded(), 24), atol=1e-6)


def test_glyph_does_the_same_to_one_channel_and_to_three():
    images = pictures(6, 1, 28, 28)
    glyph = Glyph(noise=0.0)  # which each channel has of its own
    one, three = (glyph(each, seeded()) for each in (images, images.repeat(1, 3, 1, 1)))
    assert torch.allclose(one.expand_as(three), three, atol=1e-5)


def test_glyph_keeps_a_white_background_white():
    images = torch.ones(200, 1, 28, 28)
    images[..., 9:19, 12:16] = 0.0
    views = Glyph(brightness=0.0, noise=0.0)(images, seeded())
    corners = views[..., [0, 0, -1, -1], [0, -1, 0, -1]]
    assert float(corners.quantile(0.05)) > 0.95


@pytest.mark.parametrize("preset", [Glyph(), Photo()])
def test_views_are_the_same_however_many_are_made_at_once(preset, monkeypatch):
    images = pictures(1, 3, 16, 16).repeat(9, 1, 1, 1)
    whole = preset(images, seeded())
    monkeypatch.setattr("uvl_plugin.training.augmentation.base._CACHED", 2 * 3 * 16 * 16)
    assert torch.allclose(preset(images, seeded()), whole, atol=1e-6)
    assert len(whole.flatten(1).unique(dim=0)) == 9


def test_mixed_precision_does_not_reach_the_views():
    images = pictures(4, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = Photo()(images, seeded())
    assert torch.equal(mixed, Photo()(images, seeded()))


def test_without_a_generator_torchs_own_is_used():
    images = pictures(4, 3, 16, 16)
    torch.manual_seed(0)
    first = Photo()(images)
    assert not torch.equal(first, Photo()(images))
    torch.manual_seed(0)
    assert torch.equal(first, Photo()(images))


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"crop_area_min": 0.5, "crop_area_max": 0.4}, "crop_area_min must be at most crop_area"),
        ({"scale_min": 2.0}, "scale_min must be at most scale_max, which is 1, got 2"),
        ({"padding": "mirror"}, "padding must be one of border, reflection, zeros"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, wrong):
    with pytest.raises(SettingsError, match=wrong):
        Augmentation(**settings)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("name", augmentations.names())
def test_a_gpu_makes_views_too(name):
    images = pictures(5, 3, 33, 47).cuda()
    first, second = (
        augmentations[name]()(images, torch.Generator("cuda").manual_seed(0), 24) for _ in "12"
    )
    assert first.is_cuda
    assert np.isfinite(first.cpu().numpy()).all()
    assert torch.equal(first, second)

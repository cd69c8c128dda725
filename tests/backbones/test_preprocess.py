"""Preprocessing against the transforms that the networks were tested with."""

import numpy as np
import open_clip
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torchvision import transforms

from uvl_plugin.backbones.open_clip import OpenCLIP
from uvl_plugin.backbones.open_clip import _preprocess as of_open_clip
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.backbones.timm import Timm, _config
from uvl_plugin.backbones.torchvision import TorchVision, _named_weights

SIZES = [
    (320, 240), (240, 320), (224, 224), (231, 233), (500, 33), (33, 500), (7, 100), (1, 1),
    (640, 480), (223, 225), (57, 57),
]  # fmt: skip
STRIPS = [(1, 16), (1, 17), (40, 1), (41, 1), (2, 91)]  # of which the ends are never seen
OPEN_CLIP = ("shortest", "longest", "squash")


@pytest.fixture(autouse=True, scope="module")
def across_first():
    """Pillow resizes first across, then down, as the networks were trained; from Pillow 13 on it
    takes the cheaper order, and differs where values are clipped or rounded in between."""
    resize = Image.Image.resize

    def across_then_down(image, size, *options):
        across = resize(image, (size[0], image.height), *options)
        return resize(across, size, *options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image.Image, "resize", across_then_down)
        yield


def kinds_of_timm() -> dict[str, str]:
    """A model by each way of preprocessing that timm has."""
    kinds = {}
    for name in timm.list_pretrained():
        config = timm.get_pretrained_cfg(name)
        kind = f"{config.crop_mode} {config.interpolation} {config.crop_pct < 1}"
        if config.input_size[1] == config.input_size[2]:
            kinds.setdefault(kind, name)
    return kinds


KINDS = kinds_of_timm()


def picture(width, height) -> Image.Image:
    """Noise, the hardest for a resampler, beside a smooth ramp."""
    random = np.random.default_rng(width * 1000 + height)
    pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels[: height // 2] = np.linspace(0, 255, width)[None, :, None]
    return Image.fromarray(pixels)


def levels(own, preprocess) -> torch.Tensor:
    """What a transform gives, undone to 0 to 255: shape ``(height, width, 3)``."""
    mean, std = (torch.tensor(values) for values in (preprocess.mean, preprocess.std))
    return (own.permute(1, 2, 0) * std + mean) * 255


def assert_alike(preprocess, own_transform, image):
    seen = preprocess(np.asarray(image))
    assert seen.dtype == np.uint8
    assert seen.shape == (preprocess.size, preprocess.size, 3)
    difference = (torch.from_numpy(seen.copy()) - levels(own_transform(image), preprocess)).abs()
    assert float(difference.max()) < 2.01
    assert float((difference > 1.01).double().mean()) < 0.001
    assert float(difference.mean()) < 0.05


def timm_transform(backbone):
    config = resolve_data_config(pretrained_cfg=_config(backbone.model).to_dict())
    size = backbone.input_size
    return create_transform(**{**config, "input_size": (3, size, size)})


def open_clip_pair(resize_mode, size=224, fill=0):
    own = {
        "size": size, "mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD,
        "interpolation": "bicubic", "resize_mode": resize_mode, "fill_color": fill,
    }  # fmt: skip
    transform = open_clip.image_transform(
        size, is_train=False, resize_mode=resize_mode, interpolation="bicubic", fill_color=fill
    )
    return of_open_clip(own), transform


def torchvision_pair(model):
    weights = _named_weights(model, "DEFAULT")
    return TorchVision(model=model)._preprocess(weights), weights.transforms()


@pytest.mark.parametrize("model", ["resnet50", "efficientnet_b0"])
@pytest.mark.parametrize("size", SIZES + STRIPS)
def test_as_torchvision_prepares_them(model, size):
    assert_alike(*torchvision_pair(model), picture(*size))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_as_timm_prepares_them(kind, size):
    backbone = Timm(model=KINDS[kind], input_size=160)
    preprocess = backbone._preprocess(_config(backbone.model))
    assert_alike(preprocess, timm_transform(backbone), picture(*size))


@pytest.mark.parametrize("resize_mode", OPEN_CLIP)
@pytest.mark.parametrize("size", SIZES)
def test_as_open_clip_prepares_them(resize_mode, size):
    assert_alike(*open_clip_pair(resize_mode, fill=200), picture(*size))


@given(
    width=st.integers(1, 300), height=st.integers(1, 300), size=st.integers(14, 96),
    crop_pct=st.sampled_from([0.8, 0.875, 0.9, 0.95, 1.0, 1.1]),
    crop_mode=st.sampled_from(["center", "squash", "border"]),
)  # fmt: skip
def test_any_size_as_timm(width, height, size, crop_pct, crop_mode):
    if crop_mode == "border" and max(width, height) > 2 * size * min(width, height):
        return  # timm itself fails: a side of 0 pixels
    longer, shorter = max(width, height), min(width, height)
    if crop_mode == "center" and longer > 16 * shorter:
        return  # a strip: see above
    config = _config("mobilenetv2_100")
    config.crop_pct, config.crop_mode = crop_pct, crop_mode
    preprocess = Timm(model="mobilenetv2_100", input_size=size)._preprocess(config)
    own = create_transform(
        **{**resolve_data_config(pretrained_cfg=config.to_dict()), "input_size": (3, size, size)}
    )
    assert_alike(preprocess, own, picture(width, height))


@given(
    width=st.integers(1, 300), height=st.integers(1, 300), size=st.integers(14, 96),
    resize_mode=st.sampled_from(OPEN_CLIP), fill=st.integers(0, 255),
)  # fmt: skip
def test_any_size_as_open_clip(width, height, size, resize_mode, fill):
    longer, shorter = max(width, height), min(width, height)
    if resize_mode == "longest" and longer > 2 * size * shorter:
        return
    if resize_mode == "shortest" and longer > 16 * shorter:
        return
    assert_alike(*open_clip_pair(resize_mode, size, fill), picture(width, height))


@pytest.mark.parametrize("fit", ["cover", "squash", "contain"])
@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (20_001, 2)])
def test_a_long_strip_is_not_made_into_a_huge_picture(fit, size, monkeypatch):
    made = []
    resize = torch.nn.functional.interpolate

    def recorded(pixels, size, **options):
        made.append(size[0] * size[1])
        return resize(pixels, size, **options)

    monkeypatch.setattr(torch.nn.functional, "interpolate", recorded)
    strip = np.asarray(picture(*size))
    assert Preprocess(size=224, resize=256, fit=fit)(strip).shape == (224, 224, 3)
    assert made
    assert max(made) <= 17 * 256 * 256


def test_squash_shows_the_whole_picture():
    stripes = np.repeat(np.array([10, 60, 110, 160], np.uint8), 25)  # 100 wide
    image = np.broadcast_to(stripes[None, :, None], (8, 100, 3))
    seen = Preprocess(size=4, fit="squash", interpolation="BOX")(image)
    assert (seen == np.array([10, 60, 110, 160])[None, :, None]).all()


def test_contain_shows_the_whole_picture_on_a_rim():
    image = np.full((10, 40, 3), 255, np.uint8)
    seen = Preprocess(size=20, fit="contain", fill=(1, 2, 3))(image)
    assert (seen[:7] == (1, 2, 3)).all()
    assert (seen[7:12] == 255).all()
    assert (seen[12:] == (1, 2, 3)).all()


def test_an_unknown_fit_is_refused():
    with pytest.raises(ValueError, match="fit must be one of"):
        Preprocess(size=4, fit="crop")


@given(
    width=st.integers(1, 5000), height=st.integers(1, 5000), size=st.integers(8, 256),
    fit=st.sampled_from(["cover", "squash", "contain"]),
)  # fmt: skip
def test_the_smallest_source_is_never_enlarged_nor_larger_than_the_file(width, height, size, fit):
    preprocess = Preprocess(size=size, fit=fit)
    small = preprocess.smallest_source(height, width)
    assert small[0] <= height
    assert small[1] <= width
    wanted = preprocess._resized_shape(height, width, size)
    assert all(a == min(b, c) for a, b, c in zip(small, (height, width), wanted, strict=True))


def test_a_read_only_picture_is_no_trouble():
    pixels = np.asarray(picture(50, 40))
    pixels.flags.writeable = False
    assert Preprocess(size=8)(pixels).shape == (8, 8, 3)


def test_open_clip_models_bring_their_own_preprocessing():
    siglip = OpenCLIP(model="ViT-B-16-SigLIP2", pretrained="untrained")
    own = siglip.build(None, None, "meta").visual.preprocess_cfg
    preprocess = of_open_clip(own)
    assert (preprocess.fit, preprocess.size, preprocess.mean) == ("squash", 224, (0.5, 0.5, 0.5))
    _, _, transform = open_clip.create_model_and_transforms("ViT-B-32", load_weights=False)
    kinds = [type(step) for step in transform.transforms]
    assert kinds[:2] == [transforms.Resize, transforms.CenterCrop]

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

from uvl_plugin.backbones.base import Encoder, Preprocess, backbones, resolve_device
from uvl_plugin.core.errors import SettingsError

WEIGHTS = [models.ResNet50_Weights.IMAGENET1K_V2, models.EfficientNet_B0_Weights.IMAGENET1K_V1]


def noise(*shape) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def like(own) -> Preprocess:
    """The preprocessing that torchvision's own transform describes."""
    return Preprocess(
        size=own.crop_size[0],
        resize=own.resize_size[0],
        interpolation=own.interpolation.name,
        mean=tuple(own.mean),
        std=tuple(own.std),
    )


def network_input(preprocess, image) -> torch.Tensor:
    """What the network is given, taken out by an encoder that changes nothing."""
    encoder = Encoder(torch.nn.Flatten(), preprocess, torch.device("cpu"))
    return torch.from_numpy(encoder.encode([preprocess(image)]))


@pytest.mark.parametrize("weights", WEIGHTS, ids=["bilinear", "bicubic"])
@pytest.mark.parametrize(
    "size",
    [(320, 240), (240, 320), (224, 224), (231, 233), (500, 33), (33, 500), (7, 100), (1, 1)]
    + [(1, 16), (1, 17), (40, 1), (41, 1), (2, 91)],  # strips, of which the ends are never seen
)
def test_pictures_reach_the_network_as_torchvision_prepares_them(weights, size):
    image = Image.fromarray(noise(size[1], size[0], 3))
    own = weights.transforms()
    seen = network_input(like(own), image)
    assert float((seen - own(image).reshape(1, -1)).abs().max()) < 1e-6


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (20_001, 2)])
def test_a_long_strip_is_not_made_into_a_huge_picture(size, monkeypatch):
    made = []
    resize = Image.Image.resize

    def recorded(self, size, *options, **more):
        made.append(size[0] * size[1])
        return resize(self, size, *options, **more)

    monkeypatch.setattr(Image.Image, "resize", recorded)
    image = Image.fromarray(noise(size[1], size[0], 3))
    assert Preprocess(size=224, resize=256)(image).shape == (3, 224, 224)
    assert max(made) <= 17 * 256 * 256


def test_without_a_shorter_side_the_whole_picture_is_squeezed_in():
    stripes = np.repeat(np.array([[10, 60, 110, 160]], np.uint8), 25, axis=1)  # 100 wide
    image = Image.fromarray(np.repeat(stripes, 8, axis=0)).convert("RGB")
    seen = Preprocess(size=4, interpolation="BOX")(image)
    assert seen.shape == (3, 4, 4)
    assert (seen == np.array([10, 60, 110, 160])).all()


def test_the_encoder_normalises_by_colour():
    images = noise(5, 3, 2, 2)
    preprocess = Preprocess(size=2, mean=(0.1, 0.2, 0.3), std=(1, 2, 4))
    encoder = Encoder(torch.nn.Flatten(), preprocess, torch.device("cpu"))
    mean, std = (np.reshape(by_colour, (1, 3, 1, 1)) for by_colour in ((0.1, 0.2, 0.3), (1, 2, 4)))
    expected = ((images / 255 - mean) / std).reshape(5, 12)
    assert encoder.dim == 12
    assert encoder.encode(list(images)) == pytest.approx(expected, abs=1e-6)


def test_the_encoder_switches_off_what_only_training_needs():
    network = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.BatchNorm2d(3), torch.nn.Flatten())
    encoder = Encoder(network, Preprocess(size=2), torch.device("cpu"))
    images = list(noise(4, 3, 2, 2))
    assert (encoder.encode(images)[:1] == encoder.encode(images[:1])).all()
    assert not any(weight.requires_grad for weight in network.parameters())


def test_auto_is_the_gpu_where_there_is_one():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert resolve_device("auto").type == expected
    assert resolve_device("cpu").type == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error_and_no_fallback():
    with pytest.raises(SettingsError, match=r"device='cuda' cannot be used \(.+\); use 'cpu'"):
        resolve_device("cuda")


def test_a_device_that_torch_does_not_know_is_an_error():
    with pytest.raises(SettingsError, match="device='gpu' cannot be used") as caught:
        resolve_device("gpu")
    assert caught.value.argument == "device"


def offline(cls):
    """The backbone with settings that download nothing."""
    known = {spec.name for spec in cls.specs()}
    return cls(weights="untrained") if "weights" in known else cls()


@pytest.mark.parametrize("name", backbones.names())
def test_encoders_keep_the_contract(name):
    encoder = offline(backbones[name]).load("cpu")
    size = encoder.preprocess.size
    images = [encoder.preprocess(Image.fromarray(noise(50 + i, 70, 3))) for i in range(3)]
    assert all(image.shape == (3, size, size) and image.dtype == np.uint8 for image in images)
    vectors = encoder.encode(images)
    assert vectors.shape == (3, encoder.dim)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    largest = float(np.abs(vectors).max())  # random weights give small numbers
    assert np.ptp(vectors, axis=0).max() > 0.01 * largest  # other images, other vectors
    alone = np.concatenate([encoder.encode([image]) for image in images])
    assert alone == pytest.approx(vectors, abs=1e-4 * largest)


@pytest.mark.parametrize("name", backbones.names())
def test_equal_settings_are_one_space_and_others_another(name):
    cls = backbones[name]
    spaces = {cls().space, cls(**cls().to_dict()).space}
    assert len(spaces) == 1
    changed = next(spec for spec in cls.specs() if spec.kind is int)
    assert cls(**{changed.name: changed.default + 1}).space not in spaces


def test_spaces_of_different_backbones_differ():
    assert len({cls().space for cls in backbones}) == len(backbones.names())

import dataclasses
import importlib
import pkgutil

import numpy as np
import pytest
import torch

import uvl_plugin.backbones
from uvl_plugin.backbones.base import Backbone, Encoder, TrainableBackbone, resolve_device
from uvl_plugin.backbones.checkpoint import Checkpoint
from uvl_plugin.backbones.compact import CompactCNN
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.core.errors import SettingsError

SMALL = {  # settings that download nothing, and a network that is quickly built
    "checkpoint": {"checkpoint": "small"},  # which save_checkpoint writes
    "open_clip": {"model": "ViT-S-32-alt", "pretrained": "untrained"},
    "timm": {"model": "vit_tiny_patch16_224", "weights": "untrained", "input_size": 32},
    "torchvision": {"model": "shufflenet_v2_x0_5", "weights": "untrained"},
}


def families() -> dict[str, type[Backbone]]:
    """The backbones of this package, without those that need FiftyOne."""
    package = uvl_plugin.backbones
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    classes = [
        cls
        for cls in (*Backbone.__subclasses__(), *TrainableBackbone.__subclasses__())
        if cls.__module__.startswith(package.__name__) and cls is not TrainableBackbone
    ]
    return {cls.name: cls for cls in classes}


FAMILIES = families()
TRAINABLE = [name for name, cls in FAMILIES.items() if issubclass(cls, TrainableBackbone)]


def noise(*shape) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_the_encoder_normalises_by_colour():
    images = noise(5, 2, 2, 3)
    preprocess = Preprocess(size=2, mean=(0.1, 0.2, 0.3), std=(1, 2, 4))
    encoder = Encoder(torch.nn.Flatten(), preprocess, torch.device("cpu"))
    expected = (images / 255 - (0.1, 0.2, 0.3)) / (1, 2, 4)
    assert encoder.dim == 12
    by_colour = expected.transpose(0, 3, 1, 2).reshape(5, 12)
    assert encoder.encode(list(images)) == pytest.approx(by_colour, abs=1e-6)
    assert encoder.encode(images) == pytest.approx(by_colour, abs=1e-6)


def test_the_encoder_switches_off_what_only_training_needs():
    network = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.BatchNorm2d(3), torch.nn.Flatten())
    encoder = Encoder(network, Preprocess(size=2), torch.device("cpu"))
    images = list(noise(4, 2, 2, 3))
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


def test_a_network_that_gives_no_vectors_is_refused():
    with pytest.raises(SettingsError, match=r"an array of shape \(3, 4, 4\).*not a vector"):
        Encoder(torch.nn.Identity(), Preprocess(size=4), torch.device("cpu"))


def test_the_buffer_holds_what_the_preprocessing_gives():
    encoder = Encoder(torch.nn.Flatten(), Preprocess(size=4), torch.device("cpu"))
    buffer = encoder.buffer(2)
    buffer[0], buffer[1] = (encoder.preprocess(noise(5, 6, 3)) for _ in range(2))
    assert encoder.encode(buffer).shape == (2, 48)


def small(name) -> Backbone:
    return FAMILIES[name](**SMALL.get(name, {}))


@pytest.fixture(autouse=True)
def small_checkpoint(save_checkpoint):
    save_checkpoint("small", CompactCNN(input_size=16))


@pytest.fixture
def encoder(name) -> Encoder:
    return small(name).load("cpu")


@pytest.mark.parametrize("name", FAMILIES)
def test_encoders_keep_the_contract(encoder):
    size = encoder.preprocess.size
    images = [encoder.preprocess(noise(50 + i, 70, 3)) for i in range(3)]
    assert all(image.shape == (size, size, 3) and image.dtype == np.uint8 for image in images)
    vectors = encoder.encode(images)
    assert vectors.shape == (3, encoder.dim)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    largest = float(np.abs(vectors).max())  # random weights give small numbers
    assert np.ptp(vectors, axis=0).max() > 0.01 * largest  # other images, other vectors
    alone = np.concatenate([encoder.encode([image]) for image in images])
    assert alone == pytest.approx(vectors, abs=1e-4 * largest)


@pytest.mark.parametrize("name", FAMILIES)
def test_text_vectors_are_as_long_as_image_vectors(name, encoder):
    if encoder.embed_texts is None:
        assert name != "open_clip"
        return
    vectors = encoder.embed_texts(["a rose", "a house"])
    assert vectors.shape == (2, encoder.dim)
    assert vectors.dtype == torch.float32
    assert bool(vectors.isfinite().all())


@pytest.mark.parametrize("name", FAMILIES)
def test_equal_settings_are_one_space_and_others_another(name, save_checkpoint):
    backbone = small(name)
    spaces = {backbone.space, type(backbone).from_dict(backbone.to_dict()).space}
    assert len(spaces) == 1
    assert other(backbone, save_checkpoint).space not in spaces


def other(backbone, save_checkpoint) -> Backbone:
    """The same with one setting changed."""
    if isinstance(backbone, Checkpoint):
        save_checkpoint("other", CompactCNN(input_size=16))  # the same weights, another name
        return Checkpoint("other")
    numbers = (spec for spec in backbone.specs() if spec.kind is int and not spec.optional)
    changed = next(numbers).name
    return dataclasses.replace(backbone, **{changed: getattr(backbone, changed) + 1})


def test_spaces_of_different_backbones_differ():
    assert len({small(name).space for name in FAMILIES}) == len(FAMILIES)


def test_all_but_pixels_and_text_towers_can_be_trained():
    assert set(TRAINABLE) == {"checkpoint", "compact_cnn", "timm", "torchvision"}


@pytest.mark.parametrize("name", TRAINABLE)
def test_networks_to_train_keep_the_contract(name):
    backbone = small(name)
    network = backbone.network()
    assert all(weight.requires_grad for weight in network.module.parameters())
    assert {tensor.device.type for tensor in network.module.state_dict().values()} == {"cpu"}
    side = network.preprocess.size
    vectors = network.module.train()(torch.randn(2, 3, side, side))
    assert vectors.ndim == 2
    vectors.square().sum().backward()
    assert all(weight.grad is not None for weight in network.module.parameters())
    assert backbone.licence


@pytest.mark.parametrize("name", TRAINABLE)
def test_the_architecture_is_the_same_without_what_was_learnt(name):
    backbone = small(name)
    architecture = backbone.untrained()
    assert not architecture.pretrained
    assert backbone.pretrained is (name == "checkpoint")
    assert architecture.untrained() == architecture
    assert type(architecture).from_dict(architecture.to_dict()) == architecture
    one, same = (made.network().module.state_dict() for made in (backbone, architecture))
    assert {key: value.shape for key, value in one.items()} == {
        key: value.shape for key, value in same.items()
    }


@pytest.mark.parametrize("name", TRAINABLE)
def test_an_encoder_leaves_no_trace_in_the_next_network(name):
    backbone = small(name)
    before = backbone.network().module.state_dict()
    backbone.load("cpu")
    after = backbone.network().module.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())

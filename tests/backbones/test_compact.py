import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from uvl_plugin.backbones.compact import CompactCNN
from uvl_plugin.core.errors import SettingsError


def weights(backbone) -> torch.Tensor:
    return torch.cat([weight.flatten() for weight in backbone.network().module.parameters()])


def maps(backbone) -> torch.Tensor:
    """What is averaged into the vector."""
    network, side = backbone.network(), backbone.input_size
    with torch.inference_mode():
        return network.module[:-2].eval()(torch.zeros(1, 3, side, side))


@pytest.mark.parametrize("size", [8, 9, 15, 16, 28, 31, 32, 63, 64, 100, 128, 192, 256])
@pytest.mark.parametrize("dim", [2, 64])
def test_every_size_gives_a_vector_of_small_maps(size, dim):
    backbone = CompactCNN(input_size=size, width=4, dim=dim)
    assert backbone.load("cpu").dim == dim
    channels, height, width = maps(backbone).shape[1:]
    assert channels == dim
    assert 2 <= height == width <= (3 if size <= 192 else 4)


@pytest.mark.parametrize(
    ("size", "widths"),
    [
        (8, [5, 7]),
        (16, [5, 10, 7]),
        (28, [5, 10, 20, 7]),
        (64, [5, 10, 20, 20, 7]),
        (256, [5, 10, 20, 20, 20, 7]),
    ],
)
def test_channels_double_up_to_four_times_the_width(size, widths):
    network = CompactCNN(input_size=size, width=5, dim=7).network().module
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == widths
    assert all(layer.stride == (2, 2) for layer in layers)


def test_random_weights_hang_on_the_seed_alone():
    torch.manual_seed(5)
    first = weights(CompactCNN())
    torch.manual_seed(6)
    before = torch.get_rng_state()
    assert torch.equal(weights(CompactCNN()), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(weights(CompactCNN(seed=1)), first)


def test_it_begins_with_nothing_learnt():
    backbone = CompactCNN(seed=3)
    assert not backbone.pretrained
    assert backbone.untrained() == backbone
    assert "random weights" in backbone.licence


def test_the_whole_picture_is_squeezed_whatever_its_shape():
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (40, 90, 3), dtype=np.uint8)
    preprocess = CompactCNN(input_size=20).network().preprocess
    squeezed = Image.fromarray(image).resize((20, 20), Image.Resampling.BILINEAR)
    assert np.abs(preprocess(image).astype(int) - np.asarray(squeezed, int)).max() <= 1


@pytest.mark.parametrize(("level", "normalised"), [(0, -1.0), (255, 1.0), (51, -0.6)])
def test_pixels_become_numbers_from_minus_one_to_one(level, normalised):
    preprocess = CompactCNN().network().preprocess
    scaled = (level / 255 - np.array(preprocess.mean)) / np.array(preprocess.std)
    assert scaled == pytest.approx([normalised] * 3)


def test_colours_are_seen():
    encoder = CompactCNN(input_size=16).load("cpu")
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)]
    images = [np.full((16, 16, 3), colour, np.uint8) for colour in colours]
    vectors = encoder.encode(images)
    distances = np.linalg.norm(vectors[:, None] - vectors, axis=-1) + 9 * np.eye(len(colours))
    assert distances.min() > 0.01 * np.abs(vectors).max()


@pytest.mark.parametrize("settings", [{"input_size": 7}, {"input_size": 257}, {"dim": 1}])
def test_sizes_out_of_bounds_are_errors(settings):
    (name,) = settings
    with pytest.raises(SettingsError, match=f"CompactCNN.{name} must be at"):
        CompactCNN(**settings)


@pytest.mark.real_data
def test_the_same_picture_under_another_size_is_nearer_than_another_picture(real_data):
    paths = sorted((real_data / "images/mnist/3").glob("*.png"))[:8]
    encoder = CompactCNN().load("cpu")
    with Image.open(paths[0]) as image:
        large = np.asarray(image.convert("RGB").resize((112, 84), Image.Resampling.BICUBIC))
    pictures = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    vectors = encoder.encode([encoder.preprocess(picture) for picture in (large, *pictures)])
    distances = np.linalg.norm(vectors[1:] - vectors[0], axis=1)
    assert distances.argmin() == 0

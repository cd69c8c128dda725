import numpy as np
import pytest
import torch

from uvl_plugin.backbones.base import Encoder
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.engine.memory import (
    OutOfMemoryError,
    Portions,
    images_at_once,
    largest_activation,
)

CPU = torch.device("cpu")


class Limited(torch.nn.Flatten):
    """A network with room for so many images at once."""

    def __init__(self, room, error):
        super().__init__()
        self.room, self.error, self.seen = room, error, []

    def forward(self, images):
        self.seen.append(len(images))
        if len(images) > self.room:
            raise self.error
        return super().forward(images)


def encoder(network, size=2):
    return Encoder(network, Preprocess(size=size), CPU)


def images(n, size=2):
    return np.random.default_rng(n).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(("room", "halved_to"), [(1, 1), (3, 2), (5, 4), (16, 16)])
def test_a_batch_that_does_not_fit_is_halved_until_it_does(error, room, halved_to):
    network = Limited(room, error)
    portions = Portions(encoder(network), 16)
    given = images(21)
    expected = encoder(torch.nn.Flatten()).encode(given)
    assert np.array_equal(portions(given), expected)
    assert portions.at_once == halved_to
    network.seen.clear()
    assert np.array_equal(portions(given), expected)
    assert max(network.seen) <= room  # what was learnt is kept
    assert sum(network.seen) == 21


def test_one_image_that_does_not_fit_is_one_clear_error():
    portions = Portions(encoder(torch.nn.Flatten()), 8)
    portions.encoder.module = Limited(0, ERRORS[0])
    with pytest.raises(OutOfMemoryError, match="One image at a time does not fit .* of cpu"):
        portions(images(5))


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    network = Limited(1, RuntimeError("shapes do not match"))
    portions = Portions(encoder(network), 8)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        portions(images(5))


def test_lists_are_cut_into_portions_too():
    network = Limited(99, ERRORS[0])
    portions = Portions(encoder(network), 2)
    network.seen.clear()
    given = images(5)
    assert np.array_equal(portions(list(given)), encoder(torch.nn.Flatten()).encode(given))
    assert network.seen == [2, 2, 1]


def test_the_largest_activation_is_found_inside_the_network():
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 50, 1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )
    assert largest_activation(encoder(network, size=8)) == 4 * 50 * 8 * 8
    assert largest_activation(encoder(torch.nn.Flatten(), size=8)) == 4 * 3 * 8 * 8
    assert not any(part._forward_hooks for part in network.modules())


@pytest.mark.parametrize(
    ("channels", "size", "expected"),
    [(96, 112, 4), (16, 112, 8), (64, 1, 8), (512, 512, 1)],  # 24 MiB over 4 channels size^2
)
def test_large_activations_mean_few_images_at_once(channels, size, expected):
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, channels, 1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )
    assert images_at_once(encoder(network, size=size)) == expected

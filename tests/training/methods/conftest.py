from collections.abc import Callable

import pytest
import torch
from torch import nn

from uvl_plugin.training.methods.base import Batch, Method

DIM, TARGET_DIM = 16, 5


def normalised_noise(images, *, area=None):
    """Stands for an augmentation, a weak one."""
    return 4 * (images + 0.1 * torch.randn_like(images)) - 2


@pytest.fixture
def encoder() -> nn.Module:
    """Images of any size to 16 numbers, with a batch norm."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, kernel_size=3, stride=2, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, DIM, bias=False),
    )


@pytest.fixture
def assemble(encoder) -> Callable[..., nn.ModuleDict]:
    """The parts of a method, ready to train."""

    def build(method: Method, network: nn.Module = encoder, dim: int = DIM) -> nn.ModuleDict:
        torch.manual_seed(1)
        target_dim = 0 if method.teacher() is None else TARGET_DIM
        return nn.ModuleDict({"encoder": network, **method.parts(network, dim, target_dim)})

    return build


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """Random images as a method sees them."""

    def make(method: Method, n: int = 16, side: int = 16) -> Batch:
        torch.manual_seed(2)
        images = torch.rand(n, 3, side, side)
        targets = None if method.teacher() is None else torch.randn(n, TARGET_DIM)
        return Batch(method.views(images, normalised_noise), targets)

    return make


@pytest.fixture
def pairs() -> Callable[..., Batch]:
    """A batch whose two "views" are vectors: with :class:`nn.Identity` for the encoder, what
    a criterion sees is known."""

    def make(first: torch.Tensor, second: torch.Tensor) -> Batch:
        return Batch([first, second])

    return make

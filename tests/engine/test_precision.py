import logging

import numpy as np
import pytest
import torch

from uvl_plugin.backbones.base import Encoder
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.engine.memory import Portions
from uvl_plugin.engine.precision import CheckedPrecision, best_precision, cosines

CPU = torch.device("cpu")


class HalfBlind(torch.nn.Module):
    """Right in full precision; in half precision the vector turns by about so many degrees."""

    def __init__(self, degrees):
        super().__init__()
        self.angle = torch.nn.Parameter(torch.tensor(degrees * np.pi / 180))

    def forward(self, images):
        grey = images.mean(dim=(1, 2, 3)) + 1.0
        angle = self.angle if torch.is_autocast_enabled("cpu") else 0.0 * self.angle
        return torch.stack([grey * torch.cos(angle), grey * torch.sin(angle)], dim=1)


def portions(degrees=0.0):
    return Portions(Encoder(HalfBlind(degrees), Preprocess(size=4), CPU), 4)


def images(n=5):
    return np.random.default_rng(n).integers(0, 256, (n, 4, 4, 3), dtype=np.uint8)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """What auto would try there; the processor knows autocast to bfloat16 as well."""
    monkeypatch.setattr("uvl_plugin.engine.precision.best_precision", lambda device: "bf16")


def test_on_a_processor_auto_is_full_precision_and_nothing_is_compared():
    assert best_precision(CPU) == "fp32"
    checked = CheckedPrecision(portions(90), "auto")
    checked(images())
    assert checked.agreement is None
    assert checked.portions.encoder.precision == "fp32"


def test_half_precision_that_agrees_is_used(as_on_a_gpu):
    checked = CheckedPrecision(portions(0.5), "auto")
    vectors = checked(images())
    assert checked.portions.encoder.precision == "bf16"
    assert checked.agreement == pytest.approx(np.cos(np.radians(0.5)), abs=1e-5)
    assert (vectors[:, 1] != 0).all()  # the first batch too is in half precision
    assert np.array_equal(vectors, checked(images()))


def test_half_precision_that_does_not_agree_is_given_up(as_on_a_gpu, caplog):
    checked = CheckedPrecision(portions(9), "auto")
    with caplog.at_level(logging.WARNING):
        vectors = checked(images())
    assert "bf16 does not agree with fp32 (least cosine 0.98" in caplog.text
    assert checked.portions.encoder.precision == "fp32"
    assert (vectors[:, 1] == 0).all()
    assert np.array_equal(vectors, checked(images()))


def test_a_precision_that_was_asked_for_is_kept_and_its_agreement_told():
    checked = CheckedPrecision(portions(9), "bf16")
    checked(images())
    assert checked.portions.encoder.precision == "bf16"
    assert checked.agreement == pytest.approx(np.cos(np.radians(9)), abs=1e-4)


def test_a_network_is_compared_once():
    checked = CheckedPrecision(portions(1), "bf16")
    checked(images())
    first = checked.agreement
    checked(images(9))
    assert checked.agreement == first


def test_autocast_really_computes_in_half_precision():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 32))
    encoder = Encoder(network, Preprocess(size=4), CPU)
    full = encoder.encode(images())
    encoder.precision = "bf16"
    half = encoder.encode(images())
    assert half.dtype == np.float32
    assert not np.array_equal(full, half)
    assert cosines(full, half).min() > 0.999


def test_cosines_of_special_vectors():
    first = np.array([[1, 0], [0, 0], [0, 0], [1, 1], [np.nan, 1]], np.float32)
    second = np.array([[0, 2], [0, 0], [1, 0], [2, 2], [np.nan, 1]], np.float32)
    assert cosines(first, second).tolist() == pytest.approx([0, 1, 0, 1, 0])

"""Videos of random walks, and checkpoints in a folder of the test."""

import numpy as np
import pytest

from uvl_plugin.pooling.base import FramePath


@pytest.fixture(autouse=True)
def own_checkpoints(tmp_path, monkeypatch):
    monkeypatch.setenv("UVL_CHECKPOINTS", str(tmp_path / "checkpoints"))


@pytest.fixture
def walks():
    """Twelve videos of 1 to 40 frames with vectors of length 12."""
    random = np.random.default_rng(0)
    found = []
    for number, t in enumerate([1, 2, 3, 5, 8, 9, 17, 24, 30, 33, 40, 40]):
        steps = random.normal(size=(t, 12)) * np.linspace(2, 0.2, 12)
        vectors = random.normal(size=12) * 3 + steps.cumsum(axis=0)
        found.append(FramePath(f"video {number:02d}", 1 + 4 * np.arange(t), vectors))
    return found

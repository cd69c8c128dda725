"""Videos of points that go round, and checkpoints in a folder of the test."""

import numpy as np
import pytest

from uvl_plugin.pooling.base import FramePath


@pytest.fixture(autouse=True)
def own_checkpoints(tmp_path, monkeypatch):
    folder = tmp_path / "checkpoints"
    monkeypatch.setenv("UVL_CHECKPOINTS", str(folder))
    return folder


@pytest.fixture
def circling():
    """Sixty videos of 8 to 30 frames with vectors of length 6: every second goes clockwise."""
    random = np.random.default_rng(0)
    found = []
    for number in range(60):
        t = int(random.integers(8, 31))
        sense = 1 if number % 2 else -1
        turn = random.uniform(0, 6) + sense * 0.4 * np.arange(t)
        vectors = random.normal(size=(t, 6)) * 0.05 + random.normal(size=6)
        vectors[:, :2] += 2 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        found.append(FramePath(f"video {number:02d}", np.arange(1, t + 1), vectors))
    return found

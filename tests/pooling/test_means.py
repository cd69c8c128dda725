"""Mean, and mean and deviation, against numpy."""

import numpy as np
import pytest

from uvl_plugin.pooling.base import FramePath
from uvl_plugin.pooling.mean import Mean
from uvl_plugin.pooling.mean_deviation import MeanDeviation


def test_the_mean_is_that_of_the_frames(walks):
    pooler = Mean().fit(lambda: iter(walks))
    assert pooler(walks[-1]) == pytest.approx(walks[-1].vectors.mean(axis=0), rel=1e-5)


def test_the_deviation_stands_behind_the_mean(walks):
    pooler = MeanDeviation().fit(lambda: iter(walks))
    found = pooler(walks[-1])
    assert found[:12] == pytest.approx(walks[-1].vectors.mean(axis=0), rel=1e-5)
    assert found[12:] == pytest.approx(walks[-1].vectors.std(axis=0), rel=1e-4)
    assert (pooler(walks[0])[12:] == 0).all()


def test_large_numbers_do_not_spoil_the_deviation():
    vectors = 1e4 + np.array([[-1.0], [1.0]] * 5000)
    path = FramePath("v", np.arange(1, 10_001), vectors)
    assert MeanDeviation().fit(lambda: iter([path]))(path) == pytest.approx([1e4, 1.0], rel=1e-5)

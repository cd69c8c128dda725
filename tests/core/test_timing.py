from types import SimpleNamespace

import pytest

from uvl_plugin.core import timing


@pytest.fixture
def clock(monkeypatch):
    """A clock that shows what it is given, one reading after the other."""
    readings = []
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: readings.pop(0)))
    return readings


def test_a_stage_that_comes_again_adds_up(clock):
    clock += [10.0, 11.5, 20.0, 20.0004, 30.0, 32.0]
    watch = timing.Stopwatch()
    for name in ("read", "write", "read"):
        with watch.stage(name):
            pass
    assert watch.seconds == {"read": 3.5, "write": 0.0}


def test_a_stage_that_fails_counts_too(clock):
    clock += [1.0, 3.0]
    watch = timing.Stopwatch()
    with pytest.raises(ValueError, match="broken"), watch.stage("read"):
        raise ValueError("broken")
    assert watch.seconds == {"read": 2.0}

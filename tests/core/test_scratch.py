import gc
import os
from pathlib import Path

import numpy as np
import pytest

from uvl_plugin.core import scratch
from uvl_plugin.core.scratch import free_memory, new_rows


def test_small_arrays_lie_in_memory(monkeypatch):
    monkeypatch.setattr(scratch, "free_memory", lambda: 2 * 4 * 12)
    assert not isinstance(new_rows(4, 3), np.memmap)
    assert isinstance(new_rows(4, 4), np.memmap)


def test_a_mapped_array_is_like_any_other_and_goes_with_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "free_memory", lambda: 0.0)
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    rows = new_rows(1000, 8)
    rows[:] = np.arange(8)
    assert (rows.shape, rows.dtype) == ((1000, 8), np.float32)
    assert (rows[[3, 999]] == np.arange(8)).all()
    assert os.listdir(tmp_path) == []  # the file has no name, so nothing can stay behind
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert str(tmp_path) in maps.read_text()
        del rows
        gc.collect()
        assert str(tmp_path) not in maps.read_text()


def test_no_rows_are_no_error(monkeypatch):
    monkeypatch.setattr(scratch, "free_memory", lambda: 0.0)
    assert new_rows(0, 5).shape == (0, 5)


def test_free_memory_is_that_of_the_machine_or_less():
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < free_memory() <= total


@pytest.mark.parametrize(("most", "left"), [("1000", 400.0), ("500", 0.0), ("max", float("inf"))])
def test_a_container_may_have_less(tmp_path, monkeypatch, most, left):
    (tmp_path / "memory.max").write_text(most)
    (tmp_path / "memory.current").write_text("600")
    monkeypatch.setattr(scratch, "_CGROUP", tmp_path)
    monkeypatch.setattr(scratch, "_MEMINFO", tmp_path / "memory.none")
    assert free_memory() == left

import threading

import cv2
import pytest
import torch

from uvl_plugin.engine import threads
from uvl_plugin.engine.threads import available_threads, library_threads


@pytest.fixture(autouse=True)
def several_threads():
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(3)
    cv2.setNumThreads(3)
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


def in_a_new_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_libraries_are_capped_in_the_block_and_as_before_after_it():
    with library_threads(1):
        assert torch.get_num_threads() == cv2.getNumThreads() == 1
        assert in_a_new_thread(torch.get_num_threads) == 1
    assert torch.get_num_threads() == cv2.getNumThreads() == 3
    with pytest.raises(ValueError, match="x"), library_threads(1):
        raise ValueError("x")
    assert torch.get_num_threads() == cv2.getNumThreads() == 3


def test_blocks_that_overlap_leave_what_was_there_before():
    first, second = library_threads(1), library_threads(2)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert torch.get_num_threads() == 1
    second.__exit__(None, None, None)
    assert torch.get_num_threads() == cv2.getNumThreads() == 3


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("", 8), (None, 8)],
)
def test_a_container_is_not_given_more_threads_than_it_may_use(
    limit, expected, monkeypatch, tmp_path
):
    if limit is not None:
        (tmp_path / "cpu.max").write_text(f"{limit}\n")
    monkeypatch.setattr(threads, "_CPU_MAX", tmp_path / "cpu.max")
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)))
    assert available_threads() == expected

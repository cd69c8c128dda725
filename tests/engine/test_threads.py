import threading

import cv2
import pytest
import torch

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


def test_there_is_at_least_one_thread():
    assert available_threads() >= 1

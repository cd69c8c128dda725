"""Processor threads: how many there are, and that libraries do not multiply them."""

import contextlib
import math
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_lock = threading.Lock()
_running: list[int] = []
_before: list[int] = []


def available_threads() -> int:
    """Processor cores that this process may use; a container may have been given few."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    return max(1, int(min(cores, _quota(_CPU_MAX))))


def _quota(path: Path) -> float:
    """Cores that the control group of a container may use (Linux, cgroup-v2, ``cpu.max``)."""
    try:
        allowed, period = path.read_text().split()
        return int(allowed) / int(period)
    except (OSError, ValueError):  # no such file, or "max"
        return math.inf


@contextlib.contextmanager
def library_threads(n: int) -> Iterator[None]:
    """Within the block, one operation of torch or OpenCV uses at most ``n`` threads.

    The setting is of the whole process: of blocks that overlap, the first one's holds, and the
    last to end sets back what was there before.
    """
    import torch

    cv2 = sys.modules.get("cv2")  # only zoo models use it here
    with _lock:
        if not _running:
            _before[:] = [torch.get_num_threads(), cv2.getNumThreads() if cv2 else 0]
            torch.set_num_threads(n)
            if cv2:
                cv2.setNumThreads(n)
        _running.append(n)
    try:
        yield
    finally:
        with _lock:
            _running.pop()
            if not _running:
                torch.set_num_threads(_before[0])
                if cv2:
                    cv2.setNumThreads(_before[1])

"""Room for large arrays: in memory, or in a file that goes with the array."""

import tempfile
from pathlib import Path

import numpy as np

_SHARE = 0.5  # of the memory that is free now, that one array may take
_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def new_rows(n: int, dim: int) -> np.ndarray:
    """An array of shape ``(n, dim)``, float32, that waits to be filled.

    It lies in memory if it takes no more than half of what is free; else in a temporary file
    (in ``TMPDIR``, which should then be a disk) that is mapped, and deleted with the array.
    """
    if n == 0 or 4 * n * dim <= _SHARE * free_memory():
        return np.empty((n, dim), np.float32)
    with tempfile.TemporaryFile(prefix="uvl-") as file:
        return np.memmap(file, np.float32, "w+", shape=(n, dim))


def free_memory() -> float:
    """Bytes that this process can still take: of the machine, and of its container (cgroup-v2);
    infinite where the system does not tell, as outside Linux."""
    return min(_of_machine(), _of_container())


def _of_machine() -> float:
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
    except (OSError, ValueError):  # not Linux
        pass
    return float("inf")


def _of_container() -> float:
    try:
        most = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return float("inf")
    return float(max(0, most - used))

"""How much memory this process holds, as Linux tells."""

import threading
import time
from pathlib import Path

_PAUSE = 0.02  # seconds between looks


def resident(name: str) -> int:
    """Bytes: ``VmRSS`` is what the process holds now, ``VmHWM`` the most it ever held, ``RssAnon``
    leaves out pages of files, which can be dropped."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"this system does not tell {name}")


def watched(*names: str) -> dict[str, int]:
    """The most memory from now on, by name; goes on growing while the process works."""
    peaks = dict.fromkeys(names, 0)
    threading.Thread(target=_watch, args=(peaks,), daemon=True).start()
    return peaks


def _watch(peaks: dict[str, int]) -> None:
    while True:
        for name, before in peaks.items():
            peaks[name] = max(before, resident(name))
        time.sleep(_PAUSE)

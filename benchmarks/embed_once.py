"""Embeds a dataset in a fresh process and prints what memory that took: for ``memory.py``."""

import json
import sys
import time
from pathlib import Path

import fiftyone as fo

import uvl_plugin as uvl

_LISTS_OF_IDS = 2  # of all items, and of those to be embedded


def main() -> None:
    dataset = fo.load_dataset(sys.argv[1])
    how = {"threads": int(sys.argv[2]), "device": "cpu", "progress": False}
    uvl.embed(dataset.limit(1), uvl.Pixels(size=8), "warm_up", **how)
    before, started = _memory("VmRSS"), time.perf_counter()
    result = uvl.embed(dataset, uvl.Pixels(size=8), "vector", **how)
    found = {
        "before": before,
        "peak": _memory("VmHWM"),
        "ids": _LISTS_OF_IDS * _bytes_of_ids(len(dataset)),
        "seconds": time.perf_counter() - started,
    }
    if result.n_embedded != len(dataset):
        raise RuntimeError(f"{result.n_embedded} of {len(dataset)} samples were embedded")
    print(json.dumps(found))


def _bytes_of_ids(n: int) -> int:
    """A list of ``n`` different ids of 24 letters, with the texts."""
    pointer = 8
    return n * (sys.getsizeof("0" * 24) + pointer)


def _memory(name: str) -> int:
    """Bytes: ``VmRSS`` is what the process holds now, ``VmHWM`` the most it ever held."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"this system does not tell {name}")


if __name__ == "__main__":
    main()

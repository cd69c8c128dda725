"""Embeds a dataset in a fresh process and prints what memory that took: for ``memory.py``."""

import json
import sys
import time

import fiftyone as fo

import uvl_plugin as uvl
from benchmarks.resident import resident

_LISTS_OF_IDS = 2  # of all items, and of those to be embedded


def main() -> None:
    dataset = fo.load_dataset(sys.argv[1])
    how = {"threads": int(sys.argv[2]), "device": "cpu", "progress": False}
    uvl.embed(dataset.limit(1), uvl.Pixels(size=8), "warm_up", **how)
    before, started = resident("VmRSS"), time.perf_counter()
    result = uvl.embed(dataset, uvl.Pixels(size=8), "vector", **how)
    found = {
        "before": before,
        "peak": resident("VmHWM"),
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


if __name__ == "__main__":
    main()

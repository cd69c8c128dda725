"""Builds an index, or opens and asks one, in a fresh process, and prints what that took: for
``index.py``; or asks FiftyOne for the first answer of a process: for ``similarity.py``."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.resident import resident, watched

_PAGE = 8192  # vectors
_K = 100


def main() -> None:
    work: dict[str, Callable[..., dict]] = {"build": _build, "ask": _ask, "first": _first}
    print(json.dumps(work[sys.argv[1]](*sys.argv[2:])))


def _build(folder: str, vectors: str, kind: str, precision: str) -> dict:
    """``vectors``: a file of NumPy with an array ``(n, dim)``."""
    from uvl_plugin.indexing.index import VectorIndex

    peaks = watched("VmHWM", "RssAnon")
    rows = np.load(vectors, mmap_mode="r")
    pages = (
        (np.array([f"{row:024x}" for row in range(start, start + len(some))]), np.array(some), None)
        for start in range(0, len(rows), _PAGE)
        for some in (rows[start : start + _PAGE],)
    )
    cpu, started = time.process_time(), time.perf_counter()
    index = VectorIndex.create(folder, pages, kind=kind, precision=precision)
    return {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu,
        "peak": peaks["VmHWM"],
        "own": peaks["RssAnon"],
        "kind": index.manifest["kind"],
        "disk": sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()),
    }


def _ask(folder: str, queries: str) -> dict:
    """``queries``: a file of NumPy with the arrays ``near`` and ``far``, each ``(m, dim)``. The
    rows that were found are left beside it."""
    from uvl_plugin.indexing.index import VectorIndex

    sorts = dict(np.load(queries))
    started = time.perf_counter()
    snapshot = VectorIndex(folder).snapshot()
    opened = time.perf_counter() - started
    some = next(iter(sorts.values()))[:1]
    snapshot.search(some, _K)
    found = {"open": opened, "first": time.perf_counter() - started - opened}
    rows: dict[str, np.ndarray] = {}
    seconds: dict[str, list[float]] = {}
    for name, wanted in sorts.items():
        seconds[name], rows[name] = _one_by_one(snapshot, wanted)
    np.savez(Path(queries).with_name("found.npz"), near=rows["near"], far=rows["far"])
    every = np.concatenate([np.array(times) for times in seconds.values()])
    return found | {
        "p50": {name: float(np.percentile(times, 50)) for name, times in seconds.items()},
        "p99": float(np.percentile(every, 99)),
        "peak": resident("VmHWM"),
        "own": resident("RssAnon"),
    }


def _one_by_one(snapshot: Any, wanted: np.ndarray) -> tuple[list[float], np.ndarray]:
    times, rows = [], []
    for query in wanted:
        started = time.perf_counter()
        rows.append(snapshot.search(query[None], _K)[0][0])
        times.append(time.perf_counter() - started)
    return times, np.array(rows)


def _first(name: str, brain_key: str, sample_id: str) -> dict:
    """FiftyOne and the dataset are loaded before; the record and the vectors are not."""
    started = time.perf_counter()
    import fiftyone as fo
    import fiftyone.brain

    dataset = fo.load_dataset(name)
    dataset.first()
    cpu, loaded = time.process_time(), time.perf_counter()
    index = dataset.load_brain_results(brain_key)
    opened = time.perf_counter()
    ids = index.sort_by_similarity(sample_id, k=_K).values("id")
    if len(ids) != _K:
        raise RuntimeError(f"{len(ids)} of {_K} were found")
    ended = time.perf_counter()
    return {
        "import": loaded - started,
        "open": opened - loaded,
        "seconds": ended - loaded,
        "cpu": time.process_time() - cpu,
        "peak": resident("VmHWM"),
    }


if __name__ == "__main__":
    main()

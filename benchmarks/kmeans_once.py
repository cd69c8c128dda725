"""Clusters vectors in a fresh process and prints what memory that took: for ``kmeans.py``."""

import json
import sys
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks import groups
from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.core import scratch
from uvl_plugin.core.embeddings import Embeddings

_PAUSE = 0.02  # seconds between two looks at the memory


def main() -> None:
    n, dim, k = (int(each) for each in sys.argv[1:4])
    mapped = sys.argv[4] if len(sys.argv) > 4 else ""
    if mapped:  # as if there were next to no memory
        scratch.free_memory = lambda: 0.0
        vectors = np.load(mapped, mmap_mode="r")
    else:
        vectors = groups.vectors(n, dim, groups=k)
    peaks = {"VmRSS": 0, "RssAnon": 0}
    threading.Thread(target=_watch, args=(peaks,), daemon=True).start()
    cpu, started = time.process_time(), time.perf_counter()
    embeddings = Embeddings(np.arange(n).astype(str), vectors)
    result, _ = cluster_embeddings(embeddings, KMeans(n_clusters=k))
    found = {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu,
        "peak": max(peaks["VmRSS"], _memory("VmHWM")),
        "own": peaks["RssAnon"],
        "clusters": result.n_clusters,
        "iterations": result.report["iterations"],
    }
    print(json.dumps(found))


def _watch(peaks: dict[str, int]) -> None:
    """Notes the most memory; ``RssAnon`` leaves out pages of files, which can be dropped."""
    while True:
        for name, before in peaks.items():
            peaks[name] = max(before, _memory(name))
        time.sleep(_PAUSE)


def _memory(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"this system does not tell {name}")


if __name__ == "__main__":
    main()

"""Clusters vectors in a fresh process and prints what memory that took: for ``kmeans.py``."""

import json
import sys
import time

import numpy as np

from benchmarks import groups
from benchmarks.resident import resident, watched
from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.core import scratch
from uvl_plugin.core.embeddings import Embeddings


def main() -> None:
    n, dim, k = (int(each) for each in sys.argv[1:4])
    mapped = sys.argv[4] if len(sys.argv) > 4 else ""
    if mapped:  # as if there were next to no memory
        scratch.free_memory = lambda: 0.0
        vectors = np.load(mapped, mmap_mode="r")
    else:
        vectors = groups.vectors(n, dim, groups=k)
    peaks = watched("VmRSS", "RssAnon")
    cpu, started = time.process_time(), time.perf_counter()
    embeddings = Embeddings(np.arange(n).astype(str), vectors)
    result, _ = cluster_embeddings(embeddings, KMeans(n_clusters=k))
    found = {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu,
        "peak": max(peaks["VmRSS"], resident("VmHWM")),
        "own": peaks["RssAnon"],
        "clusters": result.n_clusters,
        "iterations": result.report["iterations"],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()

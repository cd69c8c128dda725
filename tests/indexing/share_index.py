"""A program for ``test_processes.py``: reads or writes an index that other processes write.

Each vector says what it is: its first number is ten times its id, the second its version.
``READ``: asks until there is a file ``stop`` beside the index, and prints a line of JSON for each
answer. ``WRITE``: adds vectors one by one.
"""

import json
import sys
from pathlib import Path

import numpy as np

from uvl_plugin.indexing.index import VectorIndex
from uvl_plugin.indexing.snapshot import Snapshot

K, IDS = 3, 600


def telling(numbers: np.ndarray, version: int) -> np.ndarray:
    """Vectors that say what they are, shape ``(n, 4)``."""
    vectors = np.zeros((len(numbers), 4), np.float32)
    vectors[:, 0], vectors[:, 1] = 10 * np.asarray(numbers), version / 1024
    return vectors


def said(snapshot: Snapshot, rows: np.ndarray) -> list[tuple[int, int, int]]:
    """Of some rows: the id, and the id and version that the vector says."""
    vectors = snapshot.vectors(rows)
    ids = [int(name) for name in snapshot.ids(rows)]
    numbers, versions = np.rint(vectors[:, 0] / 10), np.rint(vectors[:, 1] * 1024)
    return list(zip(ids, numbers.astype(int).tolist(), versions.astype(int).tolist(), strict=True))


def read(folder: Path, seed: int) -> None:
    """Prints what is found, until it is told to stop."""
    index, draw = VectorIndex(folder), np.random.default_rng(seed)
    stop = folder.with_name("stop")
    print("reading", flush=True)
    while not stop.exists():
        snapshot, asked = index.snapshot(), draw.integers(0, IDS, 4)
        rows, _ = snapshot.search(telling(asked, 0), K)
        if draw.random() < 0.2:  # another process opens it for the first time
            index = VectorIndex(folder)
        answers = zip(asked.tolist(), [said(snapshot, found) for found in rows], strict=True)
        line = {"generation": snapshot.generation, "n": len(snapshot), "answers": list(answers)}
        print(json.dumps(line))


if __name__ == "__main__":
    mode, path, number_ = sys.argv[1:]
    if mode == "READ":
        read(Path(path), int(number_))
    else:
        start = int(number_)
        for own in range(start, start + 10):
            VectorIndex(Path(path)).add(np.array([str(own)]), telling([own], 1))

"""A program for ``test_killed.py``: writes to an index when it is told to.

``MOMENTS``: waits for a line and writes once, then waits to be killed. ``POINTS``: writes again
and again, each time in a process of its own that kills itself one step later than the one before,
and checks what it leaves.
"""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

from tests.indexing.made import clustered, content, names
from uvl_plugin.indexing import index as module
from uvl_plugin.indexing.index import VectorIndex

WRITES = ("create", "add", "remove")
DIM = 32


def write(folder: Path, what: str, n: int) -> None:
    """Replaces the index of ``n`` vectors, adds to it or removes from it."""
    index = VectorIndex(folder)
    if what == "create":
        vectors, ids = clustered(n, DIM, seed=1), names(n, n // 2)
        pages = [(ids[i : i + 999], vectors[i : i + 999], None) for i in range(0, n, 999)]
        VectorIndex.create(folder, pages, kind="ivf")
    elif what == "add":  # some of them are there already
        index.add(names(2 * n // 5, 4 * n // 5), clustered(2 * n // 5, DIM, seed=1))
    else:
        index.remove(names(2 * n // 5))


def leftovers(index: VectorIndex) -> set[str]:
    """Names in the folder of an index that belong to nothing."""
    parts = [part for entry in index.manifest["segments"] for part in (entry, entry["gone"])]
    named = {part["name"] for part in parts if part} | {"index.json", ".lock"}
    return {path.name for path in index.folder.iterdir()} - named


def killed_at(step: int, folder: Path, what: str, n: int) -> bool:
    """Whether a process that kills itself at this step gets so far."""
    child = os.fork()
    if child == 0:
        left = [step]

        def hook(event: str, arguments: tuple) -> None:
            if event.startswith(("open", "os.", "shutil.", "mmap")) and str(folder) in str(
                arguments
            ):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        write(folder, what, n)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status == signal.SIGKILL


def at_every_step(base: Path, what: str, n: int) -> tuple[int, int]:
    """In how many places a process was killed, and how many of them left the old state."""
    whole = shutil.copytree(base, base.with_name("whole"))
    write(whole, what, n)
    old, new = content(VectorIndex(base)), content(VectorIndex(whole))
    assert old != new
    step, n_old = 1, 0
    while True:
        folder = shutil.copytree(base, base.with_name(f"step-{step}"))
        if not killed_at(step, folder, what, n):
            return step - 1, n_old
        index = VectorIndex(folder)
        left = content(index)
        assert left in (old, new), f"step {step}"
        n_old += left == old
        index.verify()
        index.add(names(1, 10**6), clustered(1, DIM))
        assert len(index.snapshot()) == len(left) + 1
        assert not leftovers(index), f"step {step}"
        shutil.rmtree(folder)
        step += 1


if __name__ == "__main__":
    mode, path, what_, count = sys.argv[1:]
    if mode == "POINTS":
        module._FEW = 10  # so that what was added or removed is built in at once
        os.fsync = lambda handle: None  # slow, and only of use where the machine itself fails
        print(*at_every_step(Path(path), what_, int(count)))
    else:
        print("ready", flush=True)
        sys.stdin.readline()
        started = time.monotonic()
        write(Path(path), what_, int(count))
        print(time.monotonic() - started, flush=True)
        sys.stdin.readline()

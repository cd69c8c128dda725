"""Peak memory of ``uvl.embed`` at two sizes, each in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import datasets
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting

_ROOT = Path(__file__).resolve().parents[1]
_MIB = 2**20
_COLUMNS = ("samples", "before, MiB", "peak, MiB", "of them ids, MiB", "peak less ids, MiB", "s")


def memory(setting: Setting) -> Section:
    """A few tiny files, repeated; ``uvl.Pixels(size=8)``."""
    files = _tiny_files(setting.folder)
    sizes = (setting.n(10_000, 500), setting.n(100_000, 2000))
    few, many = (_embedded(files, n, setting.threads) for n in sizes)
    growth = (many["peak"] - many["ids"]) / (few["peak"] - few["ids"]) - 1
    total = many["peak"] / few["peak"] - 1
    rows = [
        [
            f"{each['n']:,}", *(f"{each[what] / _MIB:.1f}" for what in ("before", "peak", "ids")),
            f"{(each['peak'] - each['ids']) / _MIB:.1f}", f"{each['seconds']:.1f}",
        ]
        for each in (few, many)
    ]  # fmt: skip
    body = (
        "Resident memory of the embedding process: before `uvl.embed` (dataset loaded, packages "
        "imported, one image embedded) and its peak. 'ids' are the two lists of all ids that the "
        f"work keeps.\n\n{table(_COLUMNS, rows)}"
    )
    verdict = Verdict(
        "peak memory", f"{sizes[0]:,} and {sizes[1]:,}", "-",
        f"{few['peak'] / _MIB:.0f} and {many['peak'] / _MIB:.0f} MiB",
        f"{growth:+.1%} ids aside, {total:+.1%} with them", "less than 20 %",
    )  # fmt: skip
    return Section("peak memory of uvl.embed", [verdict], body)


def _tiny_files(folder: Path) -> list[str]:
    rng, paths = np.random.default_rng(0), []
    for number in range(20):
        path = folder / f"tiny_{number:02}.jpg"
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(path)
        paths.append(str(path))
    return paths


def _embedded(files: list[str], n: int, threads: int) -> dict[str, float]:
    dataset = datasets.synthetic([files[i % len(files)] for i in range(n)], persistent=True)
    command = [sys.executable, "-m", "benchmarks.embed_once", dataset.name, str(threads)]
    try:
        ran = subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.PIPE, text=True)
    finally:
        dataset.delete()
    return {"n": n, **json.loads(ran.stdout.splitlines()[-1])}

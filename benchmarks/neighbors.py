"""The neighbour graph: time, growth, recall, and reading it back from disk."""

import os
from pathlib import Path

import numpy as np

from benchmarks import groups
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from benchmarks.timing import Time, timed
from uvl_plugin.clustering.neighbor_cache import FOLDER
from uvl_plugin.clustering.neighbors import Neighbors, nearest_neighbors
from uvl_plugin.clustering.prepare import fit_preparation

_DIM, _KEPT, _K = 256, 64, 15
_ASKED = 1000  # items whose neighbours are compared with the true ones
_COLUMNS = ("vectors", "s", "CPU s", "recall", "from disk, s")


def neighbors(setting: Setting) -> Section:
    """One graph at three sizes beyond the exact ones."""
    sizes = [setting.n(full, full // 3) for full in (100_000, 300_000, 1_000_000)]
    if setting.quick:
        sizes = sizes[:1]
    before = os.environ.get(FOLDER)
    os.environ[FOLDER] = str(setting.folder / "cache")
    try:
        found = [_measured(n, setting.folder) for n in sizes]
    finally:
        os.environ.pop(FOLDER)
        if before is not None:
            os.environ[FOLDER] = before
    rows = [
        [f"{n:,}", f"{new.wall:.1f}", f"{new.cpu:.1f}", f"{recall:.4f}", f"{again.wall:.2f}"]
        for n, (new, again, recall) in zip(sizes, found, strict=True)
    ]
    growth = "not measured"
    if len(sizes) > 1:
        cpu = [new.cpu for new, _, _ in found]
        growth = f"{np.polyfit(np.log(sizes), np.log(cpu), 1)[0]:.2f}"
    worst = min(recall for _, _, recall in found)
    body = (
        f"The {_K} nearest others of every item; vectors of the section k-means with {_DIM} numbers "
        f"in 1,000 groups, prepared to {_KEPT}. Recall: of {_ASKED:,} items, against all distances. "
        f"'from disk': the same call again. Growth exponent by CPU.\n\n{table(_COLUMNS, rows)}"
    )
    verdict = Verdict(
        f"neighbour graph, k = {_K}", f"{sizes[-1]:,} x {_KEPT}", "-",
        f"{found[-1][0].wall:.0f} s", f"recall {worst:.3f} at least, growth exponent {growth}",
        "recall 0.95, exponent 1.2 at most",
    )  # fmt: skip
    return Section("neighbour graph", [verdict], body)


def _measured(n: int, folder: Path) -> tuple[Time, Time, float]:
    """The first time, the second time, and the recall."""
    vectors = groups.vectors(n, _DIM, 1000)
    prepared = fit_preparation(vectors, normalize=True, components=_KEPT)(vectors)
    del vectors
    found: list[Neighbors] = []
    new, again = (timed(lambda: found.append(nearest_neighbors(prepared, _K))) for _ in range(2))
    return new, again, _recall(found[0], prepared)


def _recall(found: Neighbors, prepared: np.ndarray) -> float:
    import faiss

    rows = np.random.default_rng(0).choice(len(prepared), min(_ASKED, len(prepared)), replace=False)
    _, true = faiss.knn(prepared[rows], prepared, _K + 1)
    others = true[true != rows[:, None]]
    if len(others) != len(rows) * _K:  # equal items: one is not among its own nearest
        raise RuntimeError("the vectors of this benchmark must differ")
    wanted = others.reshape(len(rows), _K)
    return float((found.indices[rows][:, :, None] == wanted[:, None, :]).any(axis=2).mean())

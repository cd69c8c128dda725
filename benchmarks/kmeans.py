"""k-means: time against scikit-learn's, and time and memory for a million vectors."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import groups
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from benchmarks.timing import Contender, Time, interleaved, median, ratios, said
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.prepare import fit_preparation, unit_length
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.progress import silent

_ROOT = Path(__file__).resolve().parents[1]
_GROUPS = 1000
_TARGETS = {100: 3, 1000: 10}  # clusters and how many times as fast
_ITERATIONS = KMeans().max_iter
_SMALL = {1000: 50, 100: 10}  # clusters with --quick


def kmeans(setting: Setting) -> Section:
    """Speed, then memory."""
    n, dim = setting.n(100_000, 3000), 512
    vectors = groups.vectors(n, dim, setting.n(_GROUPS, 60))
    rows, verdicts = [], []
    for k, target in _TARGETS.items():
        cells, verdict = _speed(vectors, setting.n(k, _SMALL[k]), target, setting)
        rows += cells
        verdicts.append(verdict)
    large, more = _large(setting)
    columns = ("k", "contender", "s", "CPU s", "iterations", "scikit-learn takes", "inertia")
    body = (
        f"{_said_of(setting)}\n\nEuclidean inertia of the vectors as they are, around the means of "
        "the clusters, relative to scikit-learn's. scikit-learn: `KMeans(k, n_init=1, "
        f"max_iter={_ITERATIONS}, tol=0)`; also stopping by its own rule (tol=1e-4). Ours: the "
        f"same vectors, one start, at most {_ITERATIONS} iterations on all; it ends by itself "
        "where the inertia falls by less than 0.005 %; preparation is timed, levels and strengths are "
        "not. 'PCA-64': the default preparation, by direction; compared by the inertia of vectors of length 1.\n\n"
        f"{table(columns, rows)}\n\n{large}"
    )
    return Section("k-means", [*verdicts, *more], body)


def _speed(
    vectors: np.ndarray, k: int, target: int, setting: Setting
) -> tuple[list[list[str]], Verdict]:
    """Rows of the table, and the verdict on one number of clusters."""
    found: dict[str, tuple[np.ndarray, int]] = {}
    contenders: dict[str, Contender] = {
        "scikit-learn": partial(_theirs, vectors, k, 0.0, found),
        "scikit-learn, its own end": partial(_theirs, vectors, k, 1e-4, found),
        "ours": partial(_ours, vectors, KMeans(**_plain(k)), "ours", found),
        "ours, PCA-64": partial(_ours, vectors, KMeans(n_clusters=k, n_init=1), "PCA-64", found),
    }
    small = vectors[:500]
    _warm_up(small)
    with _threads(setting.threads):
        times = interleaved(contenders, setting.rounds, once=("scikit-learn, its own end",))
    names = dict(zip(contenders, ("0.0", "0.0001", "ours", "PCA-64"), strict=True))
    directions = unit_length(vectors)
    rows = []
    for name, label in names.items():
        seen = directions if label == "PCA-64" else vectors
        share = _inertia(seen, found[label][0]) / _inertia(seen, found["0.0"][0])
        rows.append(_cells(k, name, times, found[label][1], share))
    share = _inertia(vectors, found["ours"][0]) / _inertia(vectors, found["0.0"][0])
    measured = ratios(times["scikit-learn"], times["ours"])
    verdict = Verdict(
        f"k-means, k = {k}", f"{len(vectors):,} x {vectors.shape[1]}",
        f"[scikit-learn {median(times['scikit-learn']):.1f} s]",
        f"{median(times['ours']):.1f} s",
        f"{said(measured)} times as fast, inertia {share:.3f}",
        f"{target} times, inertia within 1 %",
    )  # fmt: skip
    return rows, verdict


def _plain(k: int) -> dict:
    """No preparation, as scikit-learn has none."""
    return {"n_clusters": k, "n_init": 1, "spherical": False, "normalize": False, "pca": 0}


def _cells(
    k: int, name: str, times: dict[str, list[Time]], iterations: int, share: float
) -> list[str]:
    against = times["scikit-learn"]
    wall, cpu = (said(ratios(against, times[name], what)) for what in ("wall", "cpu"))
    return [
        str(k), name, f"{median(times[name]):.1f}", f"{median(times[name], 'cpu'):.1f}",
        str(iterations), f"{wall}, CPU {cpu} times", f"{share:.4f}",
    ]  # fmt: skip


@contextlib.contextmanager
def _theirs(vectors: np.ndarray, k: int, tol: float, found: dict) -> Iterator:
    from sklearn.cluster import KMeans as Theirs

    def work() -> None:
        fitted = Theirs(k, n_init=1, max_iter=_ITERATIONS, tol=tol, random_state=0).fit(vectors)
        found[str(tol)] = fitted.labels_, fitted.n_iter_

    yield work


@contextlib.contextmanager
def _ours(vectors: np.ndarray, algorithm: KMeans, name: str, found: dict) -> Iterator:
    def work() -> None:
        normalize, components = algorithm.normalize, algorithm.pca
        preparation = fit_preparation(vectors, normalize=normalize, components=components)
        grouping = algorithm.cluster(Space(preparation(vectors)), silent)
        found[name] = grouping.labels, grouping.report["iterations"]

    yield work


def _warm_up(vectors: np.ndarray) -> None:
    for contender in (
        _theirs(vectors, 5, 0.0, {}),
        _ours(vectors, KMeans(n_clusters=5), "", {}),
    ):
        with contender as work:
            work()


@contextlib.contextmanager
def _threads(n: int) -> Iterator[None]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(n):
        yield


def _inertia(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Sum of the squared distances to the means of the clusters, in float64."""
    order = np.argsort(labels, kind="stable")
    total = 0.0
    for rows in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        members = vectors[rows].astype(np.float64)
        total += float(((members - members.mean(axis=0)) ** 2).sum())
    return total


def _large(setting: Setting) -> tuple[str, list[Verdict]]:
    """Three sizes, each in a fresh process, and the largest once more from a mapped file."""
    dim, k = 256, setting.n(1000, 20)
    sizes = [setting.n(full, full // 100) for full in (100_000, 300_000, 1_000_000)]
    found = [_once(n, dim, k, setting) for n in sizes]
    path = setting.folder / "vectors.npy"
    shape = (sizes[-1], dim)
    rows = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    groups.filled(rows, k)
    rows.flush()
    del rows
    found.append(_once(sizes[-1], dim, k, setting, str(path)))
    path.unlink()
    growth = np.polyfit(np.log(sizes), np.log([each["cpu"] for each in found[:3]]), 1)[0]
    wall = np.polyfit(np.log(sizes), np.log([each["seconds"] for each in found[:3]]), 1)[0]
    cells = [
        _memory_cells(n, dim, each, where)
        for n, each, where in zip(
            [*sizes, sizes[-1]], found, ["memory"] * 3 + ["file"], strict=True
        )
    ]
    columns = ("vectors", "in", "s", "CPU s", "iterations", "peak", "of it no file", "of vectors")
    said_of = (
        f"`cluster_embeddings` with `KMeans(n_clusters={k})`, all defaults, {dim} numbers each; "
        "peak: resident memory of the whole process, libraries and ids included. 'file': the "
        "vectors are mapped read-only from a file, and all that is made of them goes to a mapped "
        f"file as if no memory were free. Growth exponent: {wall:.2f} by the clock, {growth:.2f} by "
        f"CPU.\n\n{table(columns, cells)}"
    )
    peak = found[2]["peak"] / (4 * sizes[-1] * dim)
    own = found[3]["own"] / (4 * sizes[-1] * dim)
    size, settings = f"{sizes[-1]:,} x {dim}", f"k-means, k = {k}"
    return said_of, [
        Verdict(
            settings, size, "-", f"{found[2]['seconds']:.0f} s",
            f"peak memory {peak:.2f} times the vectors, growth exponent {wall:.2f}",
            "finishes, at most 1.5 times",
        ),
        Verdict(
            f"{settings}, from a file", size, "-", f"{found[3]['seconds']:.0f} s",
            f"memory that is no file {own:.2f} times the vectors", "less than the vectors",
        ),
    ]  # fmt: skip


def _memory_cells(n: int, dim: int, found: dict, where: str) -> list[str]:
    vectors = 4 * n * dim
    return [
        f"{n:,} x {dim}", where, f"{found['seconds']:.1f}", f"{found['cpu']:.1f}",
        str(found["iterations"]), f"{found['peak'] / 1e6:,.0f} MB", f"{found['own'] / 1e6:,.0f} MB",
        f"{found['peak'] / vectors:.2f}, {found['own'] / vectors:.2f}",
    ]  # fmt: skip


def _once(n: int, dim: int, k: int, setting: Setting, mapped: str = "") -> dict:
    command = [sys.executable, "-m", "benchmarks.kmeans_once", str(n), str(dim), str(k)]
    threads = {"OMP_NUM_THREADS": str(setting.threads)}
    ran = subprocess.run(
        command + ([mapped] if mapped else []),
        cwd=_ROOT, env=os.environ | threads, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return json.loads(ran.stdout.splitlines()[-1])


def _said_of(setting: Setting) -> str:
    return (
        f"Vectors: {setting.n(_GROUPS, 60):,} groups of gamma(2) distributed sizes; the middles of "
        "groups and the members around them are normal with the spread 0.97^i along the principal "
        "direction i, within groups 0.8 times that between them."
    )

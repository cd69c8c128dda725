"""The FAISS backend beside FiftyOne's built-in one: queries, first answers, near-duplicates."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
from bson import ObjectId
from pymongo import UpdateOne

from benchmarks import datasets
from benchmarks.index import load
from benchmarks.mixture import Mixture
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from benchmarks.timing import Contender, Time, interleaved, median, ratios, said, timed
from uvl_plugin.adapter.similarity_faiss import BACKEND, register
from uvl_plugin.adapter.vectors import stored
from uvl_plugin.clustering import neighbor_cache

_ROOT = Path(__file__).resolve().parents[1]
_DIM, _K = 512, 100
_FIELD = "vector"
_BACKENDS = {"FiftyOne": "sklearn", "ours": BACKEND}
_ASKED = 10  # queries of a turn
_COLD_ROUNDS = 3  # their first answer takes half a minute
_COPIES = 10  # every tenth vector is a near-duplicate of another
_ASIDE = 0.03  # how far, of the spread of all
_THRESHOLD = 0.005  # cosine
_MEASURABLE = 0.1  # seconds of the processor: the system counts hundredths
_TARGETS = {
    "by id, index part": "10 times",
    "by vector, index part": "10 times",
    "by id": "not slower",
    "by vector": "not slower",
}
_COLUMNS = ("work", "FiftyOne, ms", "ours, ms", "times as long as ours", "by CPU")


def similarity(setting: Setting) -> Section:
    """100,000 samples without media; the same field of vectors for both."""
    register()
    n = setting.n(100_000, 2000)
    mixture = Mixture(_DIM)
    dataset = _dataset(mixture.vectors(n))
    try:
        made = {name: timed(partial(_indexed, dataset, name)) for name in reversed(_BACKENDS)}
        ids = dataset.values("id")[:: max(1, n // 997)]
        warm = _warm(dataset, ids, mixture.vectors(100, 7), setting)
        cold = interleaved(
            {name: partial(_cold, dataset, name, ids[1]) for name in _BACKENDS},
            min(setting.rounds, _COLD_ROUNDS),
        )
        first = _first(dataset, ids[2], setting)
    finally:
        dataset.delete()
    rows = [_row(f"{work}, warm", times, _ASKED) for work, times in warm.items()]
    rows += [_row("by id, index not loaded", cold), _row("by id, new process", first)]
    rows += [_row("compute_similarity", {name: [time] for name, time in made.items()})]
    verdicts = [
        _verdict(f"top {_K} {work}, warm", n, times, _TARGETS[work], _ASKED)
        for work, times in warm.items()
    ]
    verdicts += [
        _verdict(f"top {_K} by id, index not loaded", n, cold, "-"),
        _verdict(f"top {_K} by id, new process", n, first, "20 times"),
    ]
    duplicates, more = _duplicates(setting)
    return Section(
        "the FAISS backend beside the built-in one",
        [*verdicts, *more],
        f"{_ABOUT} {load()}\n\n{table(_COLUMNS, rows)}\n\n{duplicates}",
    )


_ABOUT = (
    "Vectors of the section index (mixture, 512 numbers), read from a field by both. 'index part': "
    "the call of the index that `sort_by_similarity` makes; the others: "
    f'`dataset.sort_by_similarity(query, k={_K}, brain_key=...).values("id")`; a turn is '
    f"{_ASKED} queries, the time that of one. 'not loaded': after `dataset.clear_cache()`, as the "
    "App's operators ask. 'new process': from `load_brain_results` to the ids, FiftyOne imported "
    "and the dataset loaded before, processes in turn."
)


def _dataset(vectors: np.ndarray) -> fo.Dataset:
    """Samples with these vectors, written past FiftyOne."""
    dataset = datasets.synthetic(["nothing.jpg"] * len(vectors), persistent=True)
    dataset.add_sample_field(_FIELD, fo.VectorField)
    ids, collection = dataset.values("id"), dataset._sample_collection
    for start in range(0, len(ids), 2000):
        some = zip(ids[start : start + 2000], vectors[start : start + 2000], strict=True)
        collection.bulk_write(
            [UpdateOne({"_id": ObjectId(i)}, {"$set": {_FIELD: stored(v)}}) for i, v in some]
        )
    dataset.reload()
    return dataset


def _indexed(dataset: fo.Dataset, name: str) -> Any:
    return fob.compute_similarity(
        dataset, embeddings=_FIELD, brain_key=_key(name), backend=_BACKENDS[name]
    )


def _key(name: str) -> str:
    return name.lower()


def _warm(
    dataset: fo.Dataset, ids: list[str], vectors: np.ndarray, setting: Setting
) -> dict[str, dict[str, list[Time]]]:
    found = {}
    for work in _TARGETS:
        queries: Any = vectors if "vector" in work else ids
        ask = _part if "index part" in work else _ids
        contenders = {name: partial(_turn, ask, dataset, name, queries) for name in _BACKENDS}
        interleaved(contenders, 1)
        found[work] = interleaved(contenders, setting.rounds)
    return found


@contextlib.contextmanager
def _turn(ask: Callable, dataset: fo.Dataset, name: str, queries: Any) -> Iterator:
    """Other queries than in the turn before."""
    some = np.random.default_rng().choice(len(queries), _ASKED, replace=False)

    def work() -> None:
        for number in some:
            if len(ask(dataset, name, queries[number])) != _K:
                raise RuntimeError(f"{name} did not find {_K}")

    yield work


def _part(dataset: fo.Dataset, name: str, query: Any) -> list[str]:
    index = dataset.load_brain_results(_key(name))
    wanted = [query] if isinstance(query, str) else query[None]
    return index._kneighbors(query=wanted, k=_K, aggregation="mean")[0]


def _ids(dataset: fo.Dataset, name: str, query: Any) -> list[str]:
    return dataset.sort_by_similarity(query, k=_K, brain_key=_key(name)).values("id")


@contextlib.contextmanager
def _cold(dataset: fo.Dataset, name: str, query: str) -> Iterator:
    dataset.clear_cache()
    yield lambda: _ids(dataset, name, query)


def _first(dataset: fo.Dataset, query: str, setting: Setting) -> dict[str, list[Time]]:
    found: dict[str, list[Time]] = {name: [] for name in _BACKENDS}
    for _ in range(min(setting.rounds, _COLD_ROUNDS)):
        for name, times in found.items():
            command = [sys.executable, "-m", "benchmarks.index_once", "first"]
            ran = subprocess.run(
                [*command, dataset.name, _key(name), query],
                cwd=_ROOT, env=os.environ | {"OMP_NUM_THREADS": str(setting.threads)},
                check=True, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            one = json.loads(ran.stdout.splitlines()[-1])
            times.append(Time(one["seconds"], one["cpu"]))
    return found


def _duplicates(setting: Setting) -> tuple[str, list[Verdict]]:
    n, many = setting.n(20_000, 1000), setting.n(200_000, 3000)
    counts: dict[str, int] = {}
    dataset = _dataset(_with_copies(n))
    try:
        indexes = {name: _indexed(dataset, name) for name in _BACKENDS}
        contenders: dict[str, Contender] = {
            name: partial(_found, each, name, counts) for name, each in indexes.items()
        }
        times = interleaved(contenders, min(setting.rounds, _COLD_ROUNDS))
    finally:
        dataset.delete()
    large = _dataset(_with_copies(many))
    try:
        with _found(_indexed(large, "ours"), "many", counts) as work:
            alone = timed(work)
    finally:
        large.delete()
    text = (
        f"Near-duplicates: `index.find_duplicates(thresh={_THRESHOLD})`, every {_COPIES}th vector is "
        f"another one with noise of {_ASIDE} of the spread. Found among {n:,}: FiftyOne "
        f"{counts['FiftyOne']:,}, ours {counts['ours']:,}, planted {n // _COPIES:,}; among "
        f"{many:,}: {counts['many']:,} of {many // _COPIES:,} in {alone.wall:.0f} s, "
        f"{alone.cpu:.0f} CPU s. No neighbour graph was on disk.\n\n"
        + table(_COLUMNS, [_row(f"near-duplicates, {n:,}", times)])
    )
    return text, [
        _verdict("near-duplicates", n, times, "10 times"),
        Verdict(
            "near-duplicates", f"{many:,} x {_DIM}", "-", f"{alone.wall:.1f} s",
            f"{counts['many']:,} of {many // _COPIES:,} planted", "finishes",
        ),
    ]  # fmt: skip


def _with_copies(n: int) -> np.ndarray:
    vectors = Mixture(_DIM).vectors(n)
    random = np.random.default_rng(3)
    copies = np.arange(_COPIES - 1, n, _COPIES)
    originals = copies - random.integers(1, _COPIES, len(copies))
    noise = random.standard_normal((len(copies), _DIM), np.float32)
    vectors[copies] = vectors[originals] + _ASIDE * noise
    return vectors


@contextlib.contextmanager
def _found(index: Any, name: str, counts: dict[str, int]) -> Iterator:
    shutil.rmtree(neighbor_cache.folder(), ignore_errors=True)
    yield lambda: index.find_duplicates(thresh=_THRESHOLD)
    counts[name] = len(index.duplicate_ids)


def _row(work: str, times: dict[str, list[Time]], queries: int = 1) -> list[str]:
    theirs, ours = (times[name] for name in _BACKENDS)
    measurable = min(time.cpu for time in ours) >= _MEASURABLE
    return [
        work, *(f"{1e3 * median(each) / queries:,.1f}" for each in (theirs, ours)),
        said(ratios(theirs, ours)), said(ratios(theirs, ours, "cpu")) if measurable else "-",
    ]  # fmt: skip


def _verdict(
    work: str, n: int, times: dict[str, list[Time]], target: str, queries: int = 1
) -> Verdict:
    theirs, ours = (times[name] for name in _BACKENDS)
    return Verdict(
        work, f"{n:,} x {_DIM}", f"{1e3 * median(theirs) / queries:,.1f} ms",
        f"{1e3 * median(ours) / queries:,.1f} ms", f"{said(ratios(theirs, ours))} times", target,
    )  # fmt: skip

"""Writing vectors: ours, FiftyOne's ways, and ready-made blobs straight to the database."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId
from fiftyone.core.collections import SaveContext
from pymongo import UpdateOne

from benchmarks import datasets
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from benchmarks.timing import Contender, Time, interleaved, median, ratios, said
from uvl_plugin.adapter.images import Images
from uvl_plugin.adapter.vectors import VectorWriter, stored

_DIM = 512
_CHUNK = 1000  # vectors that the engine gives at once
_OPERATIONS = 2000
_OURS, _RAW = "ours, float32", "raw bulk_write of ready-made blobs, the floor"
_DOUBLE, _SINGLE = "set_values, float64", "set_values, float32"
_SAVED = "sample by sample as compute_embeddings saves, float64"
_COLUMNS = ("contender", "vectors", "seconds", "vectors/s", "times as long as ours")

Vectors = dict[str, np.ndarray]


def writes(setting: Setting) -> Section:
    """Synthetic samples, random vectors; each turn writes a new field."""
    n, rounds = setting.n(20_000, 500), setting.rounds
    everyone = (_DOUBLE, _OURS, _RAW, _SINGLE, _SAVED)
    _times(100, 1, everyone)  # first calls are slow
    some = _times(n, rounds, everyone)
    n_all = setting.n(100_000, 1000)
    once = _times(n_all, 1, (_DOUBLE, _OURS, _RAW))
    verdicts = [*_verdicts(n, some), *_verdicts(n_all, once)]
    body = (
        "FiftyOne's `compute_embeddings` passes float64 wherever it takes the vectors from a "
        "layer, as most models of its zoo do, and saves sample by sample; the vectors are "
        f"{_DIM} random numbers.\n\n{table(_COLUMNS, [*_rows(n, some), *_rows(n_all, once)])}"
    )
    return Section(f"writing vectors of {_DIM} numbers", verdicts, body)


def _times(n: int, rounds: int, names: tuple[str, ...]) -> dict[str, list[Time]]:
    dataset = datasets.synthetic(["nothing.jpg"] * n)
    rows = np.random.default_rng(0).standard_normal((n, _DIM), dtype=np.float32)
    vectors = dict(zip(dataset.values("id"), rows, strict=True))
    doubles = {key: row.astype(np.float64) for key, row in vectors.items()}
    blobs = {ObjectId(key): stored(row) for key, row in vectors.items()}
    works: dict[str, Callable[[str], object]] = {
        _DOUBLE: lambda field: dataset.set_values(field, doubles, key_field="id"),
        _SINGLE: lambda field: dataset.set_values(field, vectors, key_field="id"),
        _SAVED: lambda field: _save(dataset, field, doubles),
        _OURS: lambda field: _write(dataset, field, vectors),
        _RAW: lambda field: _write_raw(dataset, field, blobs),
    }
    try:
        return interleaved({name: _on_new_field(dataset, works[name]) for name in names}, rounds)
    finally:
        dataset.delete()


def _on_new_field(dataset: fo.Dataset, work: Callable[[str], object]) -> Contender:
    @contextlib.contextmanager
    def contender() -> Iterator[Callable[[], object]]:
        dataset.add_sample_field("vector", fo.VectorField)
        try:
            yield lambda: work("vector")
            found = dataset._sample_collection.count_documents({"vector": {"$type": "binData"}})
            if found != len(dataset):
                raise RuntimeError(f"{found} of {len(dataset)} vectors were written")
        finally:
            dataset.delete_sample_field("vector")

    return contender


def _write(dataset: fo.Dataset, field: str, vectors: Vectors) -> None:
    items = list(vectors.items())
    with VectorWriter(Images(dataset, field)) as writer:
        for start in range(0, len(items), _CHUNK):
            writer.add(dict(items[start : start + _CHUNK]))


def _save(dataset: fo.Dataset, field: str, vectors: Vectors) -> None:
    with SaveContext(dataset, async_writes=True) as context:
        for sample in dataset.select_fields(field):
            sample[field] = vectors[sample.id]
            context.save(sample)


def _write_raw(dataset: fo.Dataset, field: str, blobs: dict[ObjectId, bytes]) -> None:
    operations = [UpdateOne({"_id": key}, {"$set": {field: blob}}) for key, blob in blobs.items()]
    collection: Any = dataset._sample_collection
    for start in range(0, len(operations), _OPERATIONS):
        collection.bulk_write(operations[start : start + _OPERATIONS], ordered=False)


def _verdicts(n: int, times: dict[str, list[Time]]) -> list[Verdict]:
    ours, work = median(times[_OURS]), f"writing {n:,} vectors"
    raw = [1 / ratio for ratio in ratios(times[_OURS], times[_RAW])]
    return [
        Verdict(
            work, f"{n:,}", f"{median(times[_DOUBLE]):.2f} s", f"{ours:.2f} s",
            f"{said(ratios(times[_DOUBLE], times[_OURS]))} times", "4 times",
        ),
        Verdict(
            f"{work}, floor", f"{n:,}", f"({median(times[_RAW]):.2f} s)", f"{ours:.2f} s",
            f"{said(raw)} of the speed of raw bulk writes", "0.5",
        ),
    ]  # fmt: skip


def _rows(n: int, times: dict[str, list[Time]]) -> list[list[str]]:
    return [
        [
            name, f"{n:,}", f"{median(found):.2f}", f"{n / median(found):,.0f}",
            said(ratios(found, times[_OURS])),
        ]
        for name, found in times.items()
    ]  # fmt: skip

"""FiftyOne datasets for one turn, or without any files."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import fiftyone as fo
import numpy as np
from bson import ObjectId

if TYPE_CHECKING:
    from benchmarks.timing import Contender

_INSERTED_AT_ONCE = 10_000


def on_new_dataset(
    paths: Sequence[str],
    work: Callable[[fo.Dataset], object],
    *,
    boxes: int = 0,
    field: str = "vector",
) -> "Contender":
    """A contender that embeds a dataset made for it, and must give every item a vector.

    Args:
        paths: file of each sample.
        work: gets the dataset and fills ``field``.
        boxes: detections of each sample, in the field ``boxes``; 0 for none.
        field: where the vectors must be.
    """

    @contextlib.contextmanager
    def contender() -> Iterator[Callable[[], object]]:
        dataset = of_files(paths, boxes)
        try:
            yield lambda: work(dataset)
            dataset.reload()
            expected = len(paths) * max(1, boxes)
            found = sum(vector is not None for vector in dataset.values(field, unwind=True))
            if found != expected:
                raise RuntimeError(f"{found} of {expected} vectors were written")
        finally:
            dataset.delete()

    return contender


def of_files(paths: Sequence[str], boxes: int = 0) -> fo.Dataset:
    """A sample for each path; each with random detections where ``boxes`` is not 0."""
    rng = np.random.default_rng(0)
    samples = [fo.Sample(filepath=path) for path in paths]
    for sample in samples if boxes else ():
        sample["boxes"] = fo.Detections(detections=[_detection(rng) for _ in range(boxes)])
    dataset = fo.Dataset()
    dataset.add_samples(samples, progress=False)
    return dataset


def synthetic(paths: Sequence[str], *, persistent: bool = False) -> fo.Dataset:
    """As :func:`of_files`, many times as fast: copies of one document, past FiftyOne."""
    dataset = of_files(paths[:1])
    dataset.persistent = persistent
    pattern = dataset._sample_collection.find_one()
    for start in range(1, len(paths), _INSERTED_AT_ONCE):
        some = paths[start : start + _INSERTED_AT_ONCE]
        documents = [
            {**copy.deepcopy(pattern), "_id": ObjectId(), "filepath": path} for path in some
        ]
        dataset._sample_collection.insert_many(documents)
    return dataset


def _detection(rng: np.random.Generator) -> fo.Detection:
    """A box of 5 to 25 % of the sides."""
    sides = rng.uniform(0.05, 0.25, 2)
    corner = rng.uniform(0, 1 - sides)
    return fo.Detection(label="thing", bounding_box=[*map(float, corner), *map(float, sides)])

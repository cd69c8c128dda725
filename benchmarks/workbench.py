"""The cluster workbench: opening the cards of a run, and each edit, at many samples and clusters."""

import random
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any

import fiftyone as fo
import numpy as np
from PIL import Image

import uvl_plugin as uvl
from benchmarks import datasets
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from benchmarks.timing import Time, median, timed
from uvl_plugin.adapter.cards import cards, thumbnails
from uvl_plugin.adapter.fields import add_field
from uvl_plugin.adapter.images import Images
from uvl_plugin.adapter.thumbnails import forget
from uvl_plugin.adapter.vectors import VectorWriter

_KEY, _DIM = "look", 64
_FILES, _CARDS = 144, 24  # small pictures; cards that a page of the panel shows
_MOVED = 20
_OPENING, _EDIT = 2.0, 1.0  # seconds that are allowed

Step = tuple[str, Callable[[], object]]


def workbench(setting: Setting) -> Section:
    """Random groups of vectors; each edit opens the run first, as a click in the panel does."""
    n, k = setting.n(100_000, 300), setting.n(1000, 6)
    dataset = _clustered(setting, n, k)
    try:
        steps = list(_steps(dataset))
        times: dict[str, list[Time]] = {name: [] for name, _ in steps}
        for _ in range(setting.rounds):
            for name, work in steps:
                times[name].append(timed(work))
    finally:
        dataset.delete()
    body = (
        f"{n:,} samples with vectors of {_DIM} numbers in {k:,} clusters. Opening is the cards and "
        f"the thumbnails of the first {_CARDS}; an edit is opening the run, the edit, writing "
        "record and fields, and the cards after it.\n\n"
        + table(
            ("step", "seconds", "CPU, without the database"),
            [[name, f"{median(t):.2f}", f"{median(t, 'cpu'):.2f}"] for name, t in times.items()],
        )
    )
    return Section("the cluster workbench", _verdicts(n, times), body)


def _clustered(setting: Setting, n: int, k: int) -> fo.Dataset:
    rng = np.random.default_rng(0)
    files = []
    for number in range(_FILES):
        files.append(str(setting.folder / f"{number}.jpg"))
        Image.fromarray(rng.integers(0, 255, (240, 320, 3), np.uint8)).save(files[-1])
    dataset = datasets.synthetic(list(islice(cycle(files), n)))
    centres = rng.standard_normal((k, _DIM), dtype=np.float32)
    noise = 0.6 * rng.standard_normal((n, _DIM), dtype=np.float32)
    vectors = centres[rng.integers(0, k, n)] + noise
    add_field(dataset, "vector", fo.VectorField)
    with VectorWriter(Images(dataset, "vector")) as writer:
        for key, vector in zip(dataset.values("id"), vectors, strict=True):
            writer.add({key: vector})
    uvl.cluster(dataset, uvl.KMeans(n_clusters=k, seed=0), embeddings="vector", run_key=_KEY)
    return dataset


def _steps(dataset: fo.Dataset) -> Iterator[Step]:
    """One round leaves the clusters as they were."""
    first = uvl.clusters(dataset, _KEY)
    names = first.names
    some = random.Random(0).sample(first.members(names[0]) + first.members(names[1]), _MOVED)

    def edit(verb: str, *given: Any) -> Callable[[], object]:
        def work() -> object:
            getattr(uvl.clusters(dataset, _KEY), verb)(*given)
            return cards(dataset, _KEY)

        return work

    yield "open", lambda: _opened(dataset)
    yield "rename", edit("rename", names[0], "renamed")
    yield "merge two", edit("merge", names[1], names[2])
    yield "split one", edit("split", names[3], 2)
    yield f"move {_MOVED} items", edit("move", some, names[4])
    yield "dissolve", edit("dissolve", names[5])
    yield "undo", edit("undo")
    yield "redo", edit("redo")
    for _ in range(5):
        yield "undo", edit("undo")


def _opened(dataset: fo.Dataset) -> None:
    forget()
    found = cards(dataset, _KEY)
    ids = [key for card in found.cards[:_CARDS] for key in card.exemplars]
    if set(thumbnails(dataset, _KEY, ids)) != set(ids):
        raise RuntimeError("thumbnails are missing")


def _verdicts(n: int, times: dict[str, list[Time]]) -> list[Verdict]:
    slowest = max((name for name in times if name != "open"), key=lambda name: median(times[name]))
    rows = [("opening the panel", "open", _OPENING), ("slowest edit", slowest, _EDIT)]
    return [
        Verdict(
            f"{work}: {name}", f"{n:,}", "none", f"{median(times[name]):.2f} s",
            f"{median(times[name]):.2f} s", f"{most:.0f} s",
        )
        for work, name, most in rows
    ]  # fmt: skip

"""Vectors of whole videos and clips: the record of how they were made, and their field."""

import contextlib
import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np
from fiftyone.core.collections import SampleCollection
from fiftyone.core.runs import RunConfig, RunResults

from uvl_plugin.adapter.fields import add_field
from uvl_plugin.adapter.frame_paths import paths_of_clips, paths_of_videos
from uvl_plugin.adapter.frames import Frames
from uvl_plugin.adapter.images import Videos
from uvl_plugin.adapter.parts import Clips
from uvl_plugin.adapter.runs import (
    FieldRun,
    drop_field,
    embedding_run_key,
    origin_of,
    packed,
    unpacked,
)
from uvl_plugin.adapter.target import frames_of_videos
from uvl_plugin.adapter.vectors import check_any_vector, check_kind, check_name
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.packages import versions
from uvl_plugin.pooling.base import FramePath, Pooler, Pooling, poolings


class PoolingRunConfig(RunConfig):
    """Record of :func:`uvl_plugin.pool`.

    Attributes:
        method: ``"uvl/"`` and the name of the pooling.
        field: the vector field.
        pooling, settings: how frames became one vector.
        embeddings: the vector field of the frames.
        patches_field: field of the clips, where the items are clips.
        dim: their length.
        unit, n_pooled, n_present, n_missing: of the last call.
        seconds: time by stage.
        versions: of the packages.
    """


class PoolingRun(FieldRun):
    """Vectors of videos or clips in a field."""


class PoolingRunResults(RunResults):
    """What a pooling learnt, so that new videos get vectors in the same space.

    Attributes:
        arrays: see :class:`uvl_plugin.pooling.base.Pooler`.
    """

    def __init__(
        self,
        samples: Any,
        config: Any,
        key: str,
        arrays: Mapping[str, np.ndarray],
        backend: Any = None,
    ):
        super().__init__(samples, config, key, backend=backend)
        self.arrays = dict(arrays)

    def serialize(self, reflective: bool = False) -> dict:
        return {"cls": self.cls, "arrays": {name: packed(a) for name, a in self.arrays.items()}}

    @classmethod
    def _from_dict(cls, d: dict, samples: Any, config: Any, key: str) -> "PoolingRunResults":
        return cls(samples, config, key, {name: unpacked(a) for name, a in d["arrays"].items()})


@dataclass(frozen=True)
class Sequences:
    """Whole videos or clips, and the frames that they are made of.

    Attributes:
        frames: with the name of their vector field.
        items: the videos or clips, and where their vectors go.
    """

    frames: Frames
    items: Videos | Clips

    @classmethod
    def of(
        cls, samples: SampleCollection, embeddings: str, field: str, patches_field: str | None
    ) -> "Sequences":
        """Raises :class:`DataError` if there are no videos, clips or vectors of frames."""
        frames = frames_of_videos(samples, embeddings)
        check_any_vector(frames)
        items = (
            Videos(samples, field)
            if patches_field is None
            else Clips(samples, field, patches_field)
        )
        return cls(frames, items)

    def paths(self, only: Collection[str] | None = None) -> Iterator[FramePath]:
        """The frame vectors of each item, or of ``only`` some, that has any, one item in memory at
        a time."""
        if isinstance(self.items, Clips):
            return paths_of_clips(self.frames, self.items, only)
        return paths_of_videos(self.frames, only)


def check_may_pool(
    sequences: Sequences, pooling: Pooling, *, overwrite: bool
) -> PoolingRunResults | None:
    """Checks, before any work, that vectors may go into the field; gives what made those there.

    Raises:
        DataError: if the field holds something else, and, unless ``overwrite``, if its vectors
            were made in another way.
    """
    dataset, path = sequences.items.dataset, sequences.items.path
    check_name(sequences.items.field)
    if dataset.get_field(path) is None:
        return None
    check_kind(dataset, path)
    made = earlier(dataset, path)
    if overwrite:
        return made
    if made is None:
        raise DataError(
            f"'{path}' holds vectors that were not pooled from frames; choose another field, or "
            "pass overwrite=True to replace them.",
            "field",
        )
    if pooling_of(made.config) != pooling or made.config.embeddings != sequences.frames.path:
        raise DataError(
            f"'{path}' holds vectors made by {pooling_of(made.config)!r} of "
            f"'{made.config.embeddings}'; choose another field, or pass overwrite=True to replace "
            "them.",
            "field",
        )
    return made


@contextlib.contextmanager
def opened(
    sequences: Sequences, pooling: Pooling, pooler: Pooler, *, overwrite: bool
) -> Iterator[None]:
    """Makes the field where it is missing; ``overwrite`` replaces it, with its run. If the block
    fails before the field has a record, a field that was made here is removed again."""
    items = sequences.items
    if overwrite:
        drop_field(items.dataset, items.path)
    made = items.dataset.get_field(items.path) is None
    if made:
        origin = {
            "run_key": embedding_run_key(items.path),
            "space": _space(sequences, pooling, pooler),
        }
        add_field(items.dataset, items.path, fo.VectorField, info={"uvl": origin})
    try:
        yield
    except BaseException:
        if made:
            drop_field(items.dataset, items.path)
        raise


def record(sequences: Sequences, pooling: Pooling, pooler: Pooler, outcome: dict[str, Any]) -> None:
    """Writes the record of a pooling, in place of that of an earlier call."""
    items = sequences.items
    config = PoolingRunConfig(
        **outcome,
        method=f"uvl/{pooling.name}",
        pooling=pooling.name,
        settings=pooling.to_dict(),
        embeddings=sequences.frames.path,
        patches_field=items.patches_field if isinstance(items, Clips) else None,
        versions=versions(),
    )
    key = embedding_run_key(items.path)
    items.samples.register_run(key, config, overwrite=True, cleanup=False)
    results = PoolingRunResults(items.samples, config, key, pooler.arrays)
    items.dataset.save_run_results(key, results)


def pooling_of(config: PoolingRunConfig) -> Pooling:
    """The pooling that a record names, with its settings."""
    return poolings[config.pooling].from_dict(config.settings)


def _space(sequences: Sequences, pooling: Pooling, pooler: Pooler) -> str:
    """Names what made the vectors: the pooling, what it learnt, and the space of the frames."""
    digest = hashlib.sha256()
    for name in sorted(pooler.arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(pooler.arrays[name]).tobytes())
    frames = sequences.frames
    of_frames = origin_of(frames.dataset, frames.path).get("space") or frames.path
    return f"{pooling.name}:{digest.hexdigest()[:12]}({of_frames})"


def earlier(dataset: fo.Dataset, path: str) -> PoolingRunResults | None:
    """What made the vectors in a field, where a pooling did."""
    key = origin_of(dataset, path).get("run_key")
    if key is None or not dataset.has_run(key):
        return None
    if not isinstance(dataset.get_run_info(key).config, PoolingRunConfig):
        return None
    return dataset.load_run_results(key, cache=False, load_view=False)

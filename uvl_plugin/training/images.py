"""The images that a network is trained on: read once where they fit in memory, else in each epoch."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Pace, Progress, silent
from uvl_plugin.engine.pipeline import Chunk, Plan, embed_sources
from uvl_plugin.engine.threads import library_threads
from uvl_plugin.media.sources import Reader, Source

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

_PAGE = 256  # images that are read at a time


class _PartOf:
    """Some of the items of a source."""

    def __init__(self, source: Source, keys: Sequence[str]):
        self._source = source
        self.path = source.path
        self.keys = keys

    def read(self, reader: Reader) -> Iterator[tuple[str, Any]]:
        for key, pixels in self._source.read(reader):
            if key in self.keys:
                yield key, pixels


class TrainingImages:
    """Images by id, as whole numbers.

    Args:
        sources: where they come from.
        preprocess: what is made of each; ``preprocess.size`` is the side of them all.
        memory: bytes in which they may be kept.
        threads: of the processor, that read.
        progress: of reading them, where they are kept.

    Attributes:
        ids: of the images that could be read; where they are not kept, of all.
        failures: file and reason by the id of each image that could not be read.
        channels: 1 where all are kept and colourless, else 3.

    Raises:
        DataError: if not one could be read.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        preprocess: Preprocess,
        *,
        memory: int,
        threads: int,
        progress: Progress = silent,
    ):
        self._source_of = {key: source for source in sources for key in source.keys}
        self._preprocess = preprocess
        self._threads = threads
        self.ids = list(self._source_of)
        self.failures: dict[str, str] = {}
        self.channels = 3
        self._row_of: dict[str, int] = {}
        self._kept = np.empty((0, 3, preprocess.size, preprocess.size), np.uint8)
        self._fits = len(self.ids) * 3 * preprocess.size**2 <= memory
        if self._fits:
            self._keep(sources, progress)

    def batches(
        self, batches: Sequence[Sequence[str]]
    ) -> "Iterator[tuple[list[str], torch.Tensor]]":
        """The images of each batch of ids: the ids, and uint8 ``(n, channels, side, side)``.

        Where an image cannot be read, its place is taken by another of the same batch: all
        processes that train together need batches of the same size.

        Raises:
            DataError: if none of a batch could be read.
        """
        import torch

        for ids, pixels in (
            self._kept_batches(batches) if self._fits else self._read_batches(batches)
        ):
            yield ids, torch.from_numpy(pixels)

    @property
    def kept(self) -> bool:
        """Whether they are kept in memory."""
        return self._fits

    def leave_out(self, ids: Collection[str]) -> None:
        """Forgets some images."""
        self.ids = [key for key in self.ids if key not in ids]

    def _kept_batches(
        self, batches: Sequence[Sequence[str]]
    ) -> Iterator[tuple[list[str], np.ndarray]]:
        for ids in batches:
            yield list(ids), self._kept[[self._row_of[key] for key in ids]]

    def _read_batches(
        self, batches: Sequence[Sequence[str]]
    ) -> Iterator[tuple[list[str], np.ndarray]]:
        wanted = (_PartOf(self._source_of[key], (key,)) for ids in batches for key in ids)
        chunks = self._read(wanted, max(map(len, batches), default=1))
        for ids, chunk in zip(batches, chunks, strict=True):
            self.failures |= chunk.failures
            if not chunk.vectors:
                raise DataError(
                    f"None of the {len(ids)} images of a batch could be read; the first: "
                    f"{next(iter(chunk.failures.values()))}."
                )
            found = list(chunk.vectors)
            filled = [*found, *(found[i % len(found)] for i in range(len(ids) - len(found)))]
            pixels = np.stack([chunk.vectors[key] for key in filled])
            yield filled, np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))

    def _read(self, sources: Iterable[Source], batch_size: int) -> Iterator[Chunk]:
        side = self._preprocess.size
        plan = Plan(
            networks=[np.copy],  # the buffer is used again
            buffer=lambda n: np.empty((n, side, side, 3), np.uint8),
            prepare=self._preprocess,
            batch_size=batch_size,
            threads=self._threads,
        )
        with closing(embed_sources(sources, plan)) as chunks:
            yield from chunks

    def _keep(self, sources: Sequence[Source], progress: Progress) -> None:
        n, side = len(self.ids), self._preprocess.size
        kept, pace = np.empty((n, side, side, 3), np.uint8), Pace(n)
        with library_threads(1):
            for chunk in self._read(sources, _PAGE):
                for key, pixels in chunk.vectors.items():
                    kept[len(self._row_of)] = pixels
                    self._row_of[key] = len(self._row_of)
                self.failures |= chunk.failures
                done = len(self._row_of) + len(self.failures)
                progress(done / n, f"read {pace.said(done)}")
        if not self._row_of:
            raise DataError(
                f"None of the {n} images could be read; the first: "
                f"{next(iter(self.failures.values()), 'there are none')}."
            )
        self.ids = list(self._row_of)
        kept = kept[: len(self.ids)]
        if (kept == kept[..., :1]).all():
            kept, self.channels = kept[..., :1], 1
        self._kept = np.ascontiguousarray(kept.transpose(0, 3, 1, 2))


def drawn(sources: Sequence[Source], n: int, seed: int) -> list[Source]:
    """At most ``n`` items, drawn by id."""
    keys = sorted(key for source in sources for key in source.keys)
    wanted = set(np.random.default_rng(seed).permutation(keys)[:n].tolist())
    parts = ((source, [key for key in source.keys if key in wanted]) for source in sources)
    return [_PartOf(source, keys) for source, keys in parts if keys]


def ahead(items: Iterable[T], n: int = 2) -> Iterator[T]:
    """The same items, of which up to ``n`` are made by another thread before they are asked for."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1, thread_name_prefix="uvl-ahead") as thread:
        made = deque(thread.submit(next, iterator, end) for _ in range(n))
        while (item := made.popleft().result()) is not end:
            made.append(thread.submit(next, iterator, end))
            yield cast("T", item)

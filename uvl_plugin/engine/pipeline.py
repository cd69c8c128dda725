"""Sources to vectors: decoding and the network side by side, a few batches in memory at a time.

On a processor every thread does whatever is most urgent: a batch that is complete goes through
the network (one thread a batch), else the next file is decoded. So all cores are busy whether
decoding or the network is the slower part, and no more threads run than were asked for. On a
GPU, threads that only feed it take the batches, and the others decode.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from uvl_plugin.core.errors import DataError
from uvl_plugin.media.images import read_image
from uvl_plugin.media.sources import Reader, Source

Forward = Callable[[Any], np.ndarray]
_FEEDERS = 2  # threads for one GPU: one copies while the other computes
_BATCHES_AHEAD = 2  # complete batches that wait for each thread of the network


@dataclass
class Chunk:
    """One batch of results.

    Attributes:
        vectors: vector of shape ``(dim,)``, float32, by item id.
        failures: file and reason by the id of each item that has no vector.
    """

    vectors: dict[str, np.ndarray] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.vectors) + len(self.failures)


@dataclass(frozen=True)
class Plan:
    """Who does what.

    Attributes:
        networks: takes the images of a batch and gives their vectors; one for each device.
        buffer: makes room for the images of a batch.
        prepare: what was read to an image for the buffer.
        batch_size: images in a batch.
        threads: of the processor, at least 1.
        reader: see :meth:`~uvl_plugin.media.sources.Source.read`.
        sharing: whether each thread may use the network by itself, as on a processor; else a
            network is fed by threads of its own.
    """

    networks: list[Forward]
    buffer: Callable[[int], Any]
    prepare: Callable[[Any], Any]
    batch_size: int
    threads: int = 1
    reader: Reader = read_image
    sharing: bool = True

    def roles(self) -> list[tuple[bool, Forward | None]]:
        """For each thread, whether it decodes, and the network that it may use."""
        if self.sharing:
            return [(True, self.networks[0])] * self.threads
        feeders = [(False, network) for network in self.networks for _ in range(_FEEDERS)]
        return [*feeders, *[(True, None)] * max(1, self.threads - len(self.networks))]


def embed_sources(sources: Iterable[Source], plan: Plan) -> Generator[Chunk, None, None]:
    """Embeds the items of ``sources``.

    Args:
        sources: read as far as needed.
        plan: who does what.

    Yields:
        Results of ``plan.batch_size`` items, in the order of ``sources``.
    """
    work, roles = _Work(sources, plan), plan.roles()
    with ThreadPoolExecutor(len(roles), thread_name_prefix="uvl-engine") as threads:
        try:
            for decodes, network in roles:
                threads.submit(work.help, decodes, network)
            yield from work.results()
        finally:
            work.stop()


class _Batch:
    """Images on their way: a row of the buffer for each item, in the order of the sources."""

    def __init__(self, images: Any):
        self.images = images
        self.keys: list[str] = []
        self.paths: list[str] = []
        self.failures: dict[str, str] = {}
        self.closed = False  # takes no more items
        self.n_open = 0  # rows that are not filled yet
        self.chunk: Chunk | None = None

    @property
    def complete(self) -> bool:
        return self.closed and not self.n_open


class _Work:
    """What the threads share; everything but decoding and the network happens under one lock."""

    def __init__(self, sources: Iterable[Source], plan: Plan):
        self._sources = iter(sources)
        self._plan = plan
        n_feeding = sum(network is not None for _, network in plan.roles())
        n_batches = n_feeding + _BATCHES_AHEAD * len(plan.networks)
        self._most = plan.batch_size * n_batches + plan.threads
        self._changed = threading.Condition()
        self._taking = threading.Lock()  # sources are asked for by one thread at a time
        self._batches: deque[_Batch] = deque()  # not yielded yet, in order
        self._ready: deque[_Batch] = deque()  # complete, waiting for the network
        self._buffers: list[Any] = []  # to be used again
        self._n_under_way = 0
        self._exhausted = False
        self._stopped = False
        self._error: BaseException | None = None

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def results(self) -> Iterator[Chunk]:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_news)
                if self._error is not None:
                    raise self._error
                if not self._batches:
                    return
                batch = self._batches.popleft()
                self._n_under_way -= len(batch.keys)
                self._buffers.append(batch.images)
                self._changed.notify_all()
            assert batch.chunk is not None
            if len(batch.chunk):
                yield batch.chunk

    def _has_news(self) -> bool:
        if self._error is not None:
            return True
        if self._batches:
            return self._batches[0].chunk is not None
        return self._exhausted

    def help(self, decodes: bool, network: Forward | None) -> None:
        """What a thread does until there is nothing left to do."""
        try:
            while (task := self._next_task(decodes, network)) is not None:
                task()
        except BaseException as error:  # handed to whoever waits for the results
            with self._changed:
                self._error = self._error or error
                self._stopped = True
                self._changed.notify_all()
            raise

    def _next_task(self, decodes: bool, network: Forward | None) -> Callable[[], None] | None:
        with self._changed:
            while not self._stopped:
                if network is not None and self._ready:
                    batch = self._ready.popleft()
                    return lambda: self._embed(batch, network)
                if self._exhausted and not self._waiting_for_network(network):
                    return None
                if decodes and self._has_room():
                    return self._decode_next
                self._changed.wait()
        return None

    def _waiting_for_network(self, network: Forward | None) -> bool:
        return network is not None and any(not batch.complete for batch in self._batches)

    def _has_room(self) -> bool:
        return not self._exhausted and self._n_under_way < self._most

    def _decode_next(self) -> None:
        with self._taking:
            source = None if self._exhausted else next(self._sources, None)
            with self._changed:
                if source is None:
                    self._exhausted = True
                    self._close_last()
                    self._changed.notify_all()
                    return
                places = self._reserve(source)
        self._decode(source, places)

    def _reserve(self, source: Source) -> dict[str, tuple[_Batch, int]]:
        """A row for each item of the source, in the last batch and in new ones."""
        places = {}
        for key in source.keys:
            if not self._batches or self._batches[-1].closed:
                images = self._buffers.pop() if self._buffers else None
                if images is None:
                    images = self._plan.buffer(self._plan.batch_size)
                self._batches.append(_Batch(images))
            batch = self._batches[-1]
            places[key] = (batch, len(batch.keys))
            batch.keys.append(key)
            batch.paths.append(source.path)
            batch.n_open += 1
            self._n_under_way += 1
            if len(batch.keys) == self._plan.batch_size:
                batch.closed = True
        return places

    def _close_last(self) -> None:
        if self._batches and not self._batches[-1].closed:
            self._batches[-1].closed = True
            self._pass_on(self._batches[-1])

    def _decode(self, source: Source, places: dict[str, tuple[_Batch, int]]) -> None:
        reason = "not found in its file"
        try:
            for key, pixels in source.read(self._plan.reader):
                batch, row = places[key]
                if isinstance(pixels, DataError):
                    self._fill(batch, key, str(pixels))
                else:
                    batch.images[row] = self._plan.prepare(pixels)
                    self._fill(batch, key)
                del places[key]
        except DataError as error:
            reason = str(error)
        except MemoryError:
            reason = "not enough memory to decode it"
        for key, (batch, _) in places.items():
            self._fill(batch, key, reason)

    def _fill(self, batch: _Batch, key: str, failure: str | None = None) -> None:
        with self._changed:
            if failure is not None:
                batch.failures[key] = failure
            batch.n_open -= 1
            self._pass_on(batch)

    def _pass_on(self, batch: _Batch) -> None:
        if batch.complete:
            self._ready.append(batch)
            self._changed.notify_all()

    def _embed(self, batch: _Batch, network: Forward) -> None:
        rows = [row for row, key in enumerate(batch.keys) if key not in batch.failures]
        vectors = dict(zip(rows, network(_chosen(batch.images, rows)) if rows else [], strict=True))
        chunk = Chunk()
        for row, key in enumerate(batch.keys):
            if key in batch.failures:
                chunk.failures[key] = f"{batch.paths[row]}: {batch.failures[key]}"
            elif np.isfinite(vectors[row]).all():
                chunk.vectors[key] = vectors[row]
            else:
                chunk.failures[key] = f"{batch.paths[row]}: the network gave NaN or infinity"
        with self._changed:
            batch.chunk = chunk
            self._changed.notify_all()


def _chosen(images: Any, rows: list[int]) -> Any:
    if rows == list(range(len(rows))):
        return images[: len(rows)]
    return images[rows] if isinstance(images, np.ndarray) else [images[row] for row in rows]

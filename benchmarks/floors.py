"""Each half of the work by itself, with all threads: the least that embedding could take."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.timing import Contender
from uvl_plugin.backbones.base import AnyEncoder
from uvl_plugin.engine.memory import Portions, images_at_once
from uvl_plugin.engine.threads import library_threads
from uvl_plugin.media.sources import Reader, Source


def decode_alone(
    sources: Sequence[Source], encoder: AnyEncoder, reader: Reader, threads: int
) -> Contender:
    """Files to images as the network takes them, one file a thread; the images are dropped."""

    def decode(source: Source) -> None:
        for _, pixels in source.read(reader):
            encoder.preprocess(pixels)

    return _in_threads(decode, sources, threads)


def forward_alone(n: int, encoder: AnyEncoder, batch_size: int, threads: int) -> Contender:
    """``n`` images through the network, one batch a thread, in the portions that the engine
    gives it."""
    images = np.random.default_rng(0).integers(0, 256, encoder.buffer(batch_size).shape, np.uint8)
    rows = [min(batch_size, n - start) for start in range(0, n, batch_size)]
    network = Portions(encoder, images_at_once(encoder))

    def forward(n_rows: int) -> None:
        network(images[:n_rows])

    return _in_threads(forward, rows, threads)


def _in_threads(work: Callable, items: Sequence, threads: int) -> Contender:
    def run(pool: ThreadPoolExecutor) -> None:
        for _ in pool.map(work, items):
            pass

    @contextlib.contextmanager
    def contender() -> Iterator[Callable[[], object]]:
        with library_threads(1), ThreadPoolExecutor(threads) as pool:
            yield lambda: run(pool)

    return contender

"""A few numbers about each picture, read by all cores, a few hundred pictures in memory at a time."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

import numpy as np

from uvl_plugin.engine.pipeline import Chunk, Plan, embed_sources
from uvl_plugin.engine.threads import available_threads
from uvl_plugin.media.images import read_image
from uvl_plugin.media.sources import Reader, Source

_AT_ONCE = 32  # pictures in one chunk


def figures_of(
    sources: Iterable[Source],
    measure: Callable[[np.ndarray], np.ndarray],
    dim: int,
    reader: Reader = read_image,
) -> Iterator[Chunk]:
    """Measures the items of ``sources``, in their order; one that cannot be read is among the
    failures of its chunk.

    Args:
        sources: read as far as needed.
        measure: from pixels ``(height, width, 3)``, uint8, to ``dim`` finite numbers; called by
            several threads.
        dim: how many numbers.
        reader: see :meth:`~uvl_plugin.media.sources.Source.read`.
    """
    plan = Plan(
        networks=[np.array],  # a copy: the buffer is filled again
        buffer=lambda n: np.empty((n, dim), np.float32),
        prepare=measure,
        batch_size=_AT_ONCE,
        threads=available_threads(),
        reader=reader,
    )
    with closing(embed_sources(sources, plan)) as chunks:
        yield from chunks

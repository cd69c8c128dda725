"""Image files through an encoder: decoded side by side, one bad file costs only itself."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from uvl_plugin.backbones.base import Encoder
from uvl_plugin.backbones.images import read_image
from uvl_plugin.core.errors import DataError

_DECODERS = 8  # more threads than this do not help one network
_BATCHES_AHEAD = 3


@dataclass
class Chunk:
    """One batch of results.

    Attributes:
        vectors: vector of shape ``(dim,)``, float32, by item id.
        failures: reason by the id of each item that could not be read.
    """

    vectors: dict[str, np.ndarray] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.vectors) + len(self.failures)


def embed_files(
    encoder: Encoder, files: Iterable[tuple[str, str]], *, batch_size: int
) -> Iterator[Chunk]:
    """Embeds image files, a few batches of which are in memory at any time.

    Args:
        encoder: see :class:`~uvl_plugin.backbones.base.Encoder`.
        files: id and path of each item; read as far as needed.
        batch_size: images that the network sees at once, at least 1.

    Yields:
        Results of ``batch_size`` items, in the order of ``files``.
    """
    remaining = iter(files)
    waiting: deque[tuple[str, Future]] = deque()
    with ThreadPoolExecutor(min(_DECODERS, os.cpu_count() or 1)) as decoders:
        try:
            while True:
                room = _BATCHES_AHEAD * batch_size - len(waiting)
                for key, path in islice(remaining, room):
                    waiting.append((key, decoders.submit(_load, encoder, path)))
                if not waiting:
                    return
                batch = [waiting.popleft() for _ in range(min(batch_size, len(waiting)))]
                yield _encode(encoder, batch)
        finally:
            decoders.shutdown(wait=False, cancel_futures=True)


def _load(encoder: Encoder, path: str) -> np.ndarray:
    return encoder.preprocess(read_image(path))


def _encode(encoder: Encoder, batch: list[tuple[str, Future]]) -> Chunk:
    chunk, images = Chunk(), {}
    for key, future in batch:
        try:
            images[key] = future.result()
        except DataError as error:
            chunk.failures[key] = str(error)
    if images:
        vectors = encoder.encode(list(images.values()))
        for key, vector in zip(images, vectors, strict=True):
            if np.isfinite(vector).all():
                chunk.vectors[key] = vector
            else:
                chunk.failures[key] = "the network gave NaN or infinity"
    return chunk

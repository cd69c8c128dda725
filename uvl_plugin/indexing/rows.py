"""Stored vectors as a structure of FAISS takes them, block by block."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from uvl_plugin.indexing.metrics import prepared

_BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Rows:
    """Vectors that lie in a mapped file.

    Attributes:
        vectors: shape ``(n, dim)``, float32 or float16.
        lengths: shape ``(n,)``.
        metric: of :data:`~uvl_plugin.indexing.metrics.METRICS`.
    """

    vectors: np.ndarray
    lengths: np.ndarray
    metric: str

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dim(self) -> int:
        """Length of each vector."""
        return self.vectors.shape[1]

    def blocks(self) -> Iterator[np.ndarray]:
        """Every row in order, prepared, float32."""
        size = max(1, _BLOCK_BYTES // (4 * self.dim))
        for start in range(0, len(self), size):
            yield self.prepared(slice(start, start + size))

    def sample(self, count: int) -> np.ndarray:
        """Row numbers, evenly spaced, at most ``count``."""
        return np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).astype(np.int64))

    def prepared(self, rows: "slice | np.ndarray") -> np.ndarray:
        """Some rows, float32, of length 1 for cosine."""
        return prepared(self.metric, self.vectors[rows], self.lengths[rows])

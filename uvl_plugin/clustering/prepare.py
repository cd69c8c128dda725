"""Preparation of vectors: unit length, then principal components."""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.core.scratch import new_rows

_ROWS = 8192  # rows that are turned into float64 at a time


@dataclass(frozen=True)
class Preparation:
    """What was learnt from the vectors, so that new ones can be prepared alike.

    Attributes:
        normalize: whether vectors are scaled to length 1 first.
        mean: shape ``(dim,)``, float32, or None where no components were computed.
        components: shape ``(kept, dim)``, float32, orthonormal rows; None likewise.
    """

    normalize: bool
    mean: np.ndarray | None = None
    components: np.ndarray | None = None

    def __call__(self, vectors: np.ndarray, order: np.ndarray | None = None) -> np.ndarray:
        """Vectors of shape ``(n, dim)`` to ``(n, kept)``, float32, in the order of the rows named
        by ``order``, or as they are; in a mapped file if memory is short."""
        chosen = np.arange(len(vectors)) if order is None else order
        kept = vectors.shape[1] if self.components is None else len(self.components)
        prepared = new_rows(len(chosen), kept)
        for start in range(0, len(chosen), _ROWS):
            rows = slice(start, start + _ROWS)
            prepared[rows] = self._prepared(vectors[chosen[rows]])
        return prepared

    def _prepared(self, rows: np.ndarray) -> np.ndarray:
        rows = np.asarray(rows, dtype=np.float32)
        if self.normalize:
            rows = unit_length(rows)
        return rows if self.components is None else (rows - self.mean) @ self.components.T


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Scales each row to length 1; zero rows stay zero."""
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)  # float32 may overflow
    lengths = np.maximum(np.sqrt(squares), np.finfo(np.float32).tiny)
    return vectors / lengths.astype(np.float32)[:, None]


def fit_preparation(
    vectors: np.ndarray, order: np.ndarray | None = None, *, normalize: bool, components: int
) -> Preparation:
    """Learns the preparation from vectors of shape ``(n, dim)``.

    The components are the leading eigenvectors of the covariance, which is exact and, for
    ``n`` much larger than ``dim``, many times as fast as a singular value decomposition.

    Args:
        order: of the rows in which they are added up, so that rounding does not depend on how
            they are sorted; None: as they are.
        normalize: scale to length 1 first.
        components: how many to keep; 0, or no fewer than the vectors have, keeps them as
            they are.
    """
    dim = vectors.shape[1]
    if components == 0 or components >= dim:
        return Preparation(normalize)
    order = np.arange(len(vectors)) if order is None else order
    mean, covariance = _moments(vectors, order, normalize)
    from scipy.linalg import eigh

    _, leading = eigh(covariance, subset_by_index=(dim - components, dim - 1))
    rows = leading.T[::-1]
    strongest = np.abs(rows).argmax(axis=1)
    rows = rows * np.sign(rows[np.arange(len(rows)), strongest])[:, None]  # a sign, not chance
    return Preparation(normalize, mean.astype(np.float32), rows.astype(np.float32))


def _moments(
    vectors: np.ndarray, order: np.ndarray, normalize: bool
) -> tuple[np.ndarray, np.ndarray]:
    n, dim = vectors.shape
    total, squares = np.zeros(dim), np.zeros((dim, dim))
    for start in range(0, n, _ROWS):
        rows = vectors[order[start : start + _ROWS]]
        rows = (unit_length(rows) if normalize else rows).astype(np.float64)
        total += rows.sum(axis=0)
        squares += rows.T @ rows
    mean = total / n
    return mean, squares / n - np.outer(mean, mean)

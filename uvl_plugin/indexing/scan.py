"""Exact search: every vector is looked at, block by block, where it lies on disk."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from uvl_plugin.indexing.metrics import distances, nearness

_BLOCK_BYTES = 32 * 2**20  # of vectors, and of products, at a time
_SPARE = 16  # more than asked for, since products are rounded and distances decide
_MANY = 64  # queries from which a GPU is worth the transfer


def scan(
    vectors: np.ndarray,
    own_lengths: np.ndarray,
    queries: np.ndarray,
    k: int,
    metric: str,
    *,
    allowed: np.ndarray | None = None,
    farthest: bool = False,
    device: str | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` nearest vectors of each query, nearest first; equally near ones in the order of
    rows (of many that are as near as the last, any take part).

    Args:
        vectors: shape ``(n, dim)``, float32 or float16, may be a mapped file.
        own_lengths: of the vectors, shape ``(n,)``.
        queries: shape ``(n_queries, dim)``, float32.
        k: at most as many as are allowed.
        allowed: shape ``(n,)``, bool: only these rows; None: all.
        farthest: the farthest instead, farthest first.
        device: torch's name of a GPU that multiplies where there are many queries.

    Returns:
        Rows, int64, and distances, float32, both of shape ``(n_queries, k)``.
    """
    best = _Best(len(queries), k + _SPARE)
    multiply = _multiplier(queries, device)
    for rows in _blocks(vectors, len(queries), allowed):
        scores = nearness(metric, multiply(vectors[rows]), own_lengths[rows])
        if farthest:
            np.negative(scores, out=scores)
        best.take(scores, rows)
    return ranked(vectors, best.rows(), queries, k, metric, farthest=farthest)


def ranked(
    vectors: np.ndarray,
    candidates: np.ndarray,
    queries: np.ndarray,
    k: int,
    metric: str,
    *,
    farthest: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` nearest of the candidates of each query by their exact distance.

    Args:
        candidates: rows of each query, shape ``(n_queries, m)``; -1 where there is none.

    Returns:
        As :func:`scan`; row -1 and an infinite distance where there are too few.
    """
    rows = np.full((len(queries), k), -1, np.int64)
    found = np.full((len(queries), k), np.inf, np.float32)
    for number, (query, some) in enumerate(zip(queries, candidates, strict=True)):
        some = np.sort(some[some >= 0])
        apart = distances(metric, vectors[some], query)
        order = np.argsort(-apart if farthest else apart, kind="stable")[:k]
        rows[number, : len(order)], found[number, : len(order)] = some[order], apart[order]
    return rows, found


class _Best:
    """The highest scores that were seen of each query."""

    def __init__(self, n_queries: int, k: int):
        self._k = k
        self._scores = np.empty((n_queries, 0), np.float32)
        self._rows = np.empty((n_queries, 0), np.int64)

    def take(self, scores: np.ndarray, rows: "slice | np.ndarray") -> None:
        """Scores of shape ``(rows, n_queries)``."""
        numbers = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        if len(numbers) > 2 * self._k:
            near = np.argpartition(scores.T, -self._k, axis=1)[:, -self._k :]
            scores, found = np.take_along_axis(scores.T, near, axis=1), numbers[near]
        else:
            scores, found = scores.T, np.broadcast_to(numbers, scores.T.shape)
        self._scores = np.concatenate([self._scores, scores], axis=1)
        self._rows = np.concatenate([self._rows, found], axis=1)
        if self._scores.shape[1] > 4 * self._k:
            self._cut()

    def rows(self) -> np.ndarray:
        """Shape ``(n_queries, at most k)``, in no order."""
        if self._scores.shape[1] > self._k:
            self._cut()
        return self._rows

    def _cut(self) -> None:
        near = np.argpartition(self._scores, -self._k, axis=1)[:, -self._k :]
        self._scores = np.take_along_axis(self._scores, near, axis=1)
        self._rows = np.take_along_axis(self._rows, near, axis=1)


def _blocks(
    vectors: np.ndarray, n_queries: int, allowed: np.ndarray | None
) -> "Iterator[slice | np.ndarray]":
    n, dim = vectors.shape
    size = max(1, min(_BLOCK_BYTES // (4 * dim), _BLOCK_BYTES // (4 * max(1, n_queries))))
    if allowed is not None:
        rows = np.flatnonzero(allowed)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]
        return
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def _multiplier(queries: np.ndarray, device: str | None) -> Any:
    """Gives the products of some vectors with the queries, shape ``(rows, n_queries)``."""
    turned = np.ascontiguousarray(queries.T, np.float32)
    if device is None or len(queries) < _MANY:
        return lambda block: np.asarray(block, np.float32) @ turned
    import torch

    there = torch.from_numpy(turned).to(device)

    def multiply(block: np.ndarray) -> np.ndarray:
        return (torch.from_numpy(np.array(block)).to(device).float() @ there).cpu().numpy()

    return multiply

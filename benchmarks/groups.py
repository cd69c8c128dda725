"""Vectors like those of backbones: groups of unequal size in a spectrum that falls off."""

from collections.abc import Iterator

import numpy as np

_ROWS = 8192
_DECAY = 0.97  # of the spread from one principal direction to the next
_WITHIN = 0.8  # spread within groups, of that between their middles


def drawn(n: int, dim: int, groups: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Blocks of vectors, float32, ``n`` in all: sizes of groups are gamma(2) distributed, their
    middles and members normal, with the spread 0.97^i along the direction i."""
    random = np.random.default_rng(seed)
    spread = _DECAY ** np.arange(dim)
    spread = (spread / np.sqrt((spread**2).mean())).astype(np.float32)
    turned = np.linalg.qr(random.normal(size=(dim, dim)))[0].astype(np.float32)
    middles = random.standard_normal((groups, dim), np.float32) * spread
    share = random.gamma(2.0, size=groups)
    for start in range(0, n, _ROWS):
        m = min(_ROWS, n - start)
        which = random.choice(groups, m, p=share / share.sum())
        around = random.standard_normal((m, dim), np.float32) * (_WITHIN * spread)
        yield (middles[which] + around) @ turned


def vectors(n: int, dim: int, groups: int, seed: int = 0) -> np.ndarray:
    """All of them, shape ``(n, dim)``."""
    return filled(np.empty((n, dim), np.float32), groups, seed)


def filled(rows: np.ndarray, groups: int, seed: int = 0) -> np.ndarray:
    """All of them in an array that is there, such as one of a mapped file."""
    start, (n, dim) = 0, rows.shape
    for block in drawn(n, dim, groups, seed):
        rows[start : start + len(block)] = block
        start += len(block)
    return rows

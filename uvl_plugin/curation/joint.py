"""Which numbers, and which pairs of numbers, occur."""

import numpy as np

_SPARSE = 16  # numbers that may occur, for each that does: with more, sorting is faster


def distinct(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As ``np.unique`` with inverse and counts, without sorting where the numbers lie close.

    Args:
        numbers: shape ``(n,)``, int64.

    Returns:
        The distinct numbers, ascending; the place of each row's number among them, ``(n,)``; and
        how many rows have each.
    """
    low = numbers.min(initial=0)
    if numbers.max(initial=0) - low >= _SPARSE * len(numbers):
        return np.unique(numbers, return_inverse=True, return_counts=True)
    counts = np.bincount(numbers - low)
    found = np.flatnonzero(counts)
    places = np.zeros(len(counts), np.int64)
    places[found] = np.arange(len(found))
    return found + low, places[numbers - low], counts[found]


def joint(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As ``np.unique`` of two columns by rows, and ten times as fast: a pair becomes one number.

    Args:
        first, second: shape ``(n,)``, int64.

    Returns:
        The pairs in their order, shape ``(p, 2)``; the pair of each row, ``(n,)``; and how many
        rows have each, ``(p,)``.
    """
    lows = first.min(initial=0), second.min(initial=0)
    width = second.max(initial=0) - lows[1] + 1
    found, member, counts = distinct((first - lows[0]) * width + (second - lows[1]))
    pairs = np.stack([found // width + lows[0], found % width + lows[1]], axis=1)
    return pairs, member, counts

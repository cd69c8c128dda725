"""Least times between frames of one video."""

import numpy as np


class Gaps:
    """Which items are too near in time to another one.

    Args:
        videos: number of the video of each item, shape ``(n,)``.
        seconds: its time in the video, shape ``(n,)``.
        gap: least seconds between two that are picked, above 0.
    """

    def __init__(self, videos: np.ndarray, seconds: np.ndarray, gap: float):
        self._order = np.lexsort((seconds, videos))
        self._place = np.argsort(self._order)
        self._videos = videos[self._order]
        self._seconds = seconds[self._order]
        self._gap = gap

    def around(self, row: int) -> np.ndarray:
        """Rows of the items less than the gap away from one of them, itself included."""
        place = self._place[row]
        start, stop = np.searchsorted(self._videos, [self._videos[place], self._videos[place] + 1])
        times, own = self._seconds[start:stop], self._seconds[place]
        near = np.abs(times - own) < self._gap - 1e-9  # rounding of frame number / rate
        return self._order[start:stop][near]

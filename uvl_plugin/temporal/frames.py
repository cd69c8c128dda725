"""The frames of videos as temporal encoders read them: windows of principal components."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from uvl_plugin.core.progress import Progress
from uvl_plugin.core.scratch import new_rows
from uvl_plugin.pooling.axes import Axes
from uvl_plugin.pooling.base import FramePath, Paths, check_dim


@dataclass(frozen=True)
class Reader:
    """From a path to windows.

    Attributes:
        motion: principal components of the motion, shape ``(k, dim)``, float64.
        window: most frames in a window.
    """

    motion: np.ndarray
    window: int

    def __call__(self, path: FramePath) -> list[np.ndarray]:
        """Windows of nearly one length, each ``(t, k)``, float32, with mean 0."""
        check_dim(path, self.motion.shape[1])
        frames = path.vectors.astype(np.float64) @ self.motion.T
        parts = np.array_split(frames, -(-len(frames) // self.window))
        return [(rows - rows.mean(axis=0)).astype(np.float32) for rows in parts]


class Windows:
    """All windows of all videos, in one array that lies in a file where memory is short.

    Args:
        paths: of the videos.
        reader: makes the windows.
        axes: found on the same paths.

    Attributes:
        digest: of keys, frame numbers and vectors; the order of the paths does not count.
        keys: of the video of each window.
        lengths: frames of each window.
    """

    def __init__(self, paths: Paths, reader: Reader, axes: Axes, progress: Progress):
        self._rows = new_rows(axes.n_frames, len(reader.motion))
        found: list[tuple[str, int, int, int]] = []  # key, number in the video, start, length
        digests = []
        start = 0
        for count, path in enumerate(paths(), start=1):
            digests.append(_digest(path))
            for number, rows in enumerate(reader(path)):
                self._rows[start : start + len(rows)] = rows
                found.append((path.key, number, start, len(rows)))
                start += len(rows)
            progress(count / axes.n_videos, f"read {count:,} of {axes.n_videos:,} videos")
        found.sort()
        self.digest = hashlib.sha256(b"".join(sorted(digests))).hexdigest()
        self.keys = [key for key, _, _, _ in found]
        self._starts = [start for _, _, start, _ in found]
        self.lengths = np.array([length for _, _, _, length in found], dtype=np.int64)

    def batch(self, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames ``(batch, t, k)``, zero behind the end of a window, and lengths ``(batch,)``."""
        lengths = self.lengths[which]
        frames = np.zeros((len(which), lengths.max(), self._rows.shape[1]), np.float32)
        for place, (index, length) in enumerate(zip(which, lengths, strict=True)):
            start = self._starts[index]
            frames[place, :length] = self._rows[start : start + length]
        return frames, lengths

    def parts(self, which: np.ndarray, size: int) -> Iterator[np.ndarray]:
        """Batches of ``size`` windows; the last one may be smaller."""
        return (which[start : start + size] for start in range(0, len(which), size))

    def divided(self, share: float, least: int) -> Mapping[str, np.ndarray]:
        """Windows of at least ``least`` frames: those to learn from under ``"train"``, those of
        the share of videos that is held out under ``"validation"``. The key of a video decides;
        one is always learnt from."""
        usable = np.flatnonzero(self.lengths >= least)
        keys = sorted({self.keys[index] for index in usable}, key=_hash)
        n_held = min(len(keys) - 1, max(1, round(share * len(keys)))) if share and keys else 0
        held = set(keys[:n_held])
        inside = np.array([self.keys[index] in held for index in usable], dtype=bool)
        return {"train": usable[~inside], "validation": usable[inside]}


def _digest(path: FramePath) -> bytes:
    found = hashlib.sha256(path.key.encode() + b"\0")
    found.update(path.numbers.tobytes())
    found.update(path.vectors.tobytes())
    return found.digest()


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()

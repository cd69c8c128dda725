"""The mean of the frames: what a video shows, whatever the order."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from uvl_plugin.core.progress import Progress, silent
from uvl_plugin.pooling.base import FramePath, Paths, Pooler, Pooling, first_path, poolings


@poolings.register
@dataclass(frozen=True, kw_only=True)
class Mean(Pooling):
    """The mean of the frame vectors, in the space of the frames.

    It does not change with the order of the frames, nor with speed or frame rate as long as
    every part of the video keeps its share of the frames.
    """

    name, label = "mean", "Mean"
    description = "What is seen on average; blind to what happens in which order."

    def fit(self, paths: Paths, progress: Progress = silent) -> Pooler:
        return _MeanPooler(first_path(paths).dim)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Pooler:
        return _MeanPooler(int(arrays["frame_dim"]))


class _MeanPooler(Pooler):
    def __init__(self, frame_dim: int):
        super().__init__(frame_dim, frame_dim, {"frame_dim": np.array(frame_dim)})

    def _pooled(self, path: FramePath) -> np.ndarray:
        return path.vectors.mean(axis=0, dtype=np.float64)

"""Mean and standard deviation of the frames: what a video shows, and how much it varies."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from uvl_plugin.core.progress import Progress, silent
from uvl_plugin.pooling.base import FramePath, Paths, Pooler, Pooling, first_path, poolings


@poolings.register
@dataclass(frozen=True, kw_only=True)
class MeanDeviation(Pooling):
    """The mean of the frame vectors and, behind it, the standard deviation of each of their
    numbers (over ``t``, so 0 for one frame): ``dim`` is twice that of the frames.

    It does not change with the order of the frames, nor with speed or frame rate as long as
    every part of the video keeps its share of the frames.
    """

    name, label = "mean_deviation", "Mean and deviation"
    description = "What is seen on average, and how much it changes; blind to the order."

    def fit(self, paths: Paths, progress: Progress = silent) -> Pooler:
        return _MeanDeviationPooler(first_path(paths).dim)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Pooler:
        return _MeanDeviationPooler(int(arrays["frame_dim"]))


class _MeanDeviationPooler(Pooler):
    def __init__(self, frame_dim: int):
        super().__init__(frame_dim, 2 * frame_dim, {"frame_dim": np.array(frame_dim)})

    def _pooled(self, path: FramePath) -> np.ndarray:
        frames = path.vectors.astype(np.float64)
        return np.concatenate([frames.mean(axis=0), frames.std(axis=0)])

"""The vectors of a video's frames in their order, one video or clip in memory at a time."""

from collections.abc import Collection, Iterator

import numpy as np
from bson import ObjectId

from uvl_plugin.adapter.documents import VECTOR
from uvl_plugin.adapter.frames import Frames
from uvl_plugin.adapter.parts import Clips
from uvl_plugin.adapter.vectors import as_vector
from uvl_plugin.core.errors import DataError
from uvl_plugin.pooling.base import FramePath


def paths_of_videos(frames: Frames, only: Collection[str] | None = None) -> Iterator[FramePath]:
    """Videos that have frames with a vector, in the order of their ids; of ``only`` some of them,
    no other is read."""
    for video in sorted(frames.video_ids):
        if only is not None and video not in only:
            continue
        path = path_of(frames, video)
        if path is not None:
            yield path


def paths_of_clips(
    frames: Frames, clips: Clips, only: Collection[str] | None = None
) -> Iterator[FramePath]:
    """Clips that have frames with a vector inside of them, video by video; of ``only`` some of
    them, no video without one of these is read."""
    path: FramePath | None = None
    read = ""
    for video, clip, (first, last) in clips.supports():
        if only is not None and clip not in only:
            continue
        if video != read:
            path, read = path_of(frames, video), video
        if path is None:
            continue
        inside = (path.numbers >= first) & (path.numbers <= last)
        found = _only(path, clip, inside)
        if found is not None:
            yield found


def path_of(frames: Frames, video: str) -> FramePath | None:
    """The frames of one video that have a vector; None if none has.

    Raises:
        DataError: if their vectors differ in length.
    """
    having = {"_sample_id": ObjectId(video), frames.field: VECTOR}
    found = frames.collection.find(having, {"frame_number": 1, frames.field: 1, "_id": 0})
    numbers: list[int] = []
    vectors: list[np.ndarray] = []
    for document in found.sort([("_sample_id", 1), ("frame_number", 1)]):
        vector = as_vector(document[frames.field])
        if np.isfinite(vector).all():
            numbers.append(document["frame_number"])
            vectors.append(vector)
    shapes = {vector.shape for vector in vectors}
    if len(shapes) > 1:
        raise DataError(
            f"'{frames.path}' holds vectors of different shapes {sorted(shapes)}; embed the frames "
            "again with one backbone and overwrite=True.",
            "embeddings",
        )
    return FramePath(video, np.array(numbers), np.stack(vectors)) if numbers else None


def _only(path: FramePath, key: str, chosen: np.ndarray) -> FramePath | None:
    if not chosen.any():
        return None
    return FramePath(key, path.numbers[chosen], path.vectors[chosen])

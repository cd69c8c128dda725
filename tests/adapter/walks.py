"""Videos without files: vectors are written straight to documents of their frames."""

import fiftyone as fo
import numpy as np

from tests import motions
from uvl_plugin.adapter.frames import NumberedFrames
from uvl_plugin.adapter.vectors import stored, write_values
from uvl_plugin.media.video import frame_key
from uvl_plugin.pooling.base import FramePath


def add_videos(dataset, paths, folder="/missing", **fields):
    """Adds a video for each mapping of frame numbers to vectors, which go to ``frames.emb``.

    Args:
        fields: of the samples, a list of values each.

    Returns:
        Ids of the new videos, in order.
    """
    start = len(dataset)
    samples = [fo.Sample(f"{folder}/{start + place}.mp4") for place in range(len(paths))]
    for name, values in fields.items():
        for sample, value in zip(samples, values, strict=True):
            sample[name] = value
    ids = dataset.add_samples(samples, progress=False)
    if not dataset.has_frame_field("emb"):
        dataset.add_frame_field("emb", fo.VectorField)
    rows = {
        frame_key(key, number): stored(vector)
        for key, path in zip(ids, paths, strict=True)
        for number, vector in path.items()
    }
    write_values(NumberedFrames(dataset, "emb"), rows)
    return ids


def walk(seed, numbers, dim=6):
    """Vectors that go astray, by frame number, from the last to the first."""
    steps = np.random.default_rng(seed).normal(size=(len(numbers), dim))
    vectors = (steps.cumsum(axis=0) + 1).astype(np.float32)
    return dict(reversed(list(zip(numbers, vectors, strict=True))))


def frame_path(key, path):
    """What a pooling is given of such a video: frames in their order."""
    return FramePath(
        key, np.array(sorted(path)), np.stack([path[number] for number in sorted(path)])
    )


def moving_digits(per_class, seed=0):
    """Motions of which only the order of the frames tells what they are: names and frames."""
    drawn = motions.clips(motions.handwritten(), per_class, seed=seed)
    return [(motions.NAMES[label], motions.small(frames, side=8) / 255) for label, frames in drawn]


def in_videos(dataset, moves, per_video):
    """Adds motions one behind the other, some in each video, as clips in the field ``events``, whose
    labels say what they are."""
    paths, events = [], []
    for start in range(0, len(moves), per_video):
        path, clips = {}, []
        for name, frames in moves[start : start + per_video]:
            first = len(path) + 1
            path |= {first + place: frame for place, frame in enumerate(frames)}
            clips.append(fo.TemporalDetection(label=name, support=[first, len(path)]))
        paths.append(path)
        events.append(fo.TemporalDetections(detections=clips))
    add_videos(dataset, paths, events=events)

"""The demo on videos: clips made on the spot; clusters of their frames, segments and scenes are
compared with what the clips were made of, and shown in the App."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.adapter import demo_session
from uvl_plugin.adapter.demo_clips import (
    HEIGHT,
    RATE,
    SCENES,
    WIDTH,
    Clip,
    planned_clips,
    write_clip,
)
from uvl_plugin.core.timing import Stopwatch

if TYPE_CHECKING:
    import fiftyone as fo

    from uvl_plugin.clustering.evaluation_result import Evaluation

DATASET = "uvl-clips"
CLIPS, FPS = 6, 5
EMBEDDINGS, CLUSTERS, RUN = "frames.pixels", "frames.cluster", "frame"
SEGMENTS = "segments"
MADE, SCENE = "made", "frames.scene"  # what the clips were made of: segments, and label of a frame
VIDEO, SEGMENT = "video_vector", "vector"  # of whole videos, and of segments
INDEX, MAP = "frame_index", "frame_map"
_DONE = "uvl_demo_video"  # in dataset.info, when everything is complete: seconds by stage
_NEAR = 0.3  # seconds that a boundary may be off
_HELP = """
The App is at http://{address}:{port} - in it:
  - open a clip and let it play: the label {clusters} changes
  - in an open clip, click Annotate and below it Show tracks: the timeline of {segments}, and of
    {made}, what the clip was made of
  - on the left, under FRAME LABELS, the arrow of {clusters} lists the clusters of the frames
  - press ` and type 'Find segments', 'Compute clusters' or 'Compute embeddings' for your own videos
Ctrl-C ends the demo; started again, it has everything that you made in it."""


def demo_video(folder: str | os.PathLike, *, app: bool, port: int) -> None:
    """Makes clips and explores them, once, prints a report and serves the App until ctrl-C.

    Args, Raises:
        As :func:`uvl_plugin.adapter.demo.demo`.
    """
    folder = Path(folder).absolute()
    if app:
        port = demo_session.free_port(port)
    demo_session.begin(folder)
    dataset = _dataset(folder / "clips")
    if not _is_complete(dataset):
        _explore(dataset)
    print(_report(dataset, folder), flush=True)
    if app:
        names = {"clusters": CLUSTERS, "segments": SEGMENTS, "made": MADE}
        said = _HELP.format(address=demo_session.ADDRESS, port=port, **names)
        demo_session.serve(dataset, folder, port, said)


def _dataset(folder: Path) -> "fo.Dataset":
    import fiftyone as fo

    clips = planned_clips(CLIPS)
    watch = Stopwatch()
    with watch.stage("make clips"):
        files = [write_clip(clip, folder) for clip in clips]
    if fo.dataset_exists(DATASET):
        dataset = fo.load_dataset(DATASET)
        if dataset.persistent:
            return dataset
        dataset.delete()  # an earlier demo was stopped before it was complete
    dataset = fo.Dataset(DATASET)
    samples = [
        fo.Sample(filepath=str(file), metadata=_metadata(clip), **{MADE: _timeline(clip)})
        for file, clip in zip(files, clips, strict=True)
    ]
    dataset.add_samples(samples, progress=False)
    dataset.info["seconds"] = dict(watch.seconds)
    dataset.persistent = True
    dataset.save()
    return dataset


def _timeline(clip: Clip) -> "fo.TemporalDetections":
    import fiftyone as fo

    return fo.TemporalDetections(
        detections=[
            fo.TemporalDetection(label=SCENES[shot.scene], support=[shot.first, shot.last])
            for shot in clip.shots
        ]
    )


def _metadata(clip: Clip) -> "fo.VideoMetadata":
    import fiftyone as fo

    return fo.VideoMetadata(
        frame_width=WIDTH,
        frame_height=HEIGHT,
        frame_rate=RATE,
        total_frame_count=clip.n_frames,
        duration=clip.n_frames / RATE,
    )


def _is_complete(dataset: "fo.Dataset") -> bool:
    """Whether everything that the report and the App show is there."""
    return (
        _DONE in dataset.info
        and all(dataset.has_run(key) for key in (RUN, SEGMENTS))
        and dataset.get_field(CLUSTERS) is not None
        and dataset.has_sample_field(SEGMENTS)
        and all(dataset.has_brain_run(key) for key in (INDEX, MAP))
    )


def _explore(dataset: "fo.Dataset") -> None:
    import fiftyone as fo

    import uvl_plugin as uvl
    from uvl_plugin.adapter.timeline import show_on_timeline

    watch = Stopwatch()
    with watch.stage("embed"):
        uvl.embed(dataset, uvl.Pixels(size=8), EMBEDDINGS, fps=FPS)
    with watch.stage("cluster"):
        uvl.cluster(dataset, embeddings=EMBEDDINGS, field=CLUSTERS, run_key=RUN, overwrite=True)
    with watch.stage("segment"):
        uvl.segment(dataset, EMBEDDINGS, SEGMENTS, clusters=CLUSTERS, overwrite=True)
    with watch.stage("pool"):
        uvl.pool(dataset, EMBEDDINGS, VIDEO, pooling="signature", overwrite=True)
        uvl.pool(dataset, EMBEDDINGS, SEGMENT, patches_field=SEGMENTS, overwrite=True)
    with watch.stage("index"):
        uvl.index(dataset, embeddings=EMBEDDINGS, brain_key=INDEX, overwrite=True)
    with watch.stage("map"):
        uvl.visualize(dataset, embeddings=EMBEDDINGS, brain_key=MAP, overwrite=True)
    _label_frames(dataset)
    show_on_timeline(dataset, MADE)
    dataset.info[_DONE] = {**dataset.info["seconds"], **watch.seconds}
    fields = [CLUSTERS, SEGMENTS, MADE]
    dataset.app_config.active_fields = fo.ActiveFields(paths=fields)
    dataset.app_config.color_scheme = fo.ColorScheme(color_by="value")
    dataset.save()


def _label_frames(dataset: "fo.Dataset") -> None:
    """Writes what is seen in each frame that has a vector, to compare the clusters with."""
    import fiftyone as fo

    frames = dataset.values(["frames.id", "frames.frame_number"])
    rows = zip(planned_clips(CLIPS), *frames, strict=True)
    labels = {
        key: fo.Classification(label=clip.scene_at(number))
        for clip, keys, numbers in rows
        for key, number in zip(keys, numbers, strict=True)
    }
    dataset.set_values(SCENE, labels, key_field="frames.id")


def _report(dataset: "fo.Dataset", folder: Path) -> str:
    import uvl_plugin as uvl

    clips = planned_clips(CLIPS)
    found = [_supports(sample[SEGMENTS]) for sample in dataset]
    seconds = sum(clip.n_frames for clip in clips) / RATE
    n_clusters = len(dataset.distinct(f"{CLUSTERS}.label"))
    agreement = _agreement(uvl.evaluate(dataset, CLUSTERS, ground_truth=SCENE))
    n_pooled = dataset.count(f"{SEGMENTS}.detections.{SEGMENT}")
    times = ", ".join(f"{stage} {taken:.1f}" for stage, taken in dataset.info[_DONE].items())
    return "\n".join(
        [
            f"{len(clips)} clips, {seconds:.0f} s, made of {len(SCENES)} scenes that come back, in {folder}",
            f"{dataset.count(EMBEDDINGS):,} frames, {FPS} a second, have a vector of their bare pixels: no network, no",
            "download. The scenes were drawn so that this is enough; for videos of your own choose",
            "a network, such as 'dinov2-base'.",
            "",
            f"clusters of frames, their number not given: {n_clusters}",
            f"  agreement with the scenes: {agreement}",
            f"segments: {sum(map(len, found))} of {sum(len(clip.shots) for clip in clips)} shots",
            f"  boundaries: {_boundaries(clips, found)}",
            f"  scenes: {_scenes(clips, found)}",
            f"one vector each: {dataset.count(VIDEO)} clips, {n_pooled} segments",
            "",
            f"seconds: {times}",
        ]
    )


def _supports(segments: "fo.TemporalDetections") -> list[tuple[int, int, str]]:
    """First and last frame, and scene, of each segment in order."""
    return sorted((*one.support, one.label) for one in segments.detections)


def _agreement(evaluation: "Evaluation") -> str:
    found = evaluation.agreement
    assert found is not None  # there are labels
    return f"ACC {found.accuracy:.3f}, NMI {found.nmi:.3f}, ARI {found.ari:.3f}"


def _boundaries(clips: list[Clip], found: list[list[tuple[int, int, str]]]) -> str:
    """How many of those made were found, and the other way round."""
    n_made = n_found = n_right = n_hit = 0
    for clip, segments in zip(clips, found, strict=True):
        made = np.array([shot.first for shot in clip.shots[1:]])
        seen = np.array([first for first, *_ in segments[1:]])
        near = np.abs(made[:, None] - seen[None, :]) <= _NEAR * RATE
        n_made, n_found = n_made + len(made), n_found + len(seen)
        n_hit, n_right = n_hit + int(near.any(axis=1).sum()), n_right + int(near.any(axis=0).sum())
    f1 = (n_hit + n_right) / max(1, n_made + n_found)
    return f"{n_hit} of {n_made} found within {_NEAR} s, {n_found - n_right} others; F1 {f1:.3f}"


def _scenes(clips: list[Clip], found: list[list[tuple[int, int, str]]]) -> str:
    """Share of all frames whose scene is right, each label standing for one scene."""
    from scipy.optimize import linear_sum_assignment

    names = sorted({label for segments in found for *_, label in segments})
    table = np.zeros((len(names), len(SCENES)), int)
    for clip, segments in zip(clips, found, strict=True):
        for first, last, label in segments:
            for number in range(first, last + 1):
                table[names.index(label), SCENES.index(clip.scene_at(number))] += 1
    right = table[linear_sum_assignment(-table)].sum()
    share = right / table.sum()
    return f"{len(names)} found, {len(SCENES)} made; the right one for {share:.1%} of the frames"

"""Shots and scenes of videos, found in the vectors of their frames."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.adapter.frame_paths import path_of
from uvl_plugin.adapter.frames import FRAMES, Frames
from uvl_plugin.adapter.segments import (
    SegmentationRunConfig,
    SegmentFields,
    check_clusters,
    rates_and_files,
)
from uvl_plugin.adapter.target import frames_of_videos
from uvl_plugin.adapter.vectors import check_any_vector
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.packages import versions
from uvl_plugin.core.progress import Progress, part, shown
from uvl_plugin.core.timing import Stopwatch
from uvl_plugin.curation.boundaries import Boundaries, boundaries
from uvl_plugin.curation.scenes import Scenes, Segment, scenes
from uvl_plugin.media.video import video_info

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection

_TOLD = 3  # of the files that failed
_Cut = tuple[str, np.ndarray, np.ndarray, np.ndarray]  # video, numbers, vectors, starts


@dataclass(frozen=True)
class SegmentationResult:
    """What :func:`segment` found, as a sentence if printed.

    Attributes:
        field: of the segments.
        share_field: of the share of each scene, or cluster, in a video.
        exemplar_field: of the frames that stand for a segment.
        segments: of each video, by its id.
        names: of the scenes.
        n_missing: videos that have no frame with a vector.
        failures: reason by the id of each other video that was left out.
        seconds: time by stage.
    """

    field: str
    share_field: str
    exemplar_field: str
    segments: dict[str, list[Segment]]
    names: list[str]
    n_missing: int
    failures: dict[str, str]
    seconds: dict[str, float]

    @property
    def n_segments(self) -> int:
        """How many segments all videos have."""
        return sum(map(len, self.segments.values()))

    def __str__(self) -> str:
        said = (
            f"{len(self.segments):,} videos have {self.n_segments:,} segments of "
            f"{len(self.names):,} scenes: see '{self.field}', and in '{self.share_field}' the "
            "share of each."
        )
        if self.n_missing:
            said += f" {self.n_missing:,} have no frame with a vector: embed their frames first."
        if self.failures:
            said += f" {len(self.failures):,} were left out ({_listed(self.failures)})."
        return said


def segment(
    samples: "SampleCollection",
    embeddings: str,
    field: str = "segments",
    *,
    clusters: str | None = None,
    find: Boundaries | None = None,
    match: Scenes | None = None,
    overwrite: bool = False,
    progress: "Progress | bool | None" = None,
) -> SegmentationResult:
    """Cuts videos into segments where what is seen changes, and tells which show the same scene.

    Writes ``TemporalDetections``, which the App shows as a timeline: the label is that of the
    scene, "scene 00" the one with most frames, the same wherever it comes back, in one video or
    several; ``confidence`` is how much nearer it is than the next scene, ``exemplar`` the number
    of the frame that stands for the segment. That frame has a true ``<field>_exemplar``. What a
    video is made of goes to ``<field>_share``: its scenes, with their share of the frames as
    confidence.

    Args:
        samples: a dataset of videos, or a view of one.
        embeddings: the vector field of the frames, such as ``"frames.embedding"``; all frames, or
            two in a second and more: between frames that are seconds apart nothing short is seen.
        field: of the segments; also the key of the run that records them.
        clusters: field of the clusters of the frames, such as ``"frames.cluster"``: the shares
            are of these instead.
        find: when something is a boundary; None: ``uvl.Boundaries()``.
        match: when segments show the same scene; None: ``uvl.Scenes()``.
        overwrite: replace the segments of an earlier call, of all videos of the dataset.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Returns:
        The segments, as a sentence if printed.

    Raises:
        DataError: if there are no vectors of frames, or the field is taken.
    """
    find, match = find or Boundaries(), match or Scenes()
    place = check_segment(samples, embeddings, field, clusters=clusters, overwrite=overwrite)
    watch, failures = Stopwatch(), dict[str, str]()
    with shown(progress, "segment") as report:
        with watch.stage("find"):
            cut = _cut(place.frames, find, failures, part(report, 0.0, 0.8))
            segments = scenes(cut, match)
        if not segments:
            raise _nothing(place.frames, failures)
        names = _names(segments)
        shares = (
            _scene_shares(segments, names)
            if clusters is None
            else _cluster_shares(place.frames, clusters, segments)
        )
        result = SegmentationResult(
            field, place.share, place.exemplar, segments, names,
            len(place.frames.video_ids) - len(segments) - len(failures), failures, watch.seconds,
        )  # fmt: skip
        with watch.stage("write"):
            config = _config(result, place, clusters, find, match)
            place.write(segments, shares, names, config, part(report, 0.8, 1.0))
        report(1.0, "written")
    return result


def check_segment(
    samples: "SampleCollection",
    embeddings: str,
    field: str,
    *,
    clusters: str | None = None,
    overwrite: bool = False,
) -> SegmentFields:
    """Raises what :func:`segment` would, without working; gives where the segments go."""
    frames = frames_of_videos(samples, embeddings)
    check_any_vector(frames)
    if clusters is not None:
        check_clusters(frames, clusters)
    place = SegmentFields(frames, field)
    place.check(overwrite=overwrite)
    return place


def _cut(
    frames: Frames, find: Boundaries, failures: dict[str, str], report: Progress
) -> Iterator[_Cut]:
    """Each video with its boundaries, one at a time; notes which cannot be used."""
    n_videos = len(frames.video_ids)
    for place, (video, file, rate) in enumerate(rates_and_files(frames)):
        report(place / n_videos, f"looking for boundaries, video {place + 1:,} of {n_videos:,}")
        path = path_of(frames, video)
        if path is None:
            continue
        try:
            rate = rate or video_info(file).rate
        except DataError as error:
            failures[video] = f"{file}: {error}"
            continue
        yield video, path.numbers, path.vectors, boundaries(path.numbers, path.vectors, rate, find)


def _nothing(frames: Frames, failures: dict[str, str]) -> DataError:
    said = f"None of the {len(frames.video_ids)} videos can be cut into segments. "
    if len(failures) < len(frames.video_ids):
        said += f"Some have no frame with a vector in '{frames.path}': embed their frames first. "
    if failures:
        said += f"{len(failures):,} have neither metadata nor a file ({_listed(failures)})."
    return DataError(said.strip(), "embeddings")


def _listed(failures: Mapping[str, str]) -> str:
    reasons = sorted(set(failures.values()))
    return "; ".join(reasons[:_TOLD]) + ("; ..." if len(reasons) > _TOLD else "")


def _names(segments: Mapping[str, Sequence[Segment]]) -> list[str]:
    n_scenes = 1 + max(found.scene for video in segments.values() for found in video)
    width = max(2, len(str(n_scenes - 1)))
    return [f"scene {number:0{width}d}" for number in range(n_scenes)]


def _scene_shares(
    segments: Mapping[str, Sequence[Segment]], names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Share of each scene in the length of each video."""
    shares: dict[str, dict[str, float]] = {}
    for video, found in segments.items():
        lengths: Counter[str] = Counter()
        for one in found:
            lengths[names[one.scene]] += one.last - one.first + 1
        shares[video] = _parts(lengths)
    return shares


def _cluster_shares(
    frames: Frames, clusters: str, segments: Mapping[str, Sequence[Segment]]
) -> dict[str, dict[str, float]]:
    """Share of each cluster in the frames of each video that have one."""
    return {
        video: _parts(Counter(frames.labels_of(video, clusters.removeprefix(FRAMES))))
        for video in segments
    }


def _parts(counts: Mapping[str, int]) -> dict[str, float]:
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()}


def _config(
    result: SegmentationResult,
    place: SegmentFields,
    clusters: str | None,
    find: Boundaries,
    match: Scenes,
) -> SegmentationRunConfig:
    outcome: dict[str, Any] = dataclasses.asdict(dataclasses.replace(result, segments={}))
    del outcome["segments"], outcome["names"]
    return SegmentationRunConfig(
        **outcome,
        method="uvl/segment",
        embeddings=place.frames.path,
        clusters=clusters,
        boundaries=find.to_dict(),
        scenes=match.to_dict(),
        n_videos=len(result.segments),
        n_segments=result.n_segments,
        n_scenes=len(result.names),
        versions=versions(),
    )

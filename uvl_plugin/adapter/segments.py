"""Segments of videos to fields: the timeline, its exemplars, the share of each scene."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
from fiftyone.core.runs import RunConfig

from uvl_plugin.adapter.documents import documents, new_label, value_at
from uvl_plugin.adapter.fields import add_field, delete_field, rename_field
from uvl_plugin.adapter.frames import FRAMES, Frames, NumberedFrames
from uvl_plugin.adapter.images import Videos
from uvl_plugin.adapter.runs import FieldRun, check_run_key, owner_of
from uvl_plugin.adapter.timeline import show_on_timeline
from uvl_plugin.adapter.vectors import check_name, write_values
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Progress
from uvl_plugin.curation.scenes import Segment
from uvl_plugin.media.video import frame_key

_ROWS = 1000  # videos in one write


class SegmentationRunConfig(RunConfig):
    """Record of :func:`uvl_plugin.segment`.

    Attributes:
        method: ``"uvl/segment"``.
        field, share_field, exemplar_field: what it wrote.
        embeddings: the vector field of the frames.
        clusters: field of frames whose shares were written; None: those of the scenes.
        boundaries, scenes: settings.
        n_videos, n_segments, n_scenes: what came out.
        failures: reason by the id of each video that was left out.
        seconds: time by stage.
        versions: of the packages.
    """


class SegmentationRun(FieldRun):
    """Segments in the fields of videos and frames."""

    def get_fields(self, samples: Any, key: str) -> list[str]:
        return [self.config.field, self.config.share_field, self.config.exemplar_field]


@dataclass(frozen=True)
class SegmentFields:
    """Where the segments of videos go.

    Attributes:
        frames: of which videos, with the name of their vector field.
        field: of ``TemporalDetections``.
    """

    frames: Frames
    field: str

    @property
    def share(self) -> str:
        """Field of the share of each scene in a video: ``Classifications``."""
        return f"{self.field}_share"

    @property
    def exemplar(self) -> str:
        """Field of frames that is true where a frame stands for its segment."""
        return f"{FRAMES}{self.field}_exemplar"

    @property
    def kinds(self) -> dict[str, dict[str, Any]]:
        """How each field is made."""
        labels = {"kind": fo.EmbeddedDocumentField}
        return {
            self.field: {**labels, "embedded_doc_type": fo.TemporalDetections},
            self.share: {**labels, "embedded_doc_type": fo.Classifications},
            self.exemplar: {"kind": fo.BooleanField},
        }

    def check(self, *, overwrite: bool) -> None:
        """Raises :class:`DataError` if a name cannot be used, or, unless ``overwrite``, is taken;
        what something else wrote is never replaced."""
        check_name(self.field)
        dataset = self.frames.dataset
        check_run_key(dataset, self.field, overwrite=overwrite)
        for path in self.kinds:
            if dataset.get_field(path) is None:
                continue
            own = owner_of(dataset, path) == self.field
            if not (overwrite and own):
                hint = "choose another field" + (", or pass overwrite=True" if own else "")
                raise DataError(f"There is a field '{path}' already; {hint}.", "field")

    def write(
        self,
        segments: Mapping[str, Sequence[Segment]],
        shares: Mapping[str, Mapping[str, float]],
        names: Sequence[str],
        config: SegmentationRunConfig,
        progress: Progress,
    ) -> None:
        """Writes everything beside what is there, then puts it in its place: all or nothing.

        Args:
            segments: of each video, by its id.
            shares: of each name in a video, 0 to 1, by the id of the video.
            names: of the scenes.
        """
        dataset = self.frames.dataset
        staged = {self._staged(path): path for path in self.kinds}
        _drop(dataset, staged)
        try:
            for new, path in staged.items():
                self._add(new, **self.kinds[path])
            self._write_values(segments, shares, names, progress)
        except BaseException:
            _drop(dataset, staged)
            raise
        try:
            if dataset.has_run(self.field):
                dataset.delete_run(self.field)
            for new, path in staged.items():
                delete_field(dataset, path)
                rename_field(dataset, new, path)
            dataset.reload()  # its fields still know themselves by their names before
            dataset.add_sample_field(f"{self.field}.detections.exemplar", fo.IntField)
            self.frames.samples.register_run(self.field, config)
            show_on_timeline(dataset, self.field)
        except BaseException:
            _drop(dataset, [*staged, *staged.values()])
            raise

    def _staged(self, path: str) -> str:
        return f"{path}_staged"

    def _add(self, path: str, kind: type[fo.Field], **options: Any) -> None:
        add_field(self.frames.dataset, path, kind, info={"uvl": {"run_key": self.field}}, **options)

    def _write_values(
        self,
        segments: Mapping[str, Sequence[Segment]],
        shares: Mapping[str, Mapping[str, float]],
        names: Sequence[str],
        progress: Progress,
    ) -> None:
        videos = self.frames.samples
        timeline = Videos(videos, self._staged(self.field))
        share = Videos(videos, self._staged(self.share))
        exemplar = NumberedFrames(videos, self._staged(self.exemplar).removeprefix(FRAMES))
        keys = list(segments)
        for start in range(0, len(keys), _ROWS):
            page = keys[start : start + _ROWS]
            write_values(timeline, {key: _timeline(segments[key], names) for key in page})
            write_values(share, {key: _shares(shares[key]) for key in page})
            shown = {
                frame_key(key, found.exemplar): True for key in page for found in segments[key]
            }
            write_values(exemplar, shown)
            done = min(len(keys), start + _ROWS)
            progress(done / len(keys), f"writing segments, {done:,} of {len(keys):,} videos")


def check_clusters(frames: Frames, clusters: str) -> None:
    """Raises :class:`DataError` unless the frames have a field of labels of this name."""
    frames.check_field(clusters.removeprefix(FRAMES), "clusters")
    path = f"{FRAMES}{clusters.removeprefix(FRAMES)}"
    found = frames.dataset.get_field(path)
    if getattr(found, "document_type", None) is not fo.Classification:
        raise DataError(f"'{path}' must be a Classification, and is {found}.", "clusters")


def rates_and_files(frames: Frames) -> Iterator[tuple[str, str, float | None]]:
    """Id, file, and frames per second where FiftyOne knows them, of each video."""
    samples, fields = frames.dataset._sample_collection, ["filepath", "metadata.frame_rate"]
    for document in documents(samples, sorted(frames.video_ids), fields):
        rate = value_at(document, "metadata.frame_rate")
        yield str(document["_id"]), document["filepath"], rate


def _timeline(segments: Sequence[Segment], names: Sequence[str]) -> dict[str, Any]:
    detections = [
        new_label(
            "TemporalDetection",
            label=names[found.scene],
            support=[found.first, found.last],
            confidence=found.strength,
            exemplar=found.exemplar,
        )
        for found in segments
    ]
    return {"_cls": "TemporalDetections", "detections": detections}


def _shares(shares: Mapping[str, float]) -> dict[str, Any]:
    found = [
        new_label("Classification", label=name, confidence=share)
        for name, share in sorted(shares.items(), key=lambda pair: -pair[1])
    ]
    return {"_cls": "Classifications", "classifications": found}


def _drop(dataset: fo.Dataset, paths: "Sequence[str] | Mapping[str, str]") -> None:
    for path in paths:
        delete_field(dataset, path)

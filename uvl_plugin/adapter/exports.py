"""A dataset or view to a folder, in the formats of FiftyOne."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo
from fiftyone import ViewField as F
from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter.frames import FRAMES
from uvl_plugin.adapter.marks import EXCLUDE
from uvl_plugin.adapter.samples import dataset_of
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.progress import Progress, silent

_IMAGE, _VIDEO = "image", "video"
_BOTH = (_IMAGE, _VIDEO)
MEDIA = {"copy": True, "symlink": "symlink", "none": False}


@dataclass(frozen=True)
class Format:
    """A format that FiftyOne writes.

    Attributes:
        name: of its class in ``fiftyone.types``.
        label: for a person.
        media: the types of media that it holds.
        kinds: the types of labels, one field of which goes with the media; none: no field.
        of_frames: whether these labels are of the frames of videos.
        always_media: whether it makes no sense without the files.
    """

    name: str
    label: str
    media: tuple[str, ...] = (_IMAGE,)
    kinds: tuple[type, ...] = ()
    of_frames: bool = False
    always_media: bool = False

    @property
    def type(self) -> type:
        """FiftyOne's class."""
        return getattr(fo.types, self.name)


_BOXES = (fo.Detections,)
FORMATS = {
    form.name: form
    for form in (
        Format("FiftyOneDataset", "FiftyOne: everything, to load it again", _BOTH),
        Format("ImageClassificationDirectoryTree", "Folders, one a class", (_IMAGE,),
               (fo.Classification,), always_media=True),
        Format("VideoClassificationDirectoryTree", "Folders, one a class", (_VIDEO,),
               (fo.Classification,), always_media=True),
        Format("FiftyOneImageClassificationDataset", "Images, and classes as JSON", (_IMAGE,),
               (fo.Classification, fo.Classifications)),
        Format("COCODetectionDataset", "COCO", (_IMAGE,), (fo.Detections, fo.Polylines)),
        Format("YOLOv5Dataset", "YOLO (v5 and later)", (_IMAGE,), (fo.Detections, fo.Polylines)),
        Format("VOCDetectionDataset", "Pascal VOC", (_IMAGE,), _BOXES),
        Format("KITTIDetectionDataset", "KITTI", (_IMAGE,), _BOXES),
        Format("CVATImageDataset", "CVAT, images", (_IMAGE,),
               (fo.Classification, fo.Detections, fo.Polylines, fo.Keypoints)),
        Format("CVATVideoDataset", "CVAT, videos", (_VIDEO,),
               (fo.Detections, fo.Polylines, fo.Keypoints), of_frames=True),
        Format("FiftyOneTemporalDetectionDataset", "Videos, and clips as JSON", (_VIDEO,),
               (fo.TemporalDetections,)),
        Format("CSVDataset", "Table (CSV): paths and one label", _BOTH, (fo.Classification,)),
        Format("MediaDirectory", "Only the files", _BOTH, always_media=True),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Export:
    """What is to be written, checked.

    Attributes:
        samples: that go.
        form: how.
        field: of the labels; None where all or none go.
        folder: where.
        media: one of :data:`MEDIA`.
        n_excluded: samples that stay behind, since they carry the tag ``"exclude"``.
        overwrite: whether there is something in the folder, which is to be deleted.
    """

    samples: SampleCollection
    form: Format
    field: str | None
    folder: Path
    media: str
    n_excluded: int = 0
    overwrite: bool = False


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: where it is.
        label: of the format.
        n_samples: how many.
        field: of the labels; None where all or none went.
        n_unlabelled: how many have no label in it.
        n_excluded: how many stayed behind, since they carry the tag ``"exclude"``.
    """

    folder: str
    label: str
    n_samples: int
    field: str | None = None
    n_unlabelled: int = 0
    n_excluded: int = 0

    def __str__(self) -> str:
        said = f"{self.n_samples:,} samples were written to '{self.folder}' ({self.label})"
        if self.field:
            said += f", with the labels in '{self.field}'"
        if self.n_unlabelled:
            said += f"; {self.n_unlabelled:,} have none there"
        if self.n_excluded:
            said += f". {self.n_excluded:,} that were excluded stayed behind"
        return said + "."


def formats_for(samples: SampleCollection) -> list[Format]:
    """Those that fit the media of ``samples``, and for which there is a field of labels."""
    media = samples.media_type or _IMAGE
    fitting = [form for form in FORMATS.values() if media in form.media]
    if media not in _BOTH:  # groups, 3D
        fitting = [FORMATS["FiftyOneDataset"]]
    return [form for form in fitting if not form.kinds or fields_for(samples, form)]


def fields_for(samples: SampleCollection, form: Format) -> list[str]:
    """Fields whose labels the format can hold."""
    if form.of_frames:
        schema = samples.get_frame_field_schema(ftype=fo.EmbeddedDocumentField) or {}
        schema = {f"{FRAMES}{name}": field for name, field in schema.items()}
    else:
        schema = samples.get_field_schema(ftype=fo.EmbeddedDocumentField)
    return [name for name, field in schema.items() if field.document_type in form.kinds]


def check_export(
    samples: SampleCollection,
    form: str,
    folder: str,
    *,
    field: str | None = None,
    media: str = "copy",
    with_excluded: bool = False,
    overwrite: bool = False,
) -> Export:
    """Checks that an export is possible, without writing.

    Args:
        samples: a dataset or view; of a view of objects the images go, with these objects.
        form: name of a format, see :data:`FORMATS`.
        folder: absolute path; made if it is not there.
        field: of the labels.
        media: whether the files are copied (``"copy"``), linked (``"symlink"``) or left where
            they are (``"none"``).
        with_excluded: whether samples with the tag ``"exclude"`` go too.
        overwrite: whether what is in the folder may be deleted.

    Raises:
        SettingsError: if there is no such format.
        DataError: if the samples or the folder do not allow it.
    """
    if form not in FORMATS:
        raise SettingsError(f"There is no format '{form}'. Known: {', '.join(FORMATS)}.", "form")
    if media not in MEDIA:
        raise SettingsError(f"media must be one of {', '.join(MEDIA)}, got {media!r}.", "media")
    chosen = FORMATS[form]
    if chosen.always_media and media == "none":
        raise SettingsError(f"'{chosen.label}' makes no sense without the files.", "media")
    samples = _whole(samples)
    field = _field(samples, chosen, field)
    path = _checked_folder(samples, folder, overwrite=overwrite)
    left = samples if with_excluded else samples.match_tags(EXCLUDE, bool=False)
    n_excluded = len(samples) - len(left)
    if not left:
        raise DataError("There is nothing to export: no sample is left in this view.")
    return Export(left, chosen, field, path, media, n_excluded, _holds_something(path))


def _whole(samples: SampleCollection) -> SampleCollection:
    """The samples of a view of objects, with these objects."""
    if not samples._is_generated:
        return samples
    if not samples._is_patches:
        raise DataError(
            "A view of frames or clips cannot be exported; choose the dataset of videos as the "
            "target, or export it with FiftyOne in Python."
        )
    root, chosen = dataset_of(samples), {}
    for name in samples._label_fields:
        ids = samples.values(samples._get_label_field_path(name, "id")[1], unwind=True)
        chosen[name] = ids
    ids = [key for found in chosen.values() for key in found]
    return root.select_labels(ids=ids, fields=list(chosen))


def _field(samples: SampleCollection, form: Format, field: str | None) -> str | None:
    if not form.kinds:
        return None
    known = fields_for(samples, form)
    if field not in known:
        kinds = " or ".join(kind.__name__ for kind in form.kinds)
        raise DataError(
            f"'{form.label}' needs a field of {kinds}, and {field or 'none'!r} was chosen. "
            f"Such fields: {', '.join(known) or 'none'}.",
            "label_field",
        )
    return field


def _checked_folder(samples: SampleCollection, folder: str, *, overwrite: bool) -> Path:
    path = Path(folder or "").expanduser()
    if not path.is_absolute():
        raise DataError(f"Give the whole path of a folder, got {folder!r}.", "folder")
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise DataError(f"'{path}' is a file or a link; choose a folder.", "folder")
    there = next(parent for parent in [path, *path.parents] if parent.exists())
    if not there.is_dir():
        raise DataError(f"'{there}' is a file; choose another folder.", "folder")
    if not _holds_something(path):
        return path
    if not overwrite:
        raise DataError(
            f"'{path}' is not empty; choose another folder, or allow what is there to be deleted.",
            "folder",
        )
    _check_harmless(samples, path.resolve())
    return path


def _holds_something(path: Path) -> bool:
    return path.exists() and any(path.iterdir())


def _check_harmless(samples: SampleCollection, path: Path) -> None:
    """FiftyOne deletes the whole folder before it writes."""
    used = [Path.home(), Path.cwd(), Path(__file__)]
    for name in ("database_dir", "plugins_dir", "model_zoo_dir", "dataset_zoo_dir"):
        if getattr(fo.config, name, None):
            used.append(Path(getattr(fo.config, name)))
    if any(path in (one, *one.parents) for one in map(Path.resolve, used)):
        raise DataError(f"'{path}' is never deleted; choose another folder.", "folder")
    inside = F("filepath").starts_with(f"{path}/")
    if dataset_of(samples).match(inside).count():
        raise DataError(
            f"'{path}' holds media of '{dataset_of(samples).name}', and is never deleted; choose "
            "another folder.",
            "folder",
        )


def write_export(export: Export, progress: Progress = silent) -> Exported:
    """Writes it; a folder that was not there, or was empty, is gone again after a failure."""

    def report(bar: Any) -> None:
        done = min(1.0, float(bar.progress or 0.0))
        progress(done, f"writing, {int(bar.iteration):,} of {len(export.samples):,} samples")

    folder, of_frames = export.folder, export.form.of_frames
    fields: dict[str, Any] = {}
    if export.field is not None:
        name = "frame_labels_field" if of_frames else "label_field"
        fields[name] = export.field.removeprefix(FRAMES) if of_frames else export.field
    if export.form.name == "CSVDataset":
        fields = {"fields": ["filepath", f"{export.field}.label", "tags"]}
    try:
        export.samples.export(
            export_dir=str(folder), dataset_type=export.form.type, overwrite=export.overwrite,
            export_media=MEDIA[export.media], progress=fo.report_progress(report, dt=0.2), **fields,
        )  # fmt: skip
    except BaseException:
        if not export.overwrite:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return Exported(
        str(folder), export.form.label, len(export.samples), export.field,
        _n_unlabelled(export), export.n_excluded,
    )  # fmt: skip


def _n_unlabelled(export: Export) -> int:
    if export.field is None or export.form.of_frames:
        return 0
    return len(export.samples) - len(export.samples.exists(export.field))


def media_choices(form: Format) -> Sequence[str]:
    """How the files may go with a format."""
    return [name for name in MEDIA if name != "none" or not form.always_media]

"""What is worked on: the images of a dataset or view, the object patches in them, or frames."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import fiftyone as fo
from bson import ObjectId
from fiftyone import ViewField as F
from fiftyone.core.collections import SampleCollection
from fiftyone.core.dataset import Dataset
from fiftyone.core.video import FramesView
from pymongo import UpdateOne
from pymongo.collection import Collection

from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.media.sources import Box, Crops, ImageFile, Source

_PAGE = 500  # documents read at once
_MOST_CROPS = 512  # of one image that are in memory at once
_NO_BOX: Box = (float("nan"),) * 4
_LISTS = {fo.Detections: "detections", fo.Polylines: "polylines"}
_PLAIN = (fo.StringField, fo.IntField, fo.BooleanField, fo.ObjectIdField)
_SINGLE = (fo.Detection, fo.Polyline)
FRAMES = "frames."  # before the names of the fields of a video's frames

Rows = Mapping[str, Mapping[str, Any]]  # values of MongoDB by field, by the id of each item


@dataclass(frozen=True)
class Images:
    """Each image is one item, its id the sample's.

    Attributes:
        samples: a dataset or view, see :func:`check_samples`.
        field: where the vectors go.
    """

    samples: SampleCollection
    field: str

    unit = "images"

    @property
    def path(self) -> str:
        """The field as FiftyOne knows it."""
        return self.field

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset behind ``samples``."""
        return dataset_of(self.samples)

    @property
    def collection(self) -> Collection:
        """Where MongoDB keeps the documents that the field is in."""
        return self.dataset._sample_collection

    def with_field(self, field: str) -> "Images":
        """The same items, and another of their fields."""
        return replace(self, field=field)

    def ids(self, *, missing: bool = False) -> list[str]:
        """Ids of the items, or of those that have no vector yet."""
        samples = self.samples
        if missing and samples.get_field(self.field) is not None:
            samples = samples.exists(self.field, False)
        return samples.values("id")

    def sources(self, ids: Sequence[str]) -> Iterator[Source]:
        """The files of some items, read from the database page by page."""
        for document in _documents(self.collection, ids, ["filepath"]):
            yield ImageFile(str(document["_id"]), document["filepath"])

    def stored(self, ids: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Id and value of the field, as MongoDB keeps it, of the items that have one, in the order
        of ``ids``; read page by page."""
        return _stored(self.collection, ids, self.field)

    def updates(self, rows: Rows, also: dict[str, Any]) -> Iterator[UpdateOne]:
        """Writes values to the fields of each item by its id, and ``also`` to its sample."""
        for key, row in rows.items():
            yield UpdateOne({"_id": ObjectId(key)}, {"$set": {**row, **also}})

    def sample_ids(self, keys: Sequence[str]) -> list[str]:
        """The sample of each item."""
        return list(keys)

    def check_field(self, field: str, argument: str) -> None:
        """Raises :class:`DataError` unless :meth:`values` could read the field."""
        plain_path(self.samples, field, argument)

    def values(self, field: str) -> dict[str, Any]:
        """A plain value, or the label of a ``Classification``, by the id of each item.

        Raises:
            DataError: if there is no such field, or it is of another kind.
        """
        return dict(zip(*self.samples.values(["id", plain_path(self.samples, field)]), strict=True))


class Patches:
    """Each object in an image is one item, its id the label's; its vector is kept on the label.

    Args:
        samples: a dataset or view; labels that a view filters out are left out.
        field: attribute of the labels where the vectors go.
        patches_field: field of ``Detections``, ``Detection``, ``Polylines`` or ``Polyline``.
        margin: see :class:`~uvl_plugin.media.sources.Crops`.

    Raises:
        DataError: if there is no such field of objects.
    """

    unit = "objects"

    def __init__(self, samples: SampleCollection, field: str, patches_field: str, margin: float):
        self.samples = samples
        self.field = field
        self.patches_field = patches_field
        self.margin = margin
        self._labels = _labels_path(samples, patches_field)
        self._sample_of: dict[str, str] = {}

    @property
    def path(self) -> str:
        """The attribute as FiftyOne knows it: ``ground_truth.detections.embedding``."""
        return f"{self._labels}.{self.field}"

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset behind ``samples``."""
        return dataset_of(self.samples)

    @property
    def collection(self) -> Collection:
        """Where MongoDB keeps the documents that the labels are in."""
        return self.dataset._sample_collection

    def with_field(self, field: str) -> "Patches":
        """The same items, and another of their attributes."""
        other = copy.copy(self)  # knows the same samples of items
        other.field = field
        return other

    def ids(self, *, missing: bool = False) -> list[str]:
        """Ids of the items, or of those that have no vector yet, image by image."""
        samples = self.samples
        if missing and samples.get_field(self.path) is not None:
            samples = samples.filter_labels(self.patches_field, ~F(self.field).exists())
        pairs = zip(*samples.values(["id", f"{self._labels}.id"]), strict=True)
        found = {label: sample for sample, labels in pairs for label in _as_list(labels) if label}
        self._sample_of |= found
        return list(found)

    def sources(self, ids: Sequence[str]) -> Iterator[Source]:
        """One file for all of the items in it, unless they are too many for the memory."""
        wanted = set(ids)
        samples = self.sample_ids(ids)
        fields = ["filepath", f"{self._labels}._id", f"{self._labels}.bounding_box"]
        for document in _documents(self.collection, samples, [*fields, f"{self._labels}.points"]):
            labels = _as_list(_value_at(document, self._labels))
            boxes = ((str(label["_id"]), _box(label)) for label in labels)
            remaining = ((key, box) for key, box in boxes if key in wanted)
            while some := dict(islice(remaining, _MOST_CROPS)):
                yield Crops(document["filepath"], some, self.margin)

    def stored(self, ids: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """As :meth:`Images.stored`; fastest where ``ids`` go image by image, as in :meth:`ids`."""
        fields = [f"{self._labels}._id", self.path]
        for start in range(0, len(ids), _PAGE):
            page = ids[start : start + _PAGE]
            found: dict[str, Any] = {}
            for document in _documents(self.collection, self.sample_ids(page), fields):
                for label in _as_list(_value_at(document, self._labels)):
                    found[str(label["_id"])] = label.get(self.field)
            yield from ((key, found[key]) for key in page if found.get(key) is not None)

    def updates(self, rows: Rows, also: dict[str, Any]) -> Iterator[UpdateOne]:
        """Writes values to the attributes of each item by its id, and ``also`` to its sample; once
        a sample, since the database writes all of it each time."""
        by_sample: dict[str, list[str]] = {}
        for key in rows:
            by_sample.setdefault(self.sample_of(key), []).append(key)
        single = self._labels == self.patches_field
        for sample, keys in by_sample.items():
            chosen: dict[str, Any] = {"_id": ObjectId(sample)}
            if single:
                (key,) = keys
                chosen[f"{self._labels}._id"] = ObjectId(key)
                change = {f"{self._labels}.{name}": value for name, value in rows[key].items()}
                yield UpdateOne(chosen, {"$set": {**change, **also}})
                continue
            labels = {f"label{number}": key for number, key in enumerate(keys)}
            change = {
                f"{self._labels}.$[{label}].{name}": value
                for label, key in labels.items()
                for name, value in rows[key].items()
            }
            filters: list[Mapping[str, Any]] = [
                {f"{label}._id": ObjectId(key)} for label, key in labels.items()
            ]
            yield UpdateOne(chosen, {"$set": {**change, **also}}, array_filters=filters)

    def sample_ids(self, keys: Sequence[str]) -> list[str]:
        """The samples of some items, each once."""
        return list(dict.fromkeys(self.sample_of(key) for key in keys))

    def sample_of(self, key: str) -> str:
        """The sample that holds an item."""
        if key not in self._sample_of:
            self.ids()
        return self._sample_of[key]

    def check_field(self, field: str, argument: str) -> None:
        """Raises :class:`DataError` unless :meth:`values` could read the field."""
        if self.samples.get_field(f"{self._labels}.{field}") is None:
            plain_path(self.samples, field, argument)

    def values(self, field: str) -> dict[str, Any]:
        """A plain value by the id of each item: an attribute of the labels, such as ``label``, or
        a field of the samples; raises as :meth:`Images.values` does."""
        own = f"{self._labels}.{field}"
        if self.samples.get_field(own) is not None:
            rows = zip(*self.samples.values([f"{self._labels}.id", own]), strict=True)
            pairs = (zip(_as_list(ids), _as_list(found), strict=True) for ids, found in rows)
            return {key: value for row in pairs for key, value in row}
        path = plain_path(self.samples, field)
        rows = zip(*self.samples.values([f"{self._labels}.id", path]), strict=True)
        return {key: value for ids, value in rows for key in _as_list(ids)}


class Frames:
    """Each frame of a video is one item, its id that of the frame's document.

    Frames are read from and written to the dataset of videos, also where a view of frames was
    given: it is a copy of them, with the same ids. Frames of such a view that the dataset of
    videos has no document of (``to_frames(sample_frames="dynamic")`` without ``sparse=True``)
    have no vector. Frames are not decoded here.

    Args:
        samples: a dataset of videos, a view of one, with the frames that the view has, or
            what ``to_frames()`` gives.
        field: of the frames, without ``frames.`` before it.
    """

    unit = "frames"

    def __init__(self, samples: SampleCollection, field: str):
        self.samples = samples
        self.field = field
        self._prefix = "" if isinstance(samples, FramesView) else FRAMES

    @property
    def path(self) -> str:
        """The field as FiftyOne knows it in the dataset of videos: ``frames.embedding``."""
        return f"{FRAMES}{self.field}"

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset of videos."""
        return dataset_of(self.samples)

    @property
    def collection(self) -> Collection:
        """Where MongoDB keeps the documents of the frames."""
        return self.dataset._frame_collection

    def with_field(self, field: str) -> "Frames":
        """The same items, and another of their fields."""
        return Frames(self.samples, field)

    def ids(self, *, missing: bool = False) -> list[str]:
        """Ids of the items, or of those that have no vector yet, video by video."""
        ids = self.samples.values(f"{self._prefix}id", unwind=True)
        if not missing:
            return ids
        present = {key for key, _ in self.stored(ids)}
        return [key for key in ids if key not in present]

    def sources(self, ids: Sequence[str]) -> Iterator[Source]:
        """Raises :class:`DataError`: frames are not decoded."""
        raise DataError("Frames of videos cannot be read yet; only vectors that they have can be.")

    def stored(self, ids: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """As :meth:`Images.stored`."""
        return _stored(self.collection, ids, self.field)

    def updates(self, rows: Rows, also: dict[str, Any]) -> Iterator[UpdateOne]:
        """Writes values to the fields of each item by its id, and ``also`` to the same document."""
        for key, row in rows.items():
            yield UpdateOne({"_id": ObjectId(key)}, {"$set": {**row, **also}})

    def sample_ids(self, keys: Sequence[str]) -> list[str]:
        """The videos of some items, each once."""
        found = _documents(self.collection, keys, ["_sample_id"])
        return list(dict.fromkeys(str(document["_sample_id"]) for document in found))

    def check_field(self, field: str, argument: str) -> None:
        """Raises :class:`DataError` unless :meth:`values` could read the field."""
        plain_path(self.samples, f"{self._prefix}{field}", argument)

    def values(self, field: str) -> dict[str, Any]:
        """A plain value by the id of each item; raises as :meth:`Images.values` does."""
        path = plain_path(self.samples, f"{self._prefix}{field}")
        found = self.samples.values([f"{self._prefix}id", path], unwind=True)
        return dict(zip(*found, strict=True))


Target = Images | Patches | Frames


def target(
    samples: SampleCollection,
    field: str,
    *,
    patches_field: str | None = None,
    margin: float = 0.0,
    slices: "str | Sequence[str] | None" = None,
) -> Target:
    """The items of ``samples``, and where their vectors go.

    Args:
        samples: a dataset or view; a view of frames means these.
        field: name of the vector field, or attribute of the labels; ``"frames.embedding"`` means
            the frames of a dataset of videos.
        patches_field: the objects in the images instead of the images.
        margin: around each object, see :class:`~uvl_plugin.media.sources.Crops`.
        slices: of a grouped dataset, which slices; None: all of images.

    Raises:
        DataError: if there is nothing of this kind to work on.
        SettingsError: if the margin is negative.
    """
    if patches_field is None and not slices and _means_frames(samples, field):
        check_frames(samples)
        return Frames(samples, field.removeprefix(FRAMES))
    samples = flattened(samples, slices)
    check_samples(samples)
    if patches_field is None:
        return Images(samples, field)
    if not 0 <= margin <= 10:
        raise SettingsError(f"margin must be 0 to 10, got {margin!r}.", "margin")
    return Patches(samples, field, patches_field, margin)


def files(samples: SampleCollection) -> Images:
    """The files of ``samples``, of any media type; of a grouped dataset those of all image slices.

    Raises:
        DataError: if they are parts of samples, or if there are none.
    """
    samples = flattened(samples)
    if not isinstance(samples, SampleCollection) or samples._is_generated:
        raise DataError("samples must be a FiftyOne dataset, or a view of whole samples.")
    _check_any(samples)
    return Images(samples, "filepath")


def flattened(
    samples: SampleCollection, slices: "str | Sequence[str] | None" = None
) -> SampleCollection:
    """The slices of a grouped dataset or view as one view; anything else as it is.

    Raises:
        DataError: if there is no such slice, or slices are named where there are no groups.
    """
    if not isinstance(samples, SampleCollection) or samples.media_type != "group":
        if slices:
            raise DataError("slices can be chosen only in a grouped dataset.", "slices")
        return samples
    images = image_slices(samples)
    chosen = [slices] if isinstance(slices, str) else list(slices or images)
    unknown = [name for name in chosen if name not in images]
    if unknown or not chosen:
        raise DataError(
            f"'{dataset_of(samples).name}' has no image slice {', '.join(map(repr, unknown))}. "
            f"Image slices: {', '.join(images) or 'none'}.",
            "slices",
        )
    return samples.select_group_slices(chosen)


def image_slices(samples: SampleCollection) -> list[str]:
    """Names of the slices of a grouped dataset that hold images; none where it is not grouped."""
    media_types = samples.group_media_types or {}
    return [name for name, media_type in media_types.items() if media_type == "image"]


def dataset_of(samples: SampleCollection) -> Dataset:
    """The dataset behind a view, or the dataset itself."""
    return samples._root_dataset


def check_samples(samples: SampleCollection) -> None:
    """Checks that ``samples`` are images, one file a sample.

    Raises:
        DataError: if they are not, or if there are none.
    """
    if not isinstance(samples, SampleCollection):
        raise DataError(
            f"samples must be a FiftyOne dataset or view, got {type(samples).__name__}."
        )
    if samples._is_generated:
        raise DataError(
            "A view of patches, frames or clips cannot be used; pass the dataset or a view of "
            "whole samples, and for patches the field of the objects (patches_field)."
        )
    if samples.media_type is not None and samples.media_type != "image":
        raise DataError(
            f"'{samples.name or dataset_of(samples).name}' holds media of type "
            f"'{samples.media_type}', and only images can be used yet"
            + ("; select a slice first." if samples.media_type == "group" else ".")
        )
    _check_any(samples)


def _means_frames(samples: SampleCollection, field: str) -> bool:
    if isinstance(samples, FramesView):
        return True
    return field.startswith(FRAMES) and getattr(samples, "media_type", None) == "video"


def check_frames(samples: SampleCollection) -> None:
    """Checks that ``samples`` are videos, or frames of them.

    Raises:
        DataError: if they are not, or if there are none.
    """
    if samples._is_generated and not isinstance(samples, FramesView):
        raise DataError("A view of clips cannot be used; pass the dataset of videos or a view.")
    _check_any(samples)


def _check_any(samples: SampleCollection) -> None:
    if not samples:
        raise DataError(f"There are no samples in '{samples.name or dataset_of(samples).name}'.")


def patch_fields(samples: SampleCollection) -> list[str]:
    """Names of the fields that hold objects with a box or an outline."""
    schema = samples.get_field_schema(ftype=fo.EmbeddedDocumentField)
    kinds = (*_LISTS, *_SINGLE)
    return [name for name, field in schema.items() if field.document_type in kinds]


def plain_path(samples: SampleCollection, field: str, argument: str | None = None) -> str:
    """The path of a field's plain value: of a ``Classification`` that of its label.

    Args:
        argument: that named the field, for the error.

    Raises:
        DataError: if there is no such field, or it is of another kind.
    """
    existing = samples.get_field(field)
    if existing is None:
        raise DataError(f"'{dataset_of(samples).name}' has no field '{field}'.", argument)
    if getattr(existing, "document_type", None) is fo.Classification:
        return f"{field}.label"
    if isinstance(existing, _PLAIN):
        return field
    raise DataError(
        f"'{field}' must be a Classification or a field of plain values, and is {existing}.",
        argument,
    )


def _labels_path(samples: SampleCollection, patches_field: str) -> str:
    known = patch_fields(samples)
    if patches_field not in known:
        hint = f"Fields of objects: {', '.join(known)}." if known else "It has no objects."
        raise DataError(
            f"'{dataset_of(samples).name}' has no detections or polylines in '{patches_field}'. "
            f"{hint}",
            "patches_field",
        )
    inner = _LISTS.get(samples.get_field(patches_field).document_type)
    return f"{patches_field}.{inner}" if inner else patches_field


def _documents(
    collection: Collection, ids: Sequence[str], fields: list[str]
) -> Iterator[dict[str, Any]]:
    """Some fields of documents as MongoDB keeps them, in the order of ``ids``; deleted ones are
    left out."""
    projection = dict.fromkeys(fields, 1)
    for start in range(0, len(ids), _PAGE):
        page = [ObjectId(key) for key in ids[start : start + _PAGE]]
        found = collection.find({"_id": {"$in": page}}, projection)
        documents = {document["_id"]: document for document in found}
        yield from (documents[key] for key in page if key in documents)


def _stored(collection: Collection, ids: Sequence[str], path: str) -> Iterator[tuple[str, Any]]:
    for document in _documents(collection, ids, [path]):
        value = _value_at(document, path)
        if value is not None:
            yield str(document["_id"]), value


def _value_at(document: Any, path: str) -> Any:
    """What a document holds at a path of names with dots between them; None if there is nothing."""
    for name in path.split("."):
        document = (document or {}).get(name)
    return document


def _box(label: dict) -> Box:
    if label.get("bounding_box") is not None and len(label["bounding_box"]) == 4:
        return tuple(label["bounding_box"])
    points = [point for outline in label.get("points") or () for point in outline]
    if not points:
        return _NO_BOX
    across, down = zip(*points, strict=True)
    left, top = min(across), min(down)
    return left, top, max(across) - left, max(down) - top


def _as_list(labels: Any) -> list:
    if labels is None:
        return []
    return labels if isinstance(labels, list) else [labels]

"""Each labelled part of a sample as one item: an object in an image, a clip of a video."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

import fiftyone as fo
from bson import ObjectId
from fiftyone import ViewField as F
from fiftyone.core.collections import SampleCollection
from fiftyone.core.dataset import Dataset
from pymongo import UpdateOne
from pymongo.collection import Collection

from uvl_plugin.adapter.documents import PAGE, Rows, documents, value_at
from uvl_plugin.adapter.samples import dataset_of, plain_path
from uvl_plugin.core.errors import DataError
from uvl_plugin.media.sources import Box, Crops, Source

_MOST_CROPS = 512  # of one image that are in memory at once
_NO_BOX: Box = (float("nan"),) * 4
_LISTS = {fo.Detections: "detections", fo.Polylines: "polylines"}
_SINGLE = (fo.Detection, fo.Polyline)
_CLIP_LISTS = {fo.TemporalDetections: "detections"}
_CLIP_SINGLE = (fo.TemporalDetection,)


class Patches:
    """Each object in an image is one item, its id the label's; its vector is kept on the label.

    Args:
        samples: a dataset or view; labels that a view filters out are left out.
        field: attribute of the labels where the vectors go.
        patches_field: field of ``Detections``, ``Detection``, ``Polylines`` or ``Polyline``; of
            :class:`Clips` of ``TemporalDetections`` or ``TemporalDetection``.
        margin: see :class:`~uvl_plugin.media.sources.Crops`.

    Raises:
        DataError: if there is no such field of objects.
    """

    unit = "objects"

    def __init__(
        self, samples: SampleCollection, field: str, patches_field: str, margin: float = 0.0
    ):
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
        for document in documents(self.collection, samples, [*fields, f"{self._labels}.points"]):
            labels = _as_list(value_at(document, self._labels))
            boxes = ((str(label["_id"]), _box(label)) for label in labels)
            remaining = ((key, box) for key, box in boxes if key in wanted)
            while some := dict(islice(remaining, _MOST_CROPS)):
                yield Crops(document["filepath"], some, self.margin)

    def stored(self, ids: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """As :meth:`Images.stored`; fastest where ``ids`` go image by image, as in :meth:`ids`."""
        fields = [f"{self._labels}._id", self.path]
        for start in range(0, len(ids), PAGE):
            page = ids[start : start + PAGE]
            found: dict[str, Any] = {}
            for document in documents(self.collection, self.sample_ids(page), fields):
                for label in _as_list(value_at(document, self._labels)):
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


class Clips(Patches):
    """Each clip of a video is one item, its id that of the temporal detection; its vector, made of
    those of its frames by :func:`uvl_plugin.pool`, is kept on the label. There are no sources."""

    unit = "clips"

    def supports(self) -> Iterator[tuple[str, str, tuple[int, int]]]:
        """Video, clip, and the first and last frame number of each clip, read page by page."""
        videos = self.samples.values("id")
        fields = [f"{self._labels}._id", f"{self._labels}.support"]
        wanted = set(self.ids())
        for document in documents(self.collection, videos, fields):
            for label in _as_list(value_at(document, self._labels)):
                key = str(label["_id"])
                if key in wanted and label.get("support"):
                    first, last = label["support"]
                    yield str(document["_id"]), key, (first, last)


def parts(
    samples: SampleCollection, field: str, patches_field: str, margin: float = 0.0
) -> Patches:
    """The labels of ``patches_field`` as items: objects, or clips where it holds temporal ones."""
    kind = Clips if patches_field in clip_fields(samples) else Patches
    return kind(samples, field, patches_field, margin)


def patch_fields(samples: SampleCollection) -> list[str]:
    """Names of the fields that hold objects with a box or an outline."""
    return _fields_of(samples, (*_LISTS, *_SINGLE))


def clip_fields(samples: SampleCollection) -> list[str]:
    """Names of the fields that hold clips: temporal detections."""
    return _fields_of(samples, (*_CLIP_LISTS, *_CLIP_SINGLE))


def _fields_of(samples: SampleCollection, kinds: Sequence[type]) -> list[str]:
    schema = samples.get_field_schema(ftype=fo.EmbeddedDocumentField)
    return [name for name, field in schema.items() if field.document_type in kinds]


def _labels_path(samples: SampleCollection, patches_field: str) -> str:
    is_video = samples.media_type == "video"
    known = clip_fields(samples) if is_video else patch_fields(samples)
    if patches_field not in known:
        what = "clips" if is_video else "objects"
        kind = "temporal detections" if is_video else "detections or polylines"
        hint = f"Fields of {what}: {', '.join(known)}." if known else f"It has no {what}."
        raise DataError(
            f"'{dataset_of(samples).name}' has no {kind} in '{patches_field}'. {hint}",
            "patches_field",
        )
    inner = (_LISTS | _CLIP_LISTS).get(samples.get_field(patches_field).document_type)
    return f"{patches_field}.{inner}" if inner else patches_field


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

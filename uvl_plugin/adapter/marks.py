"""Where a person's decisions about items stand: tags, and a field of frames."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

import fiftyone as fo
from bson import ObjectId
from fiftyone import ViewField as F
from fiftyone.core.expressions import ViewExpression

from uvl_plugin.adapter import target
from uvl_plugin.adapter.fields import add_field
from uvl_plugin.adapter.frames import FRAMES, Frames
from uvl_plugin.adapter.matching import count
from uvl_plugin.adapter.parts import Patches, clip_fields, parts, patch_fields
from uvl_plugin.adapter.runs import origin_of
from uvl_plugin.adapter.samples import flattened
from uvl_plugin.adapter.target import Target
from uvl_plugin.adapter.vectors import reload_samples
from uvl_plugin.core.errors import DataError

KEEP, EXCLUDE = "keep", "exclude"
DECISIONS = (KEEP, EXCLUDE)
FRAME_FIELD = "review"  # frames have no tags in FiftyOne


def decided(items: Target, decisions: Sequence[str]) -> ViewExpression:
    """The condition that a person has decided one of these about an item."""
    if isinstance(items, Frames):
        return F(FRAME_FIELD).is_in(list(decisions))
    return F("tags").contains(list(decisions))


class Marks(ABC):
    """Where decisions about items of one kind stand.

    Args:
        dataset: that they are in.
        name: of the kind: ``"samples"``, ``"frames"``, or the field of the labels.
    """

    def __init__(self, dataset: fo.Dataset, name: str):
        self.dataset = dataset
        self.name = name

    @abstractmethod
    def known(self, ids: Sequence[ObjectId]) -> Iterator[tuple[str, str | None]]:
        """Id and decision of those that are items of this kind."""

    @abstractmethod
    def write(self, ids: Sequence[ObjectId], decision: str | None) -> None:
        """Writes one decision about items, in place of those before."""

    @property
    @abstractmethod
    def items(self) -> Target:
        """All items of this kind."""

    def n_decided(self, decision: str) -> int:
        """About how many items this was decided."""
        return count(self.items, decided(self.items, [decision]))


class SampleMarks(Marks):
    """Tags of samples."""

    @property
    def items(self) -> Target:
        return target.whole_samples(flattened(self.dataset), "filepath")

    def known(self, ids: Sequence[ObjectId]) -> Iterator[tuple[str, str | None]]:
        found = self.dataset._sample_collection.find({"_id": {"$in": list(ids)}}, {"tags": 1})
        return ((str(document["_id"]), _decision(document.get("tags"))) for document in found)

    def write(self, ids: Sequence[ObjectId], decision: str | None) -> None:
        for change in _changes("tags", decision):
            self.dataset._sample_collection.update_many({"_id": {"$in": list(ids)}}, change)
        reload_samples(self.dataset, [str(key) for key in ids])


class LabelMarks(Marks):
    """Tags of objects or clips."""

    @property
    def items(self) -> Patches:
        return parts(flattened(self.dataset), "label", self.name)

    @property
    def _labels(self) -> str:
        return self.items.path.removesuffix(".label")

    def known(self, ids: Sequence[ObjectId]) -> Iterator[tuple[str, str | None]]:
        labels = self._labels
        chosen = {"$match": {f"{labels}._id": {"$in": list(ids)}}}
        only = {"$project": {f"{labels}._id": 1, f"{labels}.tags": 1}}
        found = self.dataset._sample_collection.aggregate(
            [chosen, only, {"$unwind": f"${labels}"}, chosen]
        )
        for document in found:
            label: Any = document
            for name in labels.split("."):
                label = label[name]
            yield str(label["_id"]), _decision(label.get("tags"))

    def write(self, ids: Sequence[ObjectId], decision: str | None) -> None:
        labels, collection = self._labels, self.dataset._sample_collection
        chosen: dict[str, Any] = {f"{labels}._id": {"$in": list(ids)}}
        samples = collection.distinct("_id", chosen)
        path, filters = f"{labels}.tags", None
        if labels != self.name:  # a list of labels
            path, filters = f"{labels}.$[label].tags", [{"label._id": {"$in": list(ids)}}]
            chosen = {"_id": {"$in": samples}}
        for change in _changes(path, decision):
            collection.update_many(chosen, change, array_filters=filters)
        reload_samples(self.dataset, [str(key) for key in samples])


class FrameMarks(Marks):
    """A plain field of frames, since these have no tags."""

    @property
    def items(self) -> Frames:
        return Frames(self.dataset, FRAME_FIELD)

    def known(self, ids: Sequence[ObjectId]) -> Iterator[tuple[str, str | None]]:
        found = self.dataset._frame_collection.find({"_id": {"$in": list(ids)}}, {FRAME_FIELD: 1})
        return ((str(document["_id"]), document.get(FRAME_FIELD)) for document in found)

    def write(self, ids: Sequence[ObjectId], decision: str | None) -> None:
        path = f"{FRAMES}{FRAME_FIELD}"
        made_by = origin_of(self.dataset, path).get("made_by")
        if self.dataset.get_field(path) is None:
            info = {"uvl": {"made_by": FRAME_FIELD}}
            add_field(self.dataset, path, fo.StringField, info=info)
        elif made_by != FRAME_FIELD:
            raise DataError(
                f"Decisions about frames go to '{path}', and there is another field of this name; "
                "rename that one first."
            )
        collection, chosen = self.dataset._frame_collection, {"_id": {"$in": list(ids)}}
        now = {"last_modified_at": datetime.now(timezone.utc)}
        collection.update_many(chosen, {"$set": {FRAME_FIELD: decision, **now}})
        videos = [str(key) for key in collection.distinct("_sample_id", chosen)]
        fo.Frame._reload_docs(self.dataset._frame_collection_name, sample_ids=videos)

    def n_decided(self, decision: str) -> int:
        there = self.dataset.get_field(f"{FRAMES}{FRAME_FIELD}") is not None
        return super().n_decided(decision) if there else 0


def all_marks(dataset: fo.Dataset) -> list[Marks]:
    """Every kind of item that a dataset has."""
    made: list[Marks] = [SampleMarks(dataset, "samples")]
    is_video = dataset.media_type == "video"
    if is_video:
        made.append(FrameMarks(dataset, "frames"))
    fields = clip_fields(dataset) if is_video else patch_fields(flattened(dataset))
    return made + [LabelMarks(dataset, name) for name in fields]


def _decision(tags: Sequence[str] | None) -> str | None:
    return next((tag for tag in tags or () if tag in DECISIONS), None)


def _changes(path: str, decision: str | None) -> list[dict[str, Any]]:
    """Both tags go, then one comes: MongoDB does not do both at once. What fails between leaves
    items about which nothing is decided."""
    now = {"$set": {"last_modified_at": datetime.now(timezone.utc)}}
    changes = [{"$pull": {path: {"$in": list(DECISIONS)}}, **now}]
    return changes + ([{"$addToSet": {path: decision}, **now}] if decision else [])

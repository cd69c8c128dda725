"""What a report reads of the items of a dataset: findings of other verbs, by aggregations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId
from fiftyone.core.collections import SampleCollection
from fiftyone.core.view import DatasetView

from uvl_plugin.adapter.frames import FRAMES, Frames
from uvl_plugin.adapter.images import whole_samples
from uvl_plugin.adapter.parts import Patches, parts
from uvl_plugin.adapter.samples import dataset_of
from uvl_plugin.adapter.target import Target

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """A field in which a verb noted something about each item.

    Attributes:
        items: that have it, with the field.
        asked: what the verb noted with the field.
    """

    items: Target
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The field without what stands before it in its path."""
        return self.items.field


def findings(samples: SampleCollection, verb: str, ending: str = "") -> list[Finding]:
    """The fields that a verb made, of any kind of item, those made last first."""
    dataset = dataset_of(samples)
    schema = dict(dataset.get_field_schema(flat=True))
    frames = dataset.get_frame_field_schema(flat=True) or {}
    schema |= {f"{FRAMES}{path}": known for path, known in frames.items()}
    found = []
    for path, known in schema.items():
        noted = (known.info or {}).get("uvl", {})
        if noted.get("made_by") == verb and path.endswith(ending):
            found.append((str(known.created_at), Finding(items_of(samples, path), noted)))
    return [finding for _, finding in sorted(found, key=lambda one: one[0], reverse=True)]


def items_of(samples: SampleCollection, path: str) -> Target:
    """The items that have a field, by its path as FiftyOne knows it."""
    name = path.rpartition(".")[2]
    if path.startswith(FRAMES):
        return Frames(samples, name)
    if "." in path:
        return parts(samples, name, path.partition(".")[0])
    return whole_samples(samples, name)


def aggregate(items: Target, stages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs stages of MongoDB over the documents of the items, one document an item."""
    samples = items.samples
    if isinstance(items, Frames):
        chosen: list[dict[str, Any]] = []
        if isinstance(samples, DatasetView):
            videos = [ObjectId(key) for key in items.video_ids]
            chosen = [{"$match": {"_sample_id": {"$in": videos}}}]
        return list(items.collection.aggregate([*chosen, *stages], allowDiskUse=True))
    if isinstance(items, Patches):
        labels = items.path.removesuffix(f".{items.field}")
        own: list[dict[str, Any]] = [
            {"$project": {"label": f"${labels}"}},
            {"$unwind": "$label"},
            {"$replaceRoot": {"newRoot": "$label"}},
        ]
        stages = [*own, *stages]
    return list(samples._aggregate(pipeline=list(stages)))


def count(items: Target, condition: Mapping[str, Any]) -> int:
    """How many items meet a condition of MongoDB."""
    found = aggregate(items, [{"$match": condition}, {"$count": "n"}])
    return found[0]["n"] if found else 0


def counts_of(items: Target, path: str) -> dict[Any, int]:
    """How many items have each value, the commonest first; those without one are left out."""
    stages: list[dict[str, Any]] = [
        {"$match": {path: {"$ne": None}}},
        {"$group": {"_id": f"${path}", "n": {"$sum": 1}}},
        {"$sort": {"n": -1, "_id": 1}},
    ]
    return {found["_id"]: found["n"] for found in aggregate(items, stages)}


def rows(
    items: Target,
    condition: Mapping[str, Any],
    fields: Sequence[str],
    order: Mapping[str, int],
    most: int,
) -> list[Row]:
    """The first items in an order that meet a condition: their ``id`` and some fields."""
    stages: list[dict[str, Any]] = [
        {"$match": condition},
        {"$project": dict.fromkeys(["_id", *fields], 1)},
        {"$sort": {**order, "_id": 1}},
        {"$limit": most},
    ]
    return [{**found, "id": str(found["_id"])} for found in aggregate(items, stages)]


def values_of(items: Target, ids: Sequence[str], path: str) -> dict[str, Any]:
    """A value by the id of each of some items; ``path`` within the document of an item."""
    wanted = {"_id": {"$in": [ObjectId(key) for key in ids]}}
    stages: list[dict[str, Any]] = [
        {"$match": wanted},
        {"$project": {"value": f"${path}"}},
    ]
    return {str(found["_id"]): found.get("value") for found in aggregate(items, stages)}


def within(items: Target, path: str) -> str:
    """A path as FiftyOne knows it, within the document of an item."""
    return path.removeprefix(items.path.removesuffix(items.field))

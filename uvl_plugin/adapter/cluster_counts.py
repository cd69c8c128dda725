"""What the fields of a clustering say of each cluster: counted by the database, nothing is loaded.

Everything here is one aggregation, of the dataset or of what a view shows of it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import fiftyone as fo
from bson import ObjectId
from fiftyone.core.clips import ClipsView
from fiftyone.core.collections import SampleCollection
from fiftyone.core.patches import PatchesView
from fiftyone.core.video import FramesView

from uvl_plugin.adapter.cluster_fields import ClusterField
from uvl_plugin.adapter.frames import FRAMES, Frames
from uvl_plugin.adapter.parts import Clips, Patches
from uvl_plugin.adapter.samples import flattened, plain_path
from uvl_plugin.adapter.target import Target

_TOP = 6  # ids of each cluster
_IDS = 100_000  # in one request: MongoDB takes 16 MiB, about 800,000
_OWN = ("id", "filepath", "mask_path", "map_path")  # FiftyOne's own text, which is no label

Stages = list[dict[str, Any]]


@dataclass(frozen=True)
class Count:
    """What is known of one name.

    Attributes:
        size: items that have it.
        firmness: mean of their strengths, 0 to 1; None where they have none.
        firmest: ids of those with the greatest strengths, at most 6, the firmest first.
    """

    size: int
    firmness: float | None = None
    firmest: tuple[str, ...] = ()


def counts(place: ClusterField, name: str, among: Iterable[str] | None = None) -> dict[str, Count]:
    """Size, firmness and firmest items of each cluster of the dataset, by its name.

    Args:
        name: of the field that has the names: that of the clusters, or of the other level.
        among: only these names, which an index finds; None: all, noise too.
    """
    text, strength = _inner(place, place.text_of(name)), _inner(place, _strength(place))
    top = {"n": _TOP, "sortBy": {strength: -1, _id(place): 1}, "output": f"${_id(place)}"}
    group = {
        "_id": f"${text}",
        "size": {"$sum": 1},
        "firmness": {"$avg": f"${strength}"},
        "firmest": {"$topN": top},
    }
    chosen = None if among is None else {text: {"$in": list(among)}}
    found = _everything(place, [{"$group": group}], chosen)
    return {
        row["_id"]: Count(row["size"], row["firmness"], tuple(map(str, row["firmest"])))
        for row in found
        if row["_id"] is not None
    }


def shown(place: ClusterField, name: str, samples: SampleCollection) -> dict[str, int] | None:
    """How many items of each cluster are in a view, by its name; None where ``samples`` are the
    whole dataset."""
    if isinstance(samples, fo.Dataset) or not samples._all_stages:
        return None
    text = _inner(place, place.text_of(name))
    group: Stages = [{"$group": {"_id": f"${text}", "size": {"$sum": 1}}}]
    sizes: dict[str, int] = {}
    for row in _in_view(place, samples, group):
        if row["_id"] is not None:
            sizes[row["_id"]] = sizes.get(row["_id"], 0) + row["size"]
    return sizes


def pairs(place: ClusterField, name: str, labels: str) -> dict[str, dict[str, int]]:
    """How many items of each cluster have each label, by the name of the cluster; those without
    a label are left out.

    Args:
        labels: a field of the items, see :func:`label_fields`.

    Raises:
        DataError: if there is no such field, or it is of another kind.
    """
    text, label = _inner(place, place.text_of(name)), _inner(place, _label_path(place, labels))
    group = {"_id": {"cluster": f"${text}", "label": f"${label}"}, "size": {"$sum": 1}}
    found: dict[str, dict[str, int]] = {}
    for row in _everything(place, [{"$group": group}]):
        cluster, value = row["_id"].get("cluster"), row["_id"].get("label")
        if cluster is not None and value is not None:
            found.setdefault(cluster, {})[str(value)] = row["size"]
    return found


def label_fields(place: ClusterField) -> tuple[str, ...]:
    """Fields with a label of each item: a ``Classification`` or text, that a clustering of this
    plugin did not write; of frames ``frames.weather``, of objects also attributes: ``label``."""
    items = place.items
    if isinstance(items, Frames):
        schema = items.dataset.get_frame_field_schema() or {}
        return tuple(f"{FRAMES}{name}" for name, field in schema.items() if _is_label(name, field))
    own = items.dataset.get_field_schema()
    found = tuple(name for name, field in own.items() if _is_label(name, field))
    if not isinstance(items, Patches):
        return found
    before = _before(items)
    flat = items.dataset.get_field_schema(flat=True)
    beside = (
        (path.removeprefix(before), field)
        for path, field in flat.items()
        if path.startswith(before)
    )
    return (*(name for name, field in beside if _is_label(name, field)), *found)


def _is_label(name: str, field: fo.Field) -> bool:
    if "." in name or name in _OWN or "uvl" in (field.info or {}):
        return False
    kind = getattr(field, "document_type", None)
    return kind is fo.Classification or type(field) is fo.StringField


def _label_path(place: ClusterField, labels: str) -> str:
    """The path of a label's text in the dataset."""
    items = place.items
    if isinstance(items, Frames):
        return plain_path(items.dataset, FRAMES + labels.removeprefix(FRAMES), "labels")
    own = f"{_before(items)}{labels}"
    if isinstance(items, Patches) and items.dataset.get_field(own) is not None:
        return own
    return plain_path(items.dataset, labels, "labels")


def _before(items: Target) -> str:
    """What stands before the name of a field in its path: ``frames.``, ``things.detections.``."""
    return items.path.removesuffix(items.field)


def _inner(place: ClusterField, path: str) -> str:
    """A path in the documents that are aggregated: those of the frames know no ``frames.``."""
    return path.removeprefix(FRAMES) if isinstance(place.items, Frames) else path


def _strength(place: ClusterField) -> str:
    return place.path_of(place.attribute("confidence"))


def _id(place: ClusterField) -> str:
    items = place.items
    return f"{_before(items)}_id" if isinstance(items, Patches) else "_id"


def _unwound(place: ClusterField, condition: dict[str, Any] | None) -> Stages:
    """Documents, or those whose items meet a condition, to one for each item."""
    matching: Stages = [] if condition is None else [{"$match": condition}]
    items = place.items
    labels = _before(items).removesuffix(".")
    if not isinstance(items, Patches) or labels == items.patches_field:  # one item a document
        return matching
    return [*matching, {"$unwind": f"${labels}"}, *matching]


def _everything(
    place: ClusterField, stages: Stages, condition: dict[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    pipeline = [*_unwound(place, condition), *stages]
    samples = place.items.samples
    if isinstance(place.items, Frames) or isinstance(samples, fo.Dataset):
        yield from place.items.collection.aggregate(pipeline, allowDiskUse=True)
    else:  # the slices of a grouped dataset
        yield from samples._aggregate(post_pipeline=pipeline)


def _in_view(
    place: ClusterField, samples: SampleCollection, stages: Stages
) -> Iterator[dict[str, Any]]:
    if isinstance(samples, PatchesView | ClipsView | FramesView):
        yield from _in_generated(place, samples, stages)
        return
    pipeline = [*_unwound(place, None), *stages]
    of_frames = isinstance(place.items, Frames)
    yield from flattened(samples)._aggregate(frames_only=of_frames, post_pipeline=pipeline)


def _in_generated(
    place: ClusterField, samples: SampleCollection, stages: Stages
) -> Iterator[dict[str, Any]]:
    """Of a view whose samples are parts: a copy, that may be older than the clusters, so that
    only its ids count. Parts of another kind count as the samples that they are in."""
    if _shows(place.items, samples):
        ids, path = samples.values("id"), _id(place)
    else:
        ids = list(dict.fromkeys(samples.values("sample_id")))
        path = "_sample_id" if isinstance(place.items, Frames) else "_id"
    left = iter(ids)
    while some := [ObjectId(key) for key in islice(left, _IDS)]:
        yield from _everything(place, stages, {path: {"$in": some}})


def _shows(items: Target, samples: SampleCollection) -> bool:
    """Whether the samples of a generated view are such items."""
    if isinstance(samples, FramesView):
        return isinstance(items, Frames)
    if isinstance(samples, ClipsView):
        field = samples._clips_stage.field_or_expr
        return isinstance(items, Clips) and field == items.patches_field
    field = getattr(samples._patches_stage, "field", None)  # one of an evaluation has none
    return isinstance(items, Patches) and field == items.patches_field

"""What was found about single items, as queues; and what a person decided about them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import fiftyone as fo
from bson import ObjectId
from fiftyone import ViewField as F
from fiftyone.core.collections import SampleCollection
from fiftyone.core.expressions import ViewExpression
from fiftyone.operators.store import ExecutionStore

from uvl_plugin.adapter import target
from uvl_plugin.adapter.clusterings import clustering_keys, open_clustering
from uvl_plugin.adapter.fields import add_field
from uvl_plugin.adapter.frames import FRAMES, Frames
from uvl_plugin.adapter.parts import Clips, Patches, clip_fields, parts, patch_fields
from uvl_plugin.adapter.runs import origin_of
from uvl_plugin.adapter.samples import flattened
from uvl_plugin.adapter.target import Target
from uvl_plugin.adapter.vectors import reload_samples
from uvl_plugin.adapter.views import frames_view
from uvl_plugin.core.errors import DataError

KEEP, EXCLUDE = "keep", "exclude"
DECISIONS = (KEEP, EXCLUDE)
FRAME_FIELD = "review"  # frames have no tags in FiftyOne
_PAGE = 10_000  # ids in one request: MongoDB takes 16 MiB
_PORTION = 200_000  # ids in one note of what was decided before
_NOTES = 20  # decisions that can be taken back
_SAID = "Decided in a review; nothing was deleted."
_PICKS = "Picked for labelling"
# what the verbs find: label of the queue, which of their fields says so, by which it is sorted
_FOUND = {
    "find_outliers": ("Outliers", "", "", -1),
    "find_duplicates": ("Near-duplicates", "_of", "_group", 1),
    "find_copies": ("Copies", "_of", "_group", 1),
    "find_poor_images": ("Poor images", "_issue", "_issue", 1),
    "select": (_PICKS, "", "", 1),
}


@dataclass(frozen=True)
class Found:
    """Items that a verb has found.

    Attributes:
        name: of the queue: the field that says so, or the run and "suspects".
        label: for a person.
        items: images, objects, frames or clips.
        condition: on the fields of an item.
        order: by which fields of an item they are shown: 1 upwards, -1 downwards.
    """

    name: str
    label: str
    items: Target
    condition: ViewExpression
    order: tuple[tuple[str, int], ...] = ()

    @property
    def _open(self) -> ViewExpression:
        return self.condition & ~decided(self.items, DECISIONS)

    def counts(self) -> tuple[int, int]:
        """How many there are, and about how many nothing was decided yet."""
        return count(self.items, self.condition), count(self.items, self._open)

    def view(self, *, only_open: bool) -> SampleCollection:
        """Them, each in a tile of its own."""
        return view_of(self.items, self._open if only_open else self.condition, self.order)


def queues(dataset: fo.Dataset) -> list[Found]:
    """What the verbs have found and noted in the dataset; the picks last."""
    if not len(dataset):
        return []
    paths = list(dataset.get_field_schema(flat=True))
    paths += [f"{FRAMES}{path}" for path in dataset.get_frame_field_schema(flat=True) or {}]
    origins = {path: origin_of(dataset, path) for path in paths}
    found = [one for path, origin in origins.items() if (one := _found_in(dataset, path, origin))]
    found += [one for key in clustering_keys(dataset) if (one := _suspects(dataset, key))]
    return sorted(found, key=lambda one: one.label.startswith(_PICKS))


def _found_in(dataset: fo.Dataset, path: str, origin: Mapping[str, Any]) -> Found | None:
    verb = origin.get("made_by")
    if verb not in _FOUND:
        return None
    label, suffix, by, direction = _FOUND[verb]
    before, _, name = path.rpartition(".")
    if not name.endswith(suffix) or _is_beside(dataset, path, origin):
        return None
    items = _items(dataset, before, name)
    condition = F(name) > origin["cut"] if verb == "find_outliers" else F(name).exists()
    order = ((name.removesuffix(suffix) + by, direction),)
    return Found(path, f"{label}{_which(items)}", items, condition, order)


def _is_beside(dataset: fo.Dataset, path: str, origin: Mapping[str, Any]) -> bool:
    """Whether a field stands beside another one of the same verb that says it already."""
    if _FOUND[origin["made_by"]][1]:
        return False
    shorter = (path[:end] for end, letter in enumerate(path) if letter == "_")
    return any(origin_of(dataset, p).get("made_by") == origin["made_by"] for p in shorter)


def _items(dataset: fo.Dataset, before: str, name: str) -> Target:
    if f"{before}." == FRAMES:
        return target.frames_of_videos(dataset, f"{FRAMES}{name}")
    samples = flattened(dataset)
    if before:
        return parts(samples, name, before.split(".")[0])
    return target.whole_samples(samples, name)


def _which(items: Target) -> str:
    if isinstance(items, Patches):
        return f", {items.patches_field}"
    return ", frames" if isinstance(items, Frames) else ""


def _suspects(dataset: fo.Dataset, run_key: str) -> Found | None:
    """Items whose label may be wrong, by the last evaluation of a run."""
    evaluation = dataset.get_run_info(run_key).config.evaluation
    ids = [suspect["id"] for suspect in (evaluation or {}).get("suspects", ())]
    if not ids:
        return None
    items = open_clustering(dataset, run_key).items
    which = F("_id").to_string().is_in(ids)
    return Found(f"{run_key} suspects", f"Labels that may be wrong, {run_key}", items, which)


def decided(items: Target, decisions: Sequence[str]) -> ViewExpression:
    """The condition that a person has decided one of these about an item."""
    if isinstance(items, Frames):
        return F(FRAME_FIELD).is_in(list(decisions))
    return F("tags").contains(list(decisions))


def count(items: Target, condition: ViewExpression) -> int:
    """How many items meet a condition on their fields."""
    if isinstance(items, Patches):
        found = items.samples.filter_labels(items.patches_field, condition)
        return int(found.count(items.path.removesuffix(f".{items.field}")))
    if isinstance(items, Frames):
        return int(items.samples.match_frames(condition).count("frames"))
    return int(items.samples.match(condition).count())


def view_of(
    items: Target, condition: ViewExpression, order: Sequence[tuple[str, int]] = ()
) -> SampleCollection:
    """The items that meet a condition, each in a tile of its own."""
    before = ""
    if isinstance(items, Patches):
        view = items.samples.filter_labels(items.patches_field, condition)
        if items.path != f"{items.patches_field}.{items.field}":  # a list of labels
            make = view.to_clips if isinstance(items, Clips) else view.to_patches
            view = make(items.patches_field)
        before = f"{items.patches_field}."
    elif isinstance(items, Frames):
        view = frames_view(items.samples.match_frames(condition))
    else:
        view = items.samples.match(condition)
    if not order:
        return view
    return view.sort_by([(f"{before}{name}", direction) for name, direction in order])


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


def decide(dataset: fo.Dataset, ids: Sequence[str], decision: str | None) -> dict[str, int]:
    """Writes one decision about items of any kind, and notes what was decided before.

    Returns:
        How many items were changed, by the kind of :class:`Marks`.

    Raises:
        DataError: if an id is of no item; nothing is written then.
    """
    left = {key: ObjectId(key) for key in dict.fromkeys(ids) if ObjectId.is_valid(key)}
    unknown = len(set(ids)) - len(left)
    changes: list[tuple[Marks, dict[str, str | None]]] = []
    for marks in all_marks(dataset):
        found = dict(pair for page in _pages(list(left.values())) for pair in marks.known(page))
        for key in found:
            del left[key]
        different = {key: before for key, before in found.items() if before != decision}
        if different:
            changes.append((marks, different))
    unknown += len(left)
    if unknown:
        raise DataError(
            f"{unknown:,} of {len(set(ids)):,} ids are of no sample, frame or label of "
            f"'{dataset.name}'; nothing was decided."
        )
    if changes:
        _note(dataset, changes)
    for marks, before in changes:
        _write(marks, list(before), decision)
    return {marks.name: len(before) for marks, before in changes}


def _write(marks: Marks, ids: Sequence[str], decision: str | None) -> None:
    for page in _pages([ObjectId(key) for key in ids]):
        marks.write(page, decision)


def _pages(ids: Sequence[ObjectId]) -> Iterator[Sequence[ObjectId]]:
    return (ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE))


def _store(dataset: fo.Dataset) -> ExecutionStore:
    """Notes of what was decided before, in the database with the dataset."""
    return ExecutionStore.create("uvl_review", dataset_id=dataset._doc.id)


def _note(dataset: fo.Dataset, changes: list[tuple[Marks, dict[str, str | None]]]) -> None:
    store, notes = _store(dataset), _notes(dataset)
    number = max(notes, default=0) + 1
    for old in sorted(notes)[: -(_NOTES - 1)]:
        for key in notes[old]:
            store.delete(key)
    portions = (
        (marks.name, decision, ids[start : start + _PORTION])
        for marks, before in changes
        for decision in (None, *DECISIONS)
        for ids in [[key for key, old in before.items() if old == decision]]
        for start in range(0, len(ids), _PORTION)
    )
    for place, (name, decision, ids) in enumerate(portions):
        note = {"marks": name, "decision": decision, "ids": "".join(ids)}
        store.set(f"{number:06d} {place:04d}", note)


def _notes(dataset: fo.Dataset) -> dict[int, list[str]]:
    """Keys of the notes by the number of the decision."""
    found: dict[int, list[str]] = {}
    for key in _store(dataset).list_keys():
        found.setdefault(int(key.split()[0]), []).append(key)
    return found


def n_undoable(dataset: fo.Dataset) -> int:
    """How many decisions can be taken back."""
    return len(_notes(dataset))


def undo(dataset: fo.Dataset) -> int:
    """Takes the last decision back: about how many items it was; items that were deleted since
    are passed over.

    Raises:
        DataError: if there is none.
    """
    notes, store = _notes(dataset), _store(dataset)
    if not notes:
        raise DataError("There is no decision to take back.")
    by_name = {marks.name: marks for marks in all_marks(dataset)}
    keys, n_items = notes[max(notes)], 0
    for key in keys:
        note = store.get(key)
        ids = [note["ids"][start : start + 24] for start in range(0, len(note["ids"]), 24)]
        n_items += len(ids)
        if note["marks"] in by_name:
            _write(by_name[note["marks"]], ids, note["decision"])
    for key in keys:
        store.delete(key)
    return n_items


def excluded(dataset: fo.Dataset, *, kept: bool = False) -> SampleCollection:
    """The samples that were excluded; or all others, without the objects, clips and frames that
    were."""
    if not kept:
        return dataset.match_tags(EXCLUDE)
    view = dataset.match_tags(EXCLUDE, bool=False)
    for marks in all_marks(dataset)[1:]:
        if not marks.n_decided(EXCLUDE):
            continue
        wanted = ~decided(marks.items, [EXCLUDE])
        if isinstance(marks, FrameMarks):
            view = view.match_frames(wanted, omit_empty=False)
        else:
            view = view.filter_labels(marks.name, wanted, only_matches=False)
    return view


def save_views(dataset: fo.Dataset) -> None:
    """Saves the views of what was excluded and of everything else; a view of the same name that
    somebody else saved is left alone."""
    there, usual = dataset.list_saved_views(), "Without excluded"

    def save(name: str, view: SampleCollection) -> None:
        dataset.save_view(name, view, description=_SAID, overwrite=True)

    if "Excluded" not in there:
        save("Excluded", excluded(dataset))
    # what is in this one depends on the kinds of items that were decided about
    if usual not in there or dataset.get_saved_view_info(usual)["description"] == _SAID:
        save(usual, excluded(dataset, kept=True))
    for marks in all_marks(dataset)[1:]:
        name = f"Excluded, {marks.name}"
        if name not in there and marks.n_decided(EXCLUDE):
            save(name, view_of(marks.items, decided(marks.items, [EXCLUDE])))

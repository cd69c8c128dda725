"""What a person decided about items, taken back, and as views."""

from collections.abc import Iterator, Sequence

import fiftyone as fo
from bson import ObjectId
from fiftyone.core.collections import SampleCollection
from fiftyone.operators.store import ExecutionStore

from uvl_plugin.adapter.marks import DECISIONS, EXCLUDE, FrameMarks, Marks, all_marks, decided
from uvl_plugin.adapter.matching import view_of
from uvl_plugin.core.errors import DataError

_PAGE = 10_000  # ids in one request: MongoDB takes 16 MiB
_PORTION = 200_000  # ids in one note of what was decided before
_NOTES = 20  # decisions that can be taken back
_SAID = "Decided in a review; nothing was deleted."


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

"""What is labelled or picked already, and where new picks go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import fiftyone as fo
import numpy as np
from fiftyone import ViewField as F

from uvl_plugin.adapter.curating import Place
from uvl_plugin.adapter.documents import documents
from uvl_plugin.adapter.frames import FRAMES, Frames
from uvl_plugin.adapter.marks import FRAME_FIELD
from uvl_plugin.adapter.parts import Patches
from uvl_plugin.adapter.segments import rates_and_files
from uvl_plugin.adapter.target import Target
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Progress
from uvl_plugin.media.video import video_info

_REASON = "reason"


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of ``n`` items.

    Attributes:
        given: shape ``(n,)``, bool: labelled or skipped.
        classes: number of the class of each, shape ``(n,)``, int64, -1 without a label.
    """

    given: np.ndarray
    classes: np.ndarray


def picks_place(items: Target, field: str) -> Place:
    """Where the rank of each pick and its reason go."""
    return Place(items, field, {field: fo.IntField, f"{field}_{_REASON}": fo.StringField})


def write_picks(
    place: Place, reasons: Mapping[str, str], description: str, report: Progress
) -> str:
    """Writes picks into a place that is :meth:`Place.replaced`; returns the name of the view.

    Args:
        reasons: of the picks by their ids, the best first.
        description: of the view.
    """
    field = place.field
    rows = {
        key: {field: rank, f"{field}_{_REASON}": reason}
        for rank, (key, reason) in enumerate(reasons.items(), start=1)
    }
    place.write(rows, report)
    place.tag_items(list(reasons))
    return place.save_view(F(field).exists(), [(field, 1)], description)


def check_labels(items: Target, labels: str) -> None:
    """Raises :class:`DataError` unless the items have a field of labels of this name."""
    items.check_field(_own(items, labels), "labels")


def known(items: Target, ids: np.ndarray, labels: str | None, tags: Sequence[str]) -> Known:
    """What is labelled, and what is skipped because of a tag.

    Args:
        items: of which ``ids`` are some.
        ids: shape ``(n,)``.
        labels: field of a ``Classification`` or of plain values; None: none.
        tags: of samples or labels; of frames those of their videos, fields of earlier picks, and
            decisions of a review.
    """
    classes = np.full(len(ids), -1, np.int64)
    if labels is not None:
        values = items.values(_own(items, labels))
        named = [values.get(key) for key in ids.tolist()]
        present = np.array([value is not None for value in named], bool)
        texts = [str(value) for value in named if value is not None]
        classes[present] = np.unique(np.array(texts, str), return_inverse=True)[1]
    skipped = _tagged(items, tags) if tags else set()
    marked = np.array([key in skipped for key in ids.tolist()], bool)
    return Known(marked | (classes >= 0), classes)


def times(frames: Frames, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of the video of each frame, and its time in it in seconds, both of shape ``(n,)``.

    Raises:
        DataError: if the frame rate of a video is neither in its metadata nor in its file.
    """
    found = {
        str(document["_id"]): (str(document["_sample_id"]), document["frame_number"])
        for document in documents(frames.collection, ids.tolist(), ["_sample_id", "frame_number"])
    }
    videos, numbers = zip(*(found[key] for key in ids.tolist()), strict=True)
    names, own = np.unique(np.array(videos, str), return_inverse=True)
    rates = {key: _rate(file, rate) for key, file, rate in rates_and_files(frames)}
    of_video = np.array([rates[name] for name in names.tolist()])
    return own, (np.array(numbers) - 1) / of_video[own]


def _rate(file: str, known: float | None) -> float:
    try:
        return known or video_info(file).rate
    except DataError as error:
        raise DataError(
            f"The frame rate of '{file}' is not known ({error}), so gaps in seconds cannot be "
            "kept; run dataset.compute_metadata(), or pass gap=0.",
            "gap",
        ) from error


def _own(items: Target, field: str) -> str:
    """A field of the items by its name, whether or not it has ``frames.`` before it."""
    return field.removeprefix(FRAMES) if isinstance(items, Frames) else field


def _tagged(items: Target, tags: Sequence[str]) -> set[str]:
    """Ids of the items that have one of the tags."""
    samples, names = items.samples, list(tags)
    if isinstance(items, Patches):
        path = items.with_field("id").path
        chosen = samples.select_labels(tags=names, fields=items.patches_field)
        return {key for key in chosen.values(path, unwind=True) if key is not None}
    if not isinstance(items, Frames):
        return set(samples.match_tags(names).values("id"))
    return _skipped_frames(items, names)


def _skipped_frames(frames: Frames, names: list[str]) -> set[str]:
    tagged = set(frames.dataset.match_tags(names).values("id"))
    every = frames.ids()
    found = {
        str(document["_id"])
        for document in documents(frames.collection, every, ["_sample_id"])
        if str(document["_sample_id"]) in tagged
    }
    schema = frames.dataset.get_frame_field_schema()
    for name in names:
        if name in schema:
            found |= {key for key, _ in frames.with_field(name).stored(every)}
    if FRAME_FIELD in schema:
        decided = frames.with_field(FRAME_FIELD).stored(every)
        found |= {key for key, value in decided if value in names}
    return found

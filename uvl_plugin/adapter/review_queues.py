"""What was found about single items, as queues."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
from fiftyone import ViewField as F
from fiftyone.core.collections import SampleCollection
from fiftyone.core.expressions import ViewExpression

from uvl_plugin.adapter import target
from uvl_plugin.adapter.clusterings import clustering_keys, open_clustering
from uvl_plugin.adapter.frames import FRAMES, Frames
from uvl_plugin.adapter.marks import DECISIONS, decided
from uvl_plugin.adapter.matching import count, view_of
from uvl_plugin.adapter.parts import Patches, parts
from uvl_plugin.adapter.runs import origin_of
from uvl_plugin.adapter.samples import flattened
from uvl_plugin.adapter.target import Target

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
        name: of the queue: what the verb was told to call it, as in the names of its fields and its
            tag, or the run and "suspects".
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
    queue = path.removesuffix(suffix)
    return Found(queue, f"{label}{_which(items)}", items, condition, order)


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

"""What is found about single items goes to fields, tags and a saved view: all of it, or nothing."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from typing import Any

import fiftyone as fo
from bson import ObjectId
from fiftyone import ViewField as F
from fiftyone.core.collections import SampleCollection
from fiftyone.core.expressions import ViewExpression
from fiftyone.core.utils import to_slug

from uvl_plugin.adapter.documents import Rows
from uvl_plugin.adapter.fields import add_field, delete_field
from uvl_plugin.adapter.frame_pictures import MOST, make_pictures
from uvl_plugin.adapter.frames import Frames
from uvl_plugin.adapter.parts import Clips, Patches
from uvl_plugin.adapter.samples import flattened
from uvl_plugin.adapter.target import Target
from uvl_plugin.adapter.vectors import check_name, reload_samples, write_rows
from uvl_plugin.adapter.views import frames_view
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Progress

_ROWS = 5000  # items in one write
_TAGGED = 10_000  # ids in one request: MongoDB takes 16 MiB, about 800,000
_MADE_BY = "made_by"


@dataclass(frozen=True)
class Place:
    """Where the findings about some items go.

    Attributes:
        items: images, objects or frames.
        field: stands in every name: it is the tag, and the name of the saved view with a capital
            letter and spaces.
        kinds: what is written: the type of each field by its name.
        marks: whether there are a tag and a saved view too.
    """

    items: Target
    field: str
    kinds: Mapping[str, type[fo.Field]]
    marks: bool = True

    @property
    def path(self) -> str:
        """The field as FiftyOne knows it: ``frames.outlier``."""
        return self.items.with_field(self.field).path

    @property
    def tag(self) -> str | None:
        """The tag of samples or labels; none for frames, which have no tags in FiftyOne."""
        return self.field if self.marks and not isinstance(self.items, Frames) else None

    @property
    def view_name(self) -> str:
        """Name of the saved view: "Near duplicate", of objects "Near duplicate, ground_truth"."""
        name = self.field.replace("_", " ").strip().capitalize()
        if isinstance(self.items, Patches):
            return f"{name}, {self.items.patches_field}"
        return f"{name}, frames" if isinstance(self.items, Frames) else name

    def check(self, *, overwrite: bool) -> None:
        """Checks, before any work, that the findings may be written.

        Raises:
            DataError: if a field is of another kind, and, unless ``overwrite``, if a field or
                the name of the view is taken.
        """
        check_name(self.field)
        for name, kind in self.kinds.items():
            self._check_field(self.items.with_field(name).path, kind, overwrite=overwrite)
        taken = self._view_there()
        if taken is not None and not overwrite:
            raise DataError(
                f"There is a saved view '{taken}' already; choose another field, or pass "
                "overwrite=True to replace it.",
                "field",
            )

    def _check_field(self, path: str, kind: type[fo.Field], *, overwrite: bool) -> None:
        existing = self.items.dataset.get_field(path)
        if existing is None:
            return
        if type(existing) is not kind:
            raise DataError(
                f"'{path}' is a field of another kind ({existing}); choose another field.", "field"
            )
        if not overwrite:
            made_by = (existing.info or {}).get("uvl", {}).get(_MADE_BY)
            raise DataError(
                f"'{path}' was written by {made_by or 'something else'} already; choose another "
                "field, or pass overwrite=True to replace it.",
                "field",
            )

    @contextlib.contextmanager
    def replaced(self, verb: str, asked: Mapping[str, Any]) -> Iterator[None]:
        """Removes what is there under these names, in the whole dataset, and makes the fields
        anew; if the block fails, nothing is left.

        Args:
            verb, asked: who makes the fields and how; noted with each of them, JSON types.
        """
        self.clear()
        try:
            for name, kind in self.kinds.items():
                info = {"uvl": {_MADE_BY: verb, **asked}}
                add_field(self.items.dataset, self.items.with_field(name).path, kind, info=info)
            yield
        except BaseException:
            self.clear()
            raise

    def clear(self) -> None:
        """Removes the fields, the tags of items that have a value in them, and the saved view."""
        dataset = self.items.dataset
        self._untag()
        for name in self.kinds:
            delete_field(dataset, self.items.with_field(name).path)
        view = self._view_there()
        if view is not None:
            dataset.delete_saved_view(view)

    def write(self, rows: Rows, report: Progress) -> None:
        """Writes values by field, by the id of each item; tells ``report`` how far it is."""
        left, written = iter(rows.items()), 0
        while some := dict(islice(left, _ROWS)):
            write_rows(self.items, some)
            written += len(some)
            report(written / len(rows), f"writing, {written:,} of {len(rows):,} {self.items.unit}")

    def tag_items(self, ids: Sequence[str]) -> None:
        """Tags the samples, or of objects the labels."""
        for start in range(0, len(ids) if self.tag else 0, _TAGGED):
            page = [ObjectId(key) for key in ids[start : start + _TAGGED]]
            samples = self.items.sample_ids(ids[start : start + _TAGGED])
            self._tag_documents(page, [ObjectId(key) for key in samples])
            reload_samples(self.items.dataset, samples)

    def _tag_documents(self, ids: list[ObjectId], samples: list[ObjectId]) -> None:
        chosen: dict[str, Any] = {"_id": {"$in": samples}}
        changed = {"$set": {"last_modified_at": datetime.now(timezone.utc)}}
        path, filters = "tags", None
        if isinstance(self.items, Patches):
            labels = self.items.path.removesuffix(f".{self.items.field}")
            if self._single:
                chosen, path = {f"{labels}._id": {"$in": ids}}, f"{labels}.tags"
            else:
                path, filters = f"{labels}.$[label].tags", [{"label._id": {"$in": ids}}]
        change = {"$addToSet": {path: self.tag}, **changed}
        self.items.collection.update_many(chosen, change, array_filters=filters)

    def save_view(
        self, condition: ViewExpression, order: Sequence[tuple[str, int]], description: str
    ) -> str:
        """Saves the view of the items that meet a condition; returns its name.

        Args:
            condition: on the fields of an item.
            order: by which fields of an item they are sorted: 1 upwards, -1 downwards.
            description: of the view, for the App.
        """
        items, base = self.items, flattened(self.items.dataset)
        before = ""
        if isinstance(items, Patches):
            view = base.filter_labels(items.patches_field, condition)
            if not self._single:  # FiftyOne makes patches of lists of objects only
                make = view.to_clips if isinstance(items, Clips) else view.to_patches
                view = make(items.patches_field)
            before = f"{items.patches_field}."
        elif isinstance(items, Frames):
            view, limits = self._pictured(base.match_frames(condition), order)
            description += limits
        else:
            view = base.match(condition)
        view = view.sort_by([(f"{before}{name}", direction) for name, direction in order])
        items.dataset.save_view(self.view_name, view, description=description)
        return self.view_name

    def _pictured(
        self, found: SampleCollection, order: Sequence[tuple[str, int]]
    ) -> tuple[SampleCollection, str]:
        """Those frames that have a picture, as the first ones get, and how many there are where
        not all have: FiftyOne shows others wrongly. All, where no picture can be made."""
        paths = ["frames.id", *(f"frames.{name}" for name, _ in order)]
        rows = list(zip(*found.values(paths, unwind=True), strict=True))
        for place, (_, direction) in reversed(list(enumerate(order, start=1))):
            rows.sort(key=lambda row: _ranked(row[place]), reverse=direction < 0)
        pictures = make_pictures(self.items.dataset, [row[0] for row in rows[:MOST]])
        if not pictures.ids:
            return frames_view(found), ""
        n_shown = len(pictures.ids)
        limits = f" ({n_shown:,} of {len(rows):,} frames)" if n_shown < len(rows) else ""
        return found.to_frames(sample_frames=False), limits

    def _untag(self) -> None:
        everything, name = flattened(self.items.dataset), next(iter(self.kinds))
        if (
            self.tag is None
            or self.items.dataset.get_field(self.items.with_field(name).path) is None
        ):
            return
        if isinstance(self.items, Patches):
            patches_field = self.items.patches_field
            known = everything.filter_labels(patches_field, F(name).exists())
            known.select_labels(tags=self.tag, fields=patches_field).untag_labels(
                self.tag, patches_field
            )
        else:
            everything.exists(name).match_tags(self.tag).untag_samples(self.tag)

    @property
    def _single(self) -> bool:
        """Whether the items are objects of which an image has at most one."""
        if not isinstance(self.items, Patches):
            return False
        return self.path == f"{self.items.patches_field}.{self.field}"

    def _view_there(self) -> str | None:
        """The saved view that has this name, or one that FiftyOne takes for the same."""
        if not self.marks:
            return None
        slug = to_slug(self.view_name)
        names = self.items.dataset.list_saved_views()
        return next((name for name in names if to_slug(name) == slug), None)


def _ranked(value: Any) -> tuple[bool, Any]:
    """For sorting as MongoDB does: nothing comes first."""
    return value is not None, 0 if value is None else value


def groups_place(items: Target, field: str, *, distances: bool) -> Place:
    """Where groups of equal or nearly equal items go."""
    kinds = {f"{field}_group": fo.IntField, f"{field}_of": fo.StringField}
    return Place(items, field, kinds | ({f"{field}_distance": fo.FloatField} if distances else {}))


def write_groups(
    place: Place,
    groups: Mapping[str, int],
    of: Mapping[str, str],
    distances: Mapping[str, float],
    description: str,
    report: Progress,
) -> str:
    """Writes groups into a place that is :meth:`Place.replaced`; returns the name of the view.

    Args:
        groups: number of its group by the id of each item in one.
        of, distances: the kept item, and how far it is, by the id of each duplicate.
        description: of the view.
    """
    field = place.field
    rows: dict[str, dict[str, Any]] = {}
    for key, number in groups.items():
        rows[key] = {f"{field}_group": number}
        if key in of:
            rows[key][f"{field}_of"] = of[key]
        if key in distances:
            rows[key][f"{field}_distance"] = distances[key]
    place.write(rows, report)
    place.tag_items(list(of))
    order = [(f"{field}_group", 1), (f"{field}_of", 1)]  # the kept one has none: it comes first
    return place.save_view(F(f"{field}_group").exists(), order, description)


def figures_place(items: Target, field: str, *, marks: bool) -> Place:
    """Where a figure of each item goes."""
    return Place(items, field, {field: fo.FloatField}, marks)


def mark_above(place: Place, ids: Sequence[str], cut: float, description: str) -> str:
    """Tags the items whose figure is above a cut, and saves a view of them, the highest first;
    returns its name."""
    place.tag_items(ids)
    return place.save_view(F(place.field) > cut, [(place.field, -1)], description)

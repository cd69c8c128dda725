"""Labels made of clusters, beside those that people gave: which are whose, written all or none."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import fiftyone as fo

from uvl_plugin.adapter.cluster_fields import (
    ClusterField,
    PlainClusterField,
    cluster_field,
    still_there,
)
from uvl_plugin.adapter.clusterings import Clustering
from uvl_plugin.adapter.documents import Rows, new_label, value_at
from uvl_plugin.adapter.fields import add_field, delete_field
from uvl_plugin.adapter.frames import FRAMES, Frames
from uvl_plugin.adapter.runs import owner_of
from uvl_plugin.adapter.target import Target
from uvl_plugin.adapter.vectors import check_name, write_rows
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Progress

SOURCE = "cluster"  # of labels that were made of clusters
_ROWS = 5000  # labels in one write
_PROVENANCE = ("source", "run_key", "cluster", "cluster_label", "when", "who")


@dataclass(frozen=True)
class LabelPlace:
    """A field of labels.

    Of samples and frames it is a ``Classification`` with its provenance in attributes; objects
    and clips are labels themselves, and have attributes whose names begin with that of the field.

    Attributes:
        items: whose labels they are.
        name: of the field, without what stands before it in its path.
    """

    items: Target
    name: str

    @property
    def path(self) -> str:
        """The field as FiftyOne knows it: ``frames.species``."""
        return self._fields.path

    @property
    def _fields(self) -> ClusterField:
        return cluster_field(self.items, self.name)

    @property
    def _plain(self) -> bool:
        return isinstance(self._fields, PlainClusterField)

    @property
    def _kinds(self) -> dict[str, type[fo.Field]]:
        """The type of each attribute by the path that it has; the label of objects first."""
        numbers = {"confidence": fo.FloatField}
        names = (["label"] if self._plain else []) + ["confidence", *_PROVENANCE]
        attribute, path_of = self._fields.attribute, self._fields.path_of
        return {path_of(attribute(name)): numbers.get(name, fo.StringField) for name in names}

    def check(self) -> None:
        """Checks, before any work, that labels may be written.

        Raises:
            DataError: if the name cannot be one, or something else is there.
        """
        check_name(self.name)
        dataset, existing = self.items.dataset, self.items.dataset.get_field(self.path)
        owner = owner_of(dataset, self.path)
        if owner is not None:
            raise DataError(
                f"'{self.path}' was written by the run '{owner}'; choose another field.", "field"
            )
        if existing is not None and not self._plain:
            is_label = getattr(existing, "document_type", None) is fo.Classification
            _check_kind(self.path, existing, right=is_label)
        for path, kind in self._kinds.items():
            found = dataset.get_field(path)
            _check_kind(path, found, right=found is None or type(found) is kind)

    def read(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What stands in the fields of those items that have a label."""
        if not self._plain:
            stored = self._stored(self.name, ids)
            return {key: {self.name: value} for key, value in stored if value.get("label")}
        rows = {key: {self.name: value} for key, value in self._stored(self.name, ids) if value}
        for name in ("confidence", *_PROVENANCE):
            attribute = self._fields.attribute(name)
            for key, value in self._stored(attribute, list(rows)):
                rows[key][attribute] = value
        return rows

    def _stored(self, name: str, ids: Sequence[str]) -> Iterator[tuple[str, Any]]:
        items = self.items.with_field(name)
        if not ids or items.dataset.get_field(items.path) is None:
            return iter(())
        return items.stored(ids)

    def of(self, row: Any, name: str) -> Any:
        """An attribute of a label that :meth:`read` gave."""
        return value_at(row, self._fields.attribute(name))

    def is_made(self, row: Any) -> bool:
        """Whether a label was made of a cluster, and nobody has given another one since."""
        made = self.of(row, "source") == SOURCE
        return made and self.of(row, "label") == self.of(row, "cluster_label")

    def row(self, **attributes: Any) -> dict[str, Any]:
        """What to write for an item that gets a label."""
        if self._plain:
            return {self._fields.attribute(name): value for name, value in attributes.items()}
        return {self.name: new_label("Classification", **attributes)}

    @property
    def nothing(self) -> dict[str, Any]:
        """What to write for an item whose label goes."""
        if not self._plain:
            return {self.name: None}
        names = ("label", "confidence", *_PROVENANCE)
        return {self._fields.attribute(name): None for name in names}

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Makes the fields that are missing; if the block fails, these are deleted again."""
        dataset, made = self.items.dataset, []
        info = {"uvl": {"made_by": "label_clusters"}}
        try:
            if not self._plain and dataset.get_field(self.path) is None:
                made.append(self.path)
                add_field(
                    dataset, self.path, fo.EmbeddedDocumentField,
                    embedded_doc_type=fo.Classification, info=info,
                )  # fmt: skip
            for path, kind in self._kinds.items():
                if dataset.get_field(path) is None:
                    made.append(path)
                    add_field(dataset, path, kind, info=info)
            yield
        except BaseException:
            for path in reversed(made):
                delete_field(dataset, path)
            raise

    def write(self, rows: Rows, before: Rows, report: Progress) -> None:
        """Writes labels by the id of each item; if that fails, what was there comes back.

        Args:
            before: what stood there, see :meth:`read`; of items that had no label nothing.
        """
        left, written = iter(rows.items()), 0
        try:
            while some := dict(islice(left, _ROWS)):
                write_rows(self.items, some)
                written += len(some)
                report(written / len(rows), f"writing labels, {written:,} of {len(rows):,}")
        except BaseException:
            ids = list(rows)[: written + _ROWS]
            for start in range(0, len(ids), _ROWS):
                some_ids = ids[start : start + _ROWS]
                write_rows(
                    self.items, {key: {**self.nothing, **before.get(key, {})} for key in some_ids}
                )
            raise


def _check_kind(path: str, existing: fo.Field, *, right: bool) -> None:
    if not right:
        raise DataError(
            f"'{path}' is a field of another kind ({existing}); choose another field.", "field"
        )


def label_place(items: Target, field: str) -> LabelPlace:
    """The field of labels of this name of images, videos, frames, objects or clips.

    Raises:
        DataError: if it is one of frames and the items are not, or the other way round.
    """
    of_frames = field.startswith(FRAMES)
    if isinstance(items, Frames) and not of_frames:
        raise DataError(
            f"The clusters are of frames, and '{field}' is not; choose '{FRAMES}{field}'.", "field"
        )
    if of_frames and not isinstance(items, Frames):
        raise DataError(
            f"'{field}' is of frames, and the clusters are of {items.unit}; choose "
            f"'{field.removeprefix(FRAMES)}'.",
            "field",
        )
    before = items.path.removesuffix(items.field)  # a person may give the whole path
    return LabelPlace(items, field.removeprefix(before))


def strengths_of(run: Clustering, ids: Sequence[str]) -> dict[str, float]:
    """How firmly each of these items belongs to its cluster, as its field says; those that were
    deleted since, or whose cluster was cleared, are left out."""
    place = run.place
    items = run.items.with_field(place.attribute("confidence"))
    if items.dataset.get_field(items.path) is None:
        return {}
    return {key: float(value) for key, value in items.stored(still_there(run.items, ids))}

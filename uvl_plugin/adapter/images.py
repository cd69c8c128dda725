"""Each image, or each whole video, as one item."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bson import ObjectId
from fiftyone.core.collections import SampleCollection
from fiftyone.core.dataset import Dataset
from pymongo import UpdateOne
from pymongo.collection import Collection

from uvl_plugin.adapter.documents import Rows, documents, stored_values
from uvl_plugin.adapter.samples import dataset_of, plain_path
from uvl_plugin.media.sources import ImageFile, Source


@dataclass(frozen=True)
class Images:
    """Each image is one item, its id the sample's.

    Attributes:
        samples: a dataset or view, see :func:`check_samples`.
        field: where the vectors go.
    """

    samples: SampleCollection
    field: str

    unit = "images"

    @property
    def path(self) -> str:
        """The field as FiftyOne knows it."""
        return self.field

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset behind ``samples``."""
        return dataset_of(self.samples)

    @property
    def collection(self) -> Collection:
        """Where MongoDB keeps the documents that the field is in."""
        return self.dataset._sample_collection

    def with_field(self, field: str) -> "Images":
        """The same items, and another of their fields."""
        return replace(self, field=field)

    def ids(self, *, missing: bool = False) -> list[str]:
        """Ids of the items, or of those that have no vector yet."""
        samples = self.samples
        if missing and samples.get_field(self.field) is not None:
            samples = samples.exists(self.field, False)
        return samples.values("id")

    def sources(self, ids: Sequence[str]) -> Iterator[Source]:
        """The files of some items, read from the database page by page."""
        for document in documents(self.collection, ids, ["filepath"]):
            yield ImageFile(str(document["_id"]), document["filepath"])

    def stored(self, ids: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Id and value of the field, as MongoDB keeps it, of the items that have one, in the order
        of ``ids``; read page by page."""
        return stored_values(self.collection, ids, self.field)

    def updates(self, rows: Rows, also: dict[str, Any]) -> Iterator[UpdateOne]:
        """Writes values to the fields of each item by its id, and ``also`` to its sample."""
        for key, row in rows.items():
            yield UpdateOne({"_id": ObjectId(key)}, {"$set": {**row, **also}})

    def sample_ids(self, keys: Sequence[str]) -> list[str]:
        """The sample of each item."""
        return list(keys)

    def check_field(self, field: str, argument: str) -> None:
        """Raises :class:`DataError` unless :meth:`values` could read the field."""
        plain_path(self.samples, field, argument)

    def values(self, field: str) -> dict[str, Any]:
        """A plain value, or the label of a ``Classification``, by the id of each item.

        Raises:
            DataError: if there is no such field, or it is of another kind.
        """
        return dict(zip(*self.samples.values(["id", plain_path(self.samples, field)]), strict=True))


@dataclass(frozen=True)
class Videos(Images):
    """Each whole video is one item, its id the sample's. Its vector is made of those of its
    frames, by :func:`uvl_plugin.pool`; there are no sources."""

    unit = "videos"


def whole_samples(samples: SampleCollection, field: str) -> Images:
    """The samples as items: images, or whole videos."""
    return (Videos if samples.media_type == "video" else Images)(samples, field)

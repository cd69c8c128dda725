"""Each frame of a video as one item."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from bson import ObjectId
from fiftyone.core.collections import SampleCollection
from fiftyone.core.dataset import Dataset
from fiftyone.core.video import FramesView
from pymongo import UpdateOne
from pymongo.collection import Collection

from uvl_plugin.adapter.documents import VECTOR, Rows, documents, stored_values, value_at
from uvl_plugin.adapter.samples import dataset_of, plain_path
from uvl_plugin.media.sources import Source
from uvl_plugin.media.stills import Stills
from uvl_plugin.media.video import video_and_number

_MOST_FRAMES = 256  # of one video that wait for each other
FRAMES = "frames."  # before the names of the fields of a video's frames


class Frames:
    """Each frame of a video is one item, its id that of the frame's document.

    Frames are read from and written to the dataset of videos, also where a view of frames was
    given: it is a copy of them, with the same ids. Frames of such a view that the dataset of
    videos has no document of (``to_frames(sample_frames="dynamic")`` without ``sparse=True``)
    have no vector. Frames that have no document yet are :class:`NumberedFrames`.

    Args:
        samples: a dataset of videos, a view of one, with the frames that the view has, or
            what ``to_frames()`` gives.
        field: of the frames, without ``frames.`` before it.
    """

    unit = "frames"

    def __init__(self, samples: SampleCollection, field: str):
        self.samples = samples
        self.field = field
        self._prefix = "" if isinstance(samples, FramesView) else FRAMES

    @property
    def path(self) -> str:
        """The field as FiftyOne knows it in the dataset of videos: ``frames.embedding``."""
        return f"{FRAMES}{self.field}"

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset of videos."""
        return dataset_of(self.samples)

    @property
    def collection(self) -> Collection:
        """Where MongoDB keeps the documents of the frames."""
        return self.dataset._frame_collection

    def with_field(self, field: str) -> "Frames":
        """The same items, and another of their fields."""
        return Frames(self.samples, field)

    @cached_property
    def video_ids(self) -> list[str]:
        """Ids of the videos."""
        if isinstance(self.samples, FramesView):
            return list(dict.fromkeys(self.samples.values("sample_id")))
        return self.samples.values("id")

    def videos_with_vectors(self) -> list[str]:
        """Ids of the videos of the dataset that have a frame with a vector."""
        having = {self.field: VECTOR}
        return [str(key) for key in self.collection.distinct("_sample_id", having)]

    @cached_property
    def given_numbers(self) -> dict[str, list[int]] | None:
        """Numbers of the frames of each video, where a view of frames was given; else None."""
        if not isinstance(self.samples, FramesView):
            return None
        found: dict[str, list[int]] = {}
        for video, number in zip(*self.samples.values(["sample_id", "frame_number"]), strict=True):
            found.setdefault(video, []).append(number)
        return {video: sorted(numbers) for video, numbers in found.items()}

    def ids(self, *, missing: bool = False) -> list[str]:
        """Ids of the items, or of those that have no vector yet, video by video."""
        ids = self.samples.values(f"{self._prefix}id", unwind=True)
        if not missing:
            return ids
        present = {key for key, _ in self.stored(ids)}
        return [key for key in ids if key not in present]

    def sources(self, ids: Sequence[str]) -> Iterator[Source]:
        """Some frames, video by video; the numbers are those of their documents."""
        by_video: dict[str, dict[int, str]] = {}
        for document in documents(self.collection, ids, ["_sample_id", "frame_number"]):
            video = by_video.setdefault(str(document["_sample_id"]), {})
            video[document["frame_number"]] = str(document["_id"])
        fields = ["filepath", "metadata.frame_rate"]
        for document in documents(self.dataset._sample_collection, list(by_video), fields):
            rate = value_at(document, "metadata.frame_rate")
            numbers = sorted(by_video[str(document["_id"])].items())
            for start in range(0, len(numbers), _MOST_FRAMES):
                some = dict(numbers[start : start + _MOST_FRAMES])
                yield Stills(document["filepath"], some, rate)

    def stored(self, ids: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """As :meth:`Images.stored`."""
        return stored_values(self.collection, ids, self.field)

    def updates(self, rows: Rows, also: dict[str, Any]) -> Iterator[UpdateOne]:
        """Writes values to the fields of each item by its id, and ``also`` to the same document."""
        for key, row in rows.items():
            yield UpdateOne({"_id": ObjectId(key)}, {"$set": {**row, **also}})

    def sample_ids(self, keys: Sequence[str]) -> list[str]:
        """The videos of some items, each once."""
        found = documents(self.collection, keys, ["_sample_id"])
        return list(dict.fromkeys(str(document["_sample_id"]) for document in found))

    def labels_of(self, video: str, field: str) -> list[str]:
        """Labels of a ``Classification``, of the frames of a video that have one, in order."""
        having = {"_sample_id": ObjectId(video), f"{field}.label": {"$type": "string"}}
        found = self.collection.find(having, {f"{field}.label": 1, "frame_number": 1, "_id": 0})
        ordered = found.sort([("_sample_id", 1), ("frame_number", 1)])
        return [document[field]["label"] for document in ordered]

    def check_field(self, field: str, argument: str) -> None:
        """Raises :class:`DataError` unless :meth:`values` could read the field."""
        plain_path(self.samples, f"{self._prefix}{field}", argument)

    def values(self, field: str) -> dict[str, Any]:
        """A plain value by the id of each item; raises as :meth:`Images.values` does."""
        path = plain_path(self.samples, f"{self._prefix}{field}")
        found = self.samples.values([f"{self._prefix}id", path], unwind=True)
        return dict(zip(*found, strict=True))


class NumberedFrames(Frames):
    """The same frames, each known by its video and its number, as
    :func:`~uvl_plugin.media.video.frame_key` gives it: writing makes the documents that are not
    there yet."""

    def updates(self, rows: Rows, also: dict[str, Any]) -> Iterator[UpdateOne]:
        """As :meth:`Frames.updates`, by the key of each frame."""
        for key, row in rows.items():
            video, number = video_and_number(key)
            new = {"created_at": also["last_modified_at"], "_dataset_id": self.dataset._doc.id}
            yield UpdateOne(
                {"_sample_id": ObjectId(video), "frame_number": number},
                {"$set": {**row, **also}, "$setOnInsert": new},
                upsert=True,
            )

    def sample_ids(self, keys: Sequence[str]) -> list[str]:
        """The videos of some frames, each once; a key may be that of a video too."""
        return list(dict.fromkeys(key.partition(":")[0] for key in keys))

    def numbers(self, video: str) -> list[int]:
        """Numbers of the frames of a video that have a vector, increasing."""
        having = {"_sample_id": ObjectId(video), self.field: VECTOR}
        found = self.collection.find(having, {"frame_number": 1, "_id": 0})
        return sorted(document["frame_number"] for document in found)

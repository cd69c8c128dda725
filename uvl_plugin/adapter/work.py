"""What an embedding has to do: which items, where their pixels come from, how far it has come."""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from functools import cached_property
from typing import Any, Protocol

from bson import ObjectId

from uvl_plugin.adapter.documents import VECTOR, documents, value_at
from uvl_plugin.adapter.frames import Frames, NumberedFrames
from uvl_plugin.adapter.images import Images
from uvl_plugin.adapter.parts import Clips, Patches
from uvl_plugin.core.progress import Pace
from uvl_plugin.engine.pipeline import Chunk
from uvl_plugin.media.frame_choice import FrameChoice
from uvl_plugin.media.sources import Source
from uvl_plugin.media.video import Video, frames_of, video_and_number

_Span = tuple[int, int]


class Work(Protocol):
    """What is left to embed.

    Attributes:
        n_present: items that have their vector already.
        items: where the vectors go, by the keys of the sources.
        tried: keys of what is about to be tried, as ``items.sample_ids`` takes them.
        n_items: how many items there are, where that is known.
        tried_unit: what these keys are of.
    """

    n_present: int
    tried: Sequence[str]
    n_items: int | None
    tried_unit: str

    @property
    def items(self) -> Images | Patches | Frames: ...

    def is_done(self) -> bool:
        """Whether nothing is left."""

    def sources(self) -> Generator[Source, None, None]:
        """Whatever has no vector yet, in the order in which it is embedded."""

    def reached(self, chunk: Chunk) -> tuple[float, str]:
        """How far the work is once a chunk is done, 0 to 1, and that in words."""


class ItemWork:
    """Images, or objects in them: all are known before.

    Args:
        items: what to embed.
        overwrite: also those that have a vector.
    """

    def __init__(self, items: Images | Patches, *, overwrite: bool):
        every = items.ids()
        self.items = items
        self.tried: Sequence[str] = every if overwrite else items.ids(missing=True)
        self.n_items: int | None = len(self.tried)
        self.n_present = len(every) - len(self.tried)
        self.tried_unit = items.unit
        self._done = 0

    def is_done(self) -> bool:
        """See :class:`Work`."""
        return not self.tried

    def sources(self) -> Generator[Source, None, None]:
        """See :class:`Work`."""
        yield from self.items.sources(self.tried)

    def reached(self, chunk: Chunk) -> tuple[float, str]:
        """See :class:`Work`."""
        self._done += len(chunk)
        return self._done / len(self.tried), self._pace.said(self._done)

    @cached_property
    def _pace(self) -> Pace:
        return Pace(len(self.tried))


class FrameWork:
    """Frames of videos: how many there are shows only while they are decoded.

    Args:
        frames: of which videos; of a view of frames these and no others.
        choice: which frames of each video.
        clips: only inside of these temporal detections.
        overwrite: also those that have a vector.
        hardware: decode on a GPU where one can.
    """

    n_items: int | None = None
    tried_unit = "videos"

    def __init__(
        self,
        frames: NumberedFrames,
        choice: FrameChoice,
        clips: Clips | None = None,
        *,
        overwrite: bool,
        hardware: bool = False,
    ):
        self.items = frames
        self._choice, self._clips = choice, clips
        self._hardware = hardware
        self.tried: Sequence[str] = frames.video_ids
        self._place_of = {key: place for place, key in enumerate(self.tried)}
        self._n_frames: dict[str, int] = {}
        self._n_embedded = 0
        has_field = frames.dataset.get_field(frames.path) is not None
        self.n_present = self._count() if has_field and not overwrite else 0

    def is_done(self) -> bool:
        """See :class:`Work`; looks into the videos up to the first frame that has no vector."""
        with contextlib.closing(self.sources()) as sources:
            return next(sources, None) is None

    def sources(self) -> Generator[Source, None, None]:
        """See :class:`Work`; a video that has all of its vectors gives nothing."""
        for video in self._videos():
            with contextlib.closing(frames_of(video, hardware=self._hardware)) as found:
                yield from found

    def reached(self, chunk: Chunk) -> tuple[float, str]:
        """See :class:`Work`."""
        self._n_embedded += len(chunk.vectors)
        last = (*chunk.vectors, *chunk.failures)
        place, share = max(self._place(key) for key in last)
        total = len(self.tried)
        said = f"{self._n_embedded:,} frames, video {place + 1:,} of {total:,}"
        return (place + share) / total, said

    def _place(self, key: str) -> tuple[int, float]:
        """Which video a key is of, and how far into it, 0 to 1."""
        if key in self._place_of:
            return self._place_of[key], 1.0
        video, number = video_and_number(key)
        return self._place_of[video], min(1.0, number / max(1, self._n_frames.get(video, number)))

    def _count(self) -> int:
        videos = [ObjectId(key) for key in self.tried]
        having = {self.items.field: VECTOR}
        pages = (videos[start : start + 10_000] for start in range(0, len(videos), 10_000))
        count = self.items.collection.count_documents
        return sum(count({"_sample_id": {"$in": page}, **having}) for page in pages)

    def _videos(self) -> Iterator[Video]:
        samples = self.items.dataset._sample_collection
        fields = ["filepath", "metadata.frame_rate", "metadata.total_frame_count"]
        for document in documents(samples, self.tried, fields):
            key = str(document["_id"])
            self._n_frames[key] = value_at(document, "metadata.total_frame_count") or 0
            yield Video(
                key,
                document["filepath"],
                self._choice,
                rate=value_at(document, "metadata.frame_rate"),
                done=self.items.numbers(key),
                **self._only(key),
            )

    def _only(self, key: str) -> dict[str, Any]:
        """The frames of a video that can be chosen, where not all can."""
        if self._clips is not None:
            return {"spans": self._spans.get(key, ())}
        given = self.items.given_numbers
        return {} if given is None else {"numbers": given.get(key, ())}

    @cached_property
    def _spans(self) -> dict[str, list[_Span]]:
        spans: dict[str, list[_Span]] = {}
        for video, _, span in self._clips.supports() if self._clips is not None else ():
            spans.setdefault(video, []).append(span)
        return spans

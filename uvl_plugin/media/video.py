"""Video files to frames: decoded once, in order, each with the number that FiftyOne gives it.

Frame number n is the picture that is on screen (n - 1) / rate seconds after the start of the
file: the last one that begins by then, or the first one where none does. So FiftyOne's App counts,
whose player seeks to (n - 0.99) / rate. Chromium's moment 0 is that of the file, even where the
first picture begins later.
"""

from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.core.errors import DataError
from uvl_plugin.media.frame_choice import FrameChoice, spread
from uvl_plugin.media.sources import Reader, Source
from uvl_plugin.media.video_decoding import Decoding
from uvl_plugin.media.video_file import VideoInfo, video_info
from uvl_plugin.media.video_numbers import Numbering
from uvl_plugin.media.video_pixels import rgb
from uvl_plugin.media.video_scan import key_numbers, last_number

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = ["Video", "VideoInfo", "frame_key", "frames_of", "video_and_number", "video_info"]

_PORTION = 64  # failures in one source
_LOST = "its picture could not be decoded"


def frame_key(video_id: str, number: int) -> str:
    """The key of a frame."""
    return f"{video_id}:{number}"


def video_and_number(key: str) -> tuple[str, int]:
    """What :func:`frame_key` was given."""
    video_id, _, number = key.rpartition(":")
    return video_id, int(number)


@dataclass(frozen=True)
class Video:
    """What is wanted of one video.

    Attributes:
        key: id of the video.
        path: the file.
        choice: which frames.
        rate: frames per second by which frames are numbered; None: what the file says.
        spans: first and last numbers, both inclusive: only frames inside these.
        numbers: exactly these frames, instead of a choice.
        done: frames that are not wanted any more.
    """

    key: str
    path: str
    choice: FrameChoice = field(default_factory=FrameChoice)
    rate: float | None = None
    spans: Sequence[tuple[int, int]] | None = None
    numbers: Sequence[int] | None = None
    done: Collection[int] = ()


@dataclass(frozen=True)
class OneFrame:
    """One decoded frame: its pixels are made by whoever reads it."""

    path: str
    key: str
    frame: "VideoFrame"
    lock: Lock

    @property
    def keys(self) -> Sequence[str]:
        return (self.key,)

    def read(self, reader: Reader) -> Iterator[tuple[str, np.ndarray]]:
        with self.lock:  # several numbers may show it
            pixels = rgb(self.frame)
        yield self.key, pixels


@dataclass(frozen=True)
class Missing:
    """Frames, or a whole video, that cannot be had."""

    path: str
    keys: Sequence[str]
    reason: str

    def read(self, reader: Reader) -> Iterator[tuple[str, Any]]:
        raise DataError(self.reason)


def frames_of(video: Video, *, hardware: bool = False) -> Generator[Source, None, None]:
    """Decodes a video as far as the wanted frames go.

    Args:
        video: what is wanted.
        hardware: whether to decode on a GPU where there is one that can.

    Yields:
        One source for each frame, in their order, whose ``read`` gives upright RGB of shape
        ``(height, width, 3)``, uint8; and sources whose ``read`` raises :class:`DataError`, of
        frames that cannot be had (at most 64 each). A source with the key of the video itself
        says that nothing, or nothing more, can be had of the file.
    """
    try:
        wanted = _numbers(video)
        only_keys = video.choice.key_frames and video.numbers is None
        with Decoding(video.path, only_key_frames=only_keys, hardware=hardware) as decoding:
            yield from _Run(video, decoding).sources(wanted)
    except DataError as error:
        yield Missing(video.path, (video.key,), str(error))


def _numbers(video: Video) -> Iterator[int]:
    """Numbers of the wanted frames, increasing."""
    choice = video.choice
    if video.numbers is not None:
        numbers = iter(sorted(set(video.numbers)))
    elif choice.key_frames:
        keys = [one for one in key_numbers(video.path, video.rate) if _inside(one, video.spans)]
        numbers = spread(iter(keys), len(keys), choice.max_frames or len(keys))
    else:
        rate = video.rate or video_info(video.path).rate
        total = last_number(video.path, video.rate) if choice.max_frames else None
        numbers = choice.numbers(rate, total, video.spans)
    done = frozenset(video.done)
    return (number for number in numbers if number not in done)


def _inside(number: int, spans: Sequence[tuple[int, int]] | None) -> bool:
    return spans is None or any(first <= number <= last for first, last in spans)


class _Run:
    """One pass through a video."""

    def __init__(self, video: Video, decoding: Decoding):
        self._video = video
        self._decoding = decoding
        self._numbering = Numbering.of(decoding.info, video.rate)
        self._lost: list[str] = []

    def sources(self, numbers: Iterator[int]) -> Iterator[Source]:
        for number in numbers:
            picture = self._decoding.at(self._numbering.seen_by(number))
            if picture is None:
                raise DataError("no picture in it can be decoded")
            if self._decoding.ended and number > self._numbering.last_by(picture.end):
                yield from self._after_end(chain([number], numbers), picture.end)
                return
            key = frame_key(self._video.key, number)
            if picture.frame is not None:
                yield OneFrame(self._video.path, key, picture.frame, picture.lock)
            else:
                self._lost.append(key)
                yield from self._missing(_LOST, at_least=_PORTION)
        yield from self._missing(_LOST)

    def _missing(self, reason: str, at_least: int = 1) -> Iterator[Source]:
        if len(self._lost) >= at_least:
            yield Missing(self._video.path, tuple(self._lost), reason)
            self._lost = []

    def _after_end(self, numbers: Iterator[int], end: float) -> Iterator[Source]:
        yield from self._missing(_LOST)
        last, said = self._numbering.last_by(end), self._decoding.info.end
        total = f" of {self._numbering.last_by(said)}" if said is not None else ""
        reason = f"ends after frame {last}"
        if self._decoding.cut_off(end):
            reason += f"{total}, as if it were cut off"
        if self._video.numbers is not None:
            for number in numbers:
                self._lost.append(frame_key(self._video.key, number))
                yield from self._missing(reason, at_least=_PORTION)
            yield from self._missing(reason)
        if reason.endswith("off"):
            yield Missing(self._video.path, (self._video.key,), reason)

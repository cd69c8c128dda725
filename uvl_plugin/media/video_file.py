"""Video files: opening them, what their headers say, and why one cannot be used."""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvl_plugin.core.errors import DataError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_MICROSECONDS = 1_000_000  # unit of a container's times
_OF_BROWSERS = ("mov", "matroska")  # as FFmpeg calls the families of MP4 and of WebM
_SHORT = 0.1  # seconds that a file may lack at its end without being cut off
_STILL_IMAGES = ("image2", "_pipe")  # how FFmpeg's formats of image files are named


@dataclass(frozen=True)
class VideoInfo:
    """What the headers of a video file say.

    Attributes:
        rate: frames per second, on average.
        n_frames: as the file says it, or from its duration; 0 where it says neither.
        seconds: duration; 0.0 where the file does not say.
        width, height: pixels as stored, before any rotation.
        codec: such as ``"h264"``.
        start: seconds; what a player calls moment 0, in the times of the file.
        end: seconds after that; when its pictures end; None where the file does not say.
        tick: seconds; how finely it tells times.
        counted: whether the file has no presentation times, so that pictures are counted.
    """

    rate: float
    n_frames: int
    seconds: float
    width: int
    height: int
    codec: str
    start: float
    end: float | None
    tick: float
    counted: bool

    def lacks(self, end: float) -> bool:
        """Whether a video whose last picture ends then is shorter than it should be."""
        return self.end is not None and self.end - end > max(_SHORT, 2 / self.rate)


@dataclass(frozen=True)
class VideoFile:
    """An open video file."""

    container: "InputContainer"
    stream: "VideoStream"
    info: VideoInfo


@contextlib.contextmanager
def opened(path: str, *, hardware: bool = False) -> Iterator[VideoFile]:
    """Opens a video, and closes it again.

    Args:
        path: a file.
        hardware: whether to decode on a GPU where there is one that can.

    Raises:
        DataError: if there is no video in it that can be decoded; the message is the reason,
            without the path.
    """
    import av

    with reasons():
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise DataError("not a regular file")  # reading a pipe would wait for ever
        if os.path.getsize(path) == 0:
            raise DataError("empty file")
        container = av.open(path, hwaccel=_accelerator() if hardware else None)
    with container:
        with reasons():
            stream = _video_stream(container)
            file = VideoFile(container, stream, _info(container, stream))
        yield file


def video_info(path: str) -> VideoInfo:
    """Reads the headers; raises as :func:`opened` does."""
    with opened(path) as file:
        return file.info


@contextlib.contextmanager
def reasons() -> Iterator[None]:
    """Turns what goes wrong inside into a :class:`DataError` with a reason for a person."""
    import av

    try:
        yield
    except FileNotFoundError as error:
        raise DataError("file not found") from error
    except av.error.EOFError as error:
        raise DataError("it ends before its first picture") from error
    except av.error.InvalidDataError as error:
        raise DataError("not a video that can be read, or a damaged one") from error
    except (OSError, av.error.FFmpegError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        text = getattr(error, "strerror", None) or str(error)  # strerror: without the path
        raise DataError(f"{type(error).__name__}: {text}") from error


def _accelerator():  # type: ignore[no-untyped-def]
    from av.codec.hwaccel import HWAccel, hwdevices_available

    found = hwdevices_available()
    for kind in ("cuda", "videotoolbox", "vaapi", "d3d11va"):
        if kind in found:
            return HWAccel(device_type=kind, allow_software_fallback=True)
    return None


def _video_stream(container: "InputContainer") -> "VideoStream":
    from av.stream import Disposition

    if any(container.format.name.endswith(name) for name in _STILL_IMAGES):
        raise DataError("an image, not a video")
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [one for one in container.streams.video if not one.disposition & covers]
    if not streams:
        others = {"a picture" if one.type == "video" else one.type for one in container.streams}
        only = f", only {' and '.join(sorted(others))}" if others else ""
        raise DataError(f"no video in it{only}")
    preferred = [one for one in streams if one.disposition & Disposition.default]
    stream = (preferred or streams)[0]
    if stream.codec_context is None:
        raise DataError("its codec is not known")
    if not stream.width or not stream.height:
        raise DataError("it says no size of its pictures, as if it had none")
    return stream


def _info(container: "InputContainer", stream: "VideoStream") -> VideoInfo:
    rate = float(stream.average_rate or stream.base_rate or stream.guessed_rate or 0)
    if not rate > 0:
        raise DataError("it says no frame rate")
    start = _start(container)
    end = _end(container, stream)
    seconds = _seconds(container, stream)
    return VideoInfo(
        rate=rate,
        n_frames=stream.frames or round(seconds * rate),
        seconds=seconds,
        width=stream.width,
        height=stream.height,
        codec=stream.codec_context.name,
        start=start,
        end=None if end is None else end - start,
        tick=float(stream.time_base or 0),
        counted=stream.start_time is None or container.format.name == "avi",
    )


def _start(container: "InputContainer") -> float:
    """Moment 0 of a player: that of the file itself, or where its first sound or picture begins
    if that is earlier. Files of other formats, which browsers do not play, begin with that."""
    first = min(
        (
            float(one.start_time * one.time_base)
            for one in container.streams
            if one.type in ("video", "audio")
            if one.start_time is not None and one.time_base is not None
        ),
        default=0.0,
    )
    return min(first, 0.0) if container.format.name.startswith(_OF_BROWSERS) else first


def _seconds(container: "InputContainer", stream: "VideoStream") -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / _MICROSECONDS if container.duration else 0.0


def _end(container: "InputContainer", stream: "VideoStream") -> float | None:
    """When the pictures end by the times of the file; None where that is only estimated."""
    name = container.format.name
    if name == "avi" and stream.frames and stream.average_rate:
        return float(stream.frames / stream.average_rate)  # durations are made from the file's size
    if name.startswith("mov") and stream.duration is not None and stream.time_base is not None:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    if name.startswith("matroska") and len(container.streams) == 1 and container.duration:
        return container.duration / _MICROSECONDS
    return None

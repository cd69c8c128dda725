"""What is on screen in a video at given times: decoded in order, and skipped where it pays."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from uvl_plugin.media.video_file import VideoFile, VideoInfo, opened
from uvl_plugin.media.video_pictures import Pictures
from uvl_plugin.media.video_times import Picture

if TYPE_CHECKING:
    from av.packet import Packet
    from typing_extensions import Self

_WORTH = 0.5  # seconds that are skipped at least
_BLIND = 10.0  # seconds to skip where it is not known whether there is a key frame on the way
_FURTHER_BACK = (0.0, 2.0, 15.0)  # seconds; after that, from the start


class Decoding:
    """Goes through a video, never back. Open until :meth:`close`.

    Args:
        path: the file.
        only_key_frames: whether to decode nothing but pictures that the file stores whole.
        hardware: whether to decode on a GPU where there is one that can.

    Attributes:
        info: what its headers say.
    """

    def __init__(self, path: str, *, only_key_frames: bool = False, hardware: bool = False):
        self._path = path
        self._only_key_frames = only_key_frames
        self._hardware = hardware
        self._open = ExitStack()
        self._current: Picture | None = None
        self._next: Picture | None = None
        self._restart()
        self.info: VideoInfo = self._file.info
        self._blind = self._file.container.format.name.startswith("matroska")
        self._jumps = self._blind or self._file.container.format.name.startswith("mov")

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._current, self._next = None, None
        self._open.close()

    def cut_off(self, end: float) -> bool:
        """Whether the file ends too early, if its last picture ends then."""
        return self.info.lacks(end) or (self.info.end is None and self._source.failed)

    @property
    def ended(self) -> bool:
        """Whether no picture comes after the one that was given last."""
        return self._next is None

    def at(self, seconds: float) -> Picture | None:
        """The picture that is on screen then, the first one if it begins later; None where the
        file has none.

        Args:
            seconds: after the start of the file, not less than in the call before.
        """
        if self._jumps and self._is_far(seconds):
            self._jump(seconds)
        while self._next is not None and (self._current is None or self._next.start <= seconds):
            self._current, self._next = self._next, next(self._pictures, None)
        return self._current

    def _restart(self) -> None:
        self._open.close()
        self._file: VideoFile = self._open.enter_context(
            opened(self._path, hardware=self._hardware)
        )
        if self._only_key_frames and not self._file.info.counted:  # else all are counted
            self._file.stream.codec_context.skip_frame = "NONKEY"
        self._source = Pictures(self._file)
        self._begin(iter(self._source))

    def _begin(self, pictures: Iterator[Picture]) -> None:
        self._pictures = pictures
        self._current, self._next = None, next(self._pictures, None)

    def _is_far(self, seconds: float) -> bool:
        if self._next is None or seconds - self._next.start < _WORTH:
            return False
        place = self._next.start
        key = self._indexed_key(seconds)
        return key - place > _WORTH or (self._blind and seconds - place > _BLIND)

    def _indexed_key(self, seconds: float) -> float:
        """When the last key frame by then begins, as far as the file's index is known."""
        entries = self._file.stream.index_entries
        place = entries.search_timestamp(self._ticks(seconds))
        return self._seconds(entries[place].timestamp) if place >= 0 else 0.0

    def _ticks(self, seconds: float) -> int:
        return int((seconds + self.info.start) / self._unit)

    def _seconds(self, ticks: int) -> float:
        return ticks * self._unit - self.info.start

    @property
    def _unit(self) -> float:
        return float(self._file.stream.time_base or 1)

    def _jump(self, seconds: float) -> None:
        """Goes on from a key frame that is on screen by then; one from which decoding does not
        begin at once, as it should, is not trusted."""
        place = self._next.start if self._next else 0.0
        for earlier in _FURTHER_BACK:
            key = self._seek(seconds - earlier)
            if key is None or key.pts is None or self._seconds(key.pts) > seconds:
                continue
            start = self._seconds(key.pts)
            self._blind = self._blind and start > place
            self._source = Pictures(self._file, key)
            self._begin(_since(start, self._source))
            if self._next and self._next.start == start and self._next.frame is not None:
                return
        self._jumps = False
        self._restart()

    def _seek(self, seconds: float) -> "Packet | None":
        """The first key packet from there on."""
        import av

        container, stream = self._file.container, self._file.stream
        try:
            container.seek(self._ticks(seconds), stream=stream)
            return next((one for one in container.demux(stream) if one.is_keyframe), None)
        except av.error.FFmpegError:
            return None


def _since(start: float, pictures: Pictures) -> Iterator[Picture]:
    """Without those before, which may need what was not decoded."""
    return (picture for picture in pictures if picture.start >= start)

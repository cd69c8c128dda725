"""Some frames of a video that are decoded whenever they are asked for, again and again."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from uvl_plugin.core.errors import DataError
from uvl_plugin.media.sources import Reader
from uvl_plugin.media.video import Video, frames_of, video_and_number


@dataclass(frozen=True)
class Stills:
    """Frames of one video.

    Attributes:
        path: the file.
        key_of: id of each frame by its number.
        rate: frames per second by which they are numbered; None: what the file says.
    """

    path: str
    key_of: Mapping[int, str]
    rate: float | None = None

    @property
    def keys(self) -> Sequence[str]:
        return tuple(self.key_of.values())

    def read(self, reader: Reader) -> Iterator[tuple[str, Any]]:
        """As :meth:`~uvl_plugin.media.sources.Source.read`; decodes from the key frame before
        the first of them to the last."""
        video = Video("", self.path, rate=self.rate, numbers=sorted(self.key_of))
        with closing(frames_of(video)) as found:
            for source in found:
                yield from self._read(source, reader)

    def _read(self, source: Any, reader: Reader) -> Iterator[tuple[str, Any]]:
        try:
            for key, pixels in source.read(reader):
                yield self.key_of[video_and_number(key)[1]], pixels
        except DataError as error:
            if "" in source.keys:  # the file as a whole
                raise
            for key in source.keys:
                yield self.key_of[video_and_number(key)[1]], error

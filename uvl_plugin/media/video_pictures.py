"""Pictures of an open video in the order in which they are shown, and when."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from uvl_plugin.media.video_file import VideoFile
from uvl_plugin.media.video_times import CountedTimes, Picture, StoredTimes

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame

_BACK = 0.1  # seconds; where decoding times go back further, another recording begins


class Pictures:
    """Decodes a video from where it is to its end.

    Attributes:
        failed: whether reading the file ended with an error.
    """

    def __init__(self, file: VideoFile, first: "Packet | None" = None):
        self._file = file
        self._first = first
        self._times: CountedTimes | StoredTimes = (
            CountedTimes(file) if file.info.counted else StoredTimes(file)
        )
        self._latest: int | None = None  # decoding time of the latest packet
        self._shift = 0  # what is added to times
        self.failed = False

    def __iter__(self) -> Iterator[Picture]:
        """In order; a picture whose time is before that of the one before takes its place."""
        latest = float("-inf")
        for picture in self._decoded():
            latest = max(picture.start, latest)
            yield replace(picture, start=latest, end=max(picture.end, latest))

    def undecoded(self) -> Iterator[Picture]:
        """Pictures without frames, in the order of the file: faster than decoding them."""
        for packet in self._packets():
            if not packet.is_discard:
                start = self._times.of_packet(packet)
                yield Picture(start, start, None, packet.is_keyframe)

    def _decoded(self) -> Iterator[Picture]:
        latest: Picture | None = None
        for packet in self._packets():
            self._times.fed(packet)
            for latest in self._times.placed(self._frames(packet)):
                yield latest
        yield from self._tail(latest)

    def _tail(self, before: Picture | None) -> Iterator[Picture]:
        """What the decoder kept for reordering. Where the file is cut off, pictures that belong
        between these may be missing."""
        pictures = [*self._times.placed(self._frames(None)), *self._times.rest()]
        end = max([before.end if before else 0.0, *(one.end for one in pictures)])
        cut_off = self.failed or self._file.info.lacks(end)
        for picture in pictures:
            if cut_off and self._file.info.counted:
                picture = replace(picture, frame=None)
            elif cut_off and before and picture.start - before.end > 0.5 / self._file.info.rate:
                yield Picture(before.end, picture.start, None)
            yield picture
            before = picture

    def _frames(self, packet: "Packet | None") -> "list[VideoFrame]":
        """What comes out when a packet goes in; None: the rest."""
        import av

        try:
            return self._file.stream.codec_context.decode(packet)
        except av.error.EOFError:
            return []
        except av.error.FFmpegError:
            self._times.error(packet)
            return []

    def _packets(self) -> "Iterator[Packet]":
        import av

        if self._first is not None:
            yield self._first
        packets = self._file.container.demux(self._file.stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError:
                self.failed = True
                return
            if packet.size:
                self._continue_times(packet)
                yield packet

    def _continue_times(self, packet: "Packet") -> None:
        """Where times begin anew, as in recordings that were put together, they go on."""
        if packet.dts is None:
            return
        unit = float(self._file.stream.time_base or 1)
        if self._latest is not None and (self._latest - packet.dts - self._shift) * unit > _BACK:
            self._shift = self._latest + (packet.duration or 1) - packet.dts
        packet.dts += self._shift
        if packet.pts is not None:
            packet.pts += self._shift
        self._latest = packet.dts

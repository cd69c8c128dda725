"""When the pictures of a video are shown, and which of them decoding has spoilt."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from uvl_plugin.media.video_file import VideoFile

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame

_HIDING = ("vp8", "libvpx", "mpeg4")  # decoders of packets that may show no picture
_SAME_AGAIN = 32  # bytes; a packet of MPEG-4 that says no more than that nothing changed is less


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        start, end: seconds after the start of the file.
        frame: None where it could not be decoded.
        key: whether the file stores it whole.
        lock: held while the frame is converted, which is not safe in two threads at once.
    """

    start: float
    end: float
    frame: "VideoFrame | None"
    key: bool = False
    lock: Lock = field(default_factory=Lock)


class _Damage:
    """Which pictures to trust: after a packet that cannot be decoded none until the next picture
    that is stored whole, since the others are changes to those before."""

    def __init__(self) -> None:
        self._since: int | None = None

    def found(self, packet: int) -> None:
        """From this packet on, the n-th that was decoded."""
        if self._since is None:
            self._since = packet

    def spoils(self, frame: "VideoFrame", packet: int) -> bool:
        """Whether a picture is spoilt; to be asked in the order in which they come out."""
        if frame.is_corrupt:
            self.found(packet)
            return True
        if self._since is None or packet < self._since:
            return False
        if frame.key_frame:
            self._since = None
        return not frame.key_frame


class StoredTimes:
    """Times of pictures as the file stores them."""

    def __init__(self, file: VideoFile):
        self._unit = float(file.stream.time_base or 1)
        self._start = file.info.start
        self._length = max(1, round(1 / file.info.rate / self._unit))
        self._strict = file.info.codec not in _HIDING
        self._under_way: dict[int, int] = {}  # which packet by its time
        self._failed: set[int] = set()  # times of those that could not be decoded
        self._n_packets = 0
        self._damage = _Damage()
        self._latest = file.stream.start_time or 0
        self._began = False

    def of_packet(self, packet: "Packet") -> float:
        """When the picture of a packet is shown."""
        time = packet.pts if packet.pts is not None else packet.dts
        self._latest = self._latest if time is None else time
        return self._latest * self._unit - self._start

    def fed(self, packet: "Packet") -> None:
        """A packet goes to the decoder."""
        self._n_packets += 1
        if packet.pts is not None and not packet.is_discard:
            self._under_way[packet.pts] = self._n_packets
        if packet.is_corrupt:
            self.error(packet)

    def error(self, packet: "Packet | None") -> None:
        """A packet could not be decoded."""
        if packet is not None and packet.pts is not None:
            self._failed.add(packet.pts)
        if packet is None or not packet.is_disposable:
            self._damage.found(self._n_packets)

    def placed(self, frames: "list[VideoFrame]") -> Iterator[Picture]:
        """Pictures that came out, and before them those that should have come out by then."""
        for frame in frames:
            time = frame.pts if frame.pts is not None else self._latest + self._length
            yield from self._missing(time)
            packet = self._under_way.pop(time, self._n_packets)
            spoilt = self._damage.spoils(frame, packet) or time in self._failed
            self._failed.discard(time)
            self._latest, self._began = time, True
            yield self._picture(time, frame.duration, None if spoilt else frame)

    def rest(self) -> Iterator[Picture]:
        """Pictures that never came out."""
        yield from self._missing(None)

    def _missing(self, before: int | None) -> Iterator[Picture]:
        """Pictures that the decoder kept for itself. Those before the first one that came out
        lack what they are changes to, and players show the first one instead."""
        for time in sorted(one for one in self._under_way if before is None or one < before):
            del self._under_way[time]
            if time in self._failed or (self._strict and self._began):
                yield self._picture(time, 0, None)
            self._failed.discard(time)

    def _picture(self, time: int, length: int, frame: "VideoFrame | None") -> Picture:
        start = time * self._unit - self._start
        end = start + (length or self._length) * self._unit
        return Picture(start, end, frame, frame is not None and frame.key_frame)


class CountedTimes:
    """Times of pictures where the file stores none, or none to be trusted (AVI): the pictures in
    their order take the times at which packets are decoded, in their order."""

    def __init__(self, file: VideoFile):
        self._unit = float(file.stream.time_base or 1)
        self._length = 1 / file.info.rate
        self._regular = file.info.codec == "mpeg4"  # each packet but the first brings a picture
        self._slots: deque[float] = deque()
        self._next = 0.0
        self._damage = _Damage()
        self._failed = False
        self._n_packets = 0
        self._size = 0  # bytes of the latest packet
        self._n_placed = 0  # slots that are used up
        self._origins: list[int] = []  # packets of the pictures since the last key picture

    def of_packet(self, packet: "Packet") -> float:
        """When one picture is shown, though perhaps not that of this packet."""
        self.fed(packet)
        return self._slots.popleft()

    def fed(self, packet: "Packet") -> None:
        """A packet goes to the decoder."""
        self._n_packets += 1
        packet.pts = self._n_packets  # a picture has that of its packet
        self._size = packet.size
        slot = self._next if packet.dts is None else packet.dts * self._unit
        self._next = slot + self._length
        self._slots.append(slot)

    def error(self, packet: "Packet | None") -> None:
        """A packet could not be decoded. The places of all pictures that come out before the
        next key picture are in doubt then."""
        self._failed = True
        self._damage.found(0)

    def placed(self, frames: "list[VideoFrame]") -> Iterator[Picture]:
        """Pictures that came out, and before key pictures those that should have by then."""
        for frame in frames:
            packet = self._n_packets if frame.pts is None else frame.pts
            if frame.key_frame:
                yield from self._missing(packet)
            self._origins.append(packet)
            spoilt = self._damage.spoils(frame, packet)
            yield self._picture(None if spoilt else frame)
        if not frames and self._regular and self._n_placed and not self._failed:
            if self._size > _SAME_AGAIN:
                self._damage.found(0)
            else:
                self._picture(None)
        self._failed = False

    def rest(self) -> Iterator[Picture]:
        """Pictures that never came out."""
        while self._slots:
            yield self._picture(None)

    def _missing(self, key: int) -> Iterator[Picture]:
        """What lacks before a key picture, which comes after all packets before its own, and after
        the pictures stored after it that came out already."""
        n_before = key - 1 + sum(packet > key for packet in self._origins)
        self._origins = []
        while self._slots and self._n_placed < n_before:
            yield self._picture(None)

    def _picture(self, frame: "VideoFrame | None") -> Picture:
        self._n_placed += 1
        start = self._slots.popleft() if self._slots else self._next
        return Picture(start, start + self._length, frame, frame is not None and frame.key_frame)

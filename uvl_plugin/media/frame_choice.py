"""Which frames of a video: by rate, by stride, key frames only, at most so many."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, takewhile

from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.settings import Settings, setting

Spans = Sequence[tuple[int, int]]
"""First and last frame numbers, both inclusive."""


@dataclass(frozen=True, kw_only=True)
class FrameChoice(Settings):
    """Which frames of each video; all of them where nothing is said."""

    fps: float | None = setting(
        None, ge=1e-6, le=1000, label="Frames per second", help="So many frames of each second."
    )
    stride: int | None = setting(None, ge=1, help="Every n-th frame.")
    key_frames: bool = setting(
        False, help="Only frames that the file stores whole, usually one in some seconds."
    )
    max_frames: int | None = setting(
        None, ge=1, help="At most so many frames of each video, spread evenly."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [
            name
            for name, chosen in (
                ("fps", self.fps is not None),
                ("stride", self.stride is not None),
                ("key_frames", self.key_frames),
            )
            if chosen
        ]
        if len(given) > 1:
            raise SettingsError(
                f"{type(self).__name__}.{given[1]} cannot be combined with {given[0]}: "
                "give one of fps, stride, key_frames.",
                given[1],
            )

    def numbers(self, rate: float, total: int | None, spans: Spans | None = None) -> Iterator[int]:
        """Numbers of the frames, increasing, 1 for the first; made as they are asked for.

        Args:
            rate: frames per second by which the video is numbered.
            total: number of its last frame; None: unknown, so the numbers may not end.
            spans: only frames inside these, which may overlap; ``fps`` and ``stride`` begin
                anew at the first frame of each, as FiftyOne does with a support.

        Raises:
            ValueError: for ``key_frames``, which only a decoder knows; and for ``max_frames``
                where numbers would not end.
        """
        if self.key_frames:
            raise ValueError("only a decoder knows key frames")
        if self.max_frames is None:
            return self._stepped(rate, total, spans)
        if total is None and spans is None:
            raise ValueError("max_frames needs the total")
        n_chosen = sum(1 for _ in self._stepped(rate, total, spans))
        return spread(self._stepped(rate, total, spans), n_chosen, self.max_frames)

    def _stepped(self, rate: float, total: int | None, spans: Spans | None) -> Iterator[int]:
        if spans is None:
            return self._span(rate, 1, total)
        return _merged(
            self._span(rate, max(1, first), last if total is None else min(last, total))
            for first, last in sorted(spans)
        )

    def _span(self, rate: float, first: int, last: int | None) -> Iterator[int]:
        """As ``fiftyone.utils.video.sample_frames_uniform``: steps are added up, then rounded."""
        if self.fps is not None and self.fps < rate:
            numbers = _rounded(first, rate / self.fps)
        else:
            numbers = count(first, self.stride or 1)
        return numbers if last is None else takewhile(lambda number: number <= last, numbers)


def _rounded(first: int, step: float) -> Iterator[int]:
    place = float(first)
    while True:
        yield round(place)
        place += step


def _merged(runs: Iterator[Iterator[int]]) -> Iterator[int]:
    """Increasing numbers of increasing runs that begin in order, each number once."""
    import heapq

    previous = 0
    for number in heapq.merge(*runs):
        if number > previous:
            yield number
        previous = number


def spread(numbers: Iterator[int], n_numbers: int, at_most: int) -> Iterator[int]:
    """At most ``at_most`` of ``n_numbers`` numbers: the middle of each of as many equal parts."""
    if n_numbers <= at_most:
        yield from numbers
        return
    middles = ((2 * part + 1) * n_numbers // (2 * at_most) for part in range(at_most))
    wanted = next(middles)
    for place, number in enumerate(numbers):
        if place == wanted:
            yield number
            following = next(middles, None)
            if following is None:
                return
            wanted = following

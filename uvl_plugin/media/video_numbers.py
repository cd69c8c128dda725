"""Frame numbers and times, as FiftyOne's App counts them."""

import math
from dataclasses import dataclass

from uvl_plugin.media.video_file import VideoInfo

_EARLY = 0.01  # of a frame; the App's player seeks so much past the time of a number


@dataclass(frozen=True)
class Numbering:
    """Number n is the picture that is on screen (n - 1) / rate seconds after the start.

    Attributes:
        rate: numbers per second.
        tolerance: seconds; a picture that begins so much later is on screen already, since files
            round times.
    """

    rate: float
    tolerance: float

    @classmethod
    def of(cls, info: VideoInfo, rate: float | None = None) -> "Numbering":
        """Of a video; ``rate``: None: what the file says."""
        rate = rate or info.rate
        return cls(rate, min(_EARLY / rate + info.tick, 0.5 / rate))

    def seen_by(self, number: int) -> float:
        """Number n is the last picture that begins by then; in seconds."""
        return (number - 1) / self.rate + self.tolerance

    def first_of(self, seconds: float) -> int:
        """The first number by whose time a picture that begins then is on screen."""
        number = max(1, math.ceil((seconds - self.tolerance) * self.rate) + 1)
        while number > 1 and self.seen_by(number - 1) >= seconds:  # rounding of the division
            number -= 1
        return number if self.seen_by(number) >= seconds else number + 1

    def last_by(self, end: float) -> int:
        """The last number of a video whose last picture ends then."""
        return self.first_of(end) - 1

"""Progress of long work: a callable ``(fraction from 0.0 to 1.0, message)``.

Whoever starts the work decides how progress is shown: a terminal bar, the App, or not at
all. To cancel, the callable raises :class:`~uvl_plugin.core.errors.Cancelled`.
"""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator

Progress = Callable[[float, str], None]

_MARKS, _MARK_SECONDS = 30, 1.0  # the rate is taken over that many marks, that far apart


def silent(fraction: float, message: str = "") -> None:
    """Shows nothing."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """Progress of one stage that takes the share from ``start`` to ``end`` of the whole."""

    def report(fraction: float, message: str = "") -> None:
        progress(start + (end - start) * fraction, message)

    return report


class Pace:
    """How fast counted work goes on, and how long it will still take.

    Args:
        total: how many items there are.
        clock: seconds, from any start.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic):
        self._total = total
        self._clock = clock
        self._marks = deque([(clock(), 0)], maxlen=_MARKS)

    def said(self, done: int) -> str:
        """Such as ``"1,200 of 40,000, 85.0/s, 7:36 left"``; the rate is that of late."""
        now = self._clock()
        started, before = self._marks[0]
        if now - self._marks[-1][0] >= _MARK_SECONDS:
            self._marks.append((now, done))
        said = f"{done:,} of {self._total:,}"
        if now <= started or done <= before:
            return said
        rate = (done - before) / (now - started)
        left = round((self._total - done) / rate)
        return f"{said}, {rate:.1f}/s, {_duration(left)} left"


def _duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


@contextlib.contextmanager
def shown(progress: Progress | bool | None, title: str) -> Iterator[Progress]:
    """What a user passed as ``progress=``, made into a callable that never goes back.

    Args:
        progress: a callable; True for a terminal bar; False for silence; None for a bar
            where standard error is a terminal.
        title: stands before the bar.
    """
    with contextlib.ExitStack() as stack:
        if callable(progress):
            report = progress
        elif progress is False:
            report = silent
        else:
            report = stack.enter_context(_bar(title, disable=None if progress is None else False))
        yield _monotonic(report)


def _monotonic(report: Progress) -> Progress:
    reached = 0.0

    def forward(fraction: float, message: str = "") -> None:
        nonlocal reached
        reached = min(1.0, max(reached, fraction))
        report(reached, message)

    return forward


@contextlib.contextmanager
def _bar(title: str, disable: bool | None) -> Iterator[Progress]:
    from tqdm import tqdm

    layout = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    with tqdm(total=1.0, desc=title, disable=disable, bar_format=layout) as bar:

        def report(fraction: float, message: str = "") -> None:
            bar.set_postfix_str(message, refresh=False)
            bar.update(fraction - bar.n)

        yield report

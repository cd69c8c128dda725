"""Contenders in turn, so that whatever else the machine does is shared fairly."""

import gc
import os
import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

Contender = Callable[[], AbstractContextManager[Callable[[], object]]]
"""Gets everything ready, gives the work to be timed, and clears up."""


@dataclass(frozen=True)
class Time:
    """Of one turn, seconds; ``cpu`` is of this process and of those it waited for."""

    wall: float
    cpu: float


def interleaved(
    contenders: Mapping[str, Contender], rounds: int, once: Collection[str] = ()
) -> dict[str, list[Time]]:
    """Times each contender once a round: A B C A B C ...; those named in ``once`` only in the
    first round. They must have been at work before: the first turn counts."""
    times: dict[str, list[Time]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, contender in contenders.items():
            if number == 0 or name not in once:
                with contender() as work:
                    times[name].append(timed(work))
    return times


def timed(work: Callable[[], object]) -> Time:
    """Runs the work once."""
    gc.collect()
    cpu, wall = _cpu(), time.perf_counter()
    work()
    return Time(time.perf_counter() - wall, _cpu() - cpu)


def _cpu() -> float:
    return sum(os.times()[:4])  # with children that have ended


def median(times: Sequence[Time], what: str = "wall") -> float:
    """Median seconds: ``what`` is ``"wall"`` or ``"cpu"``."""
    return statistics.median(getattr(each, what) for each in times)


def ratios(theirs: Sequence[Time], ours: Sequence[Time], what: str = "wall") -> list[float]:
    """How many times as long as ours theirs took, round by round."""
    return [getattr(a, what) / getattr(b, what) for a, b in zip(theirs, ours, strict=False)]


def said(values: Sequence[float]) -> str:
    """``"2.01 (1.95 to 2.10)"``: median, least and greatest."""
    if len(values) == 1:
        return f"{values[0]:.2f} (once)"
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"

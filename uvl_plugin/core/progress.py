"""Progress of long work: a callable ``(fraction from 0.0 to 1.0, message)``.

Whoever starts the work decides how progress is shown: a terminal bar, the App, or not at
all. To cancel, the callable raises :class:`~uvl_plugin.core.errors.Cancelled`.
"""

import contextlib
from collections.abc import Callable, Iterator

Progress = Callable[[float, str], None]


def silent(fraction: float, message: str = "") -> None:
    """Shows nothing."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """Progress of one stage that takes the share from ``start`` to ``end`` of the whole."""

    def report(fraction: float, message: str = "") -> None:
        progress(start + (end - start) * fraction, message)

    return report


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

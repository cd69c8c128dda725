"""Time by stage, for run records and reports."""

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Seconds by stage, rounded to milliseconds; a stage that comes again adds up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times the block."""
        started = time.perf_counter()
        try:
            yield
        finally:
            passed = self.seconds.get(name, 0.0) + time.perf_counter() - started
            self.seconds[name] = round(passed, 3)

"""How a benchmark is run, and on what machine."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_PACKAGES = (
    "torch", "torchvision", "timm", "fiftyone", "fiftyone-brain", "pillow", "simplejpeg", "lightly"
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all tables share.

    Attributes:
        folder: temporary, for generated files.
        quick: tiny numbers, only to see that everything runs.
        threads: of the processor, for FiftyOne's loader and torch as for ours.
        rounds: how often each contender has its turn.
    """

    folder: Path
    quick: bool
    threads: int
    rounds: int

    def n(self, full: int, quick: int) -> int:
        """How many items."""
        return quick if self.quick else full


def machine() -> str:
    """Processor, cores, memory and versions; no names of machines or people."""
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES if _installed(name))
    return (
        f"{_processor()}, {os.cpu_count()} cores, {gibibytes:.0f} GiB; "
        f"Python {platform.python_version()}, {packages}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except ModuleNotFoundError:
        return False

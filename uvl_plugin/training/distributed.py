"""Processes that train one network together, each on a device of its own.

Several GPUs of one machine: the calling process is the first of the team and starts the others.
Several machines: each process is started by ``torchrun``, which this module recognises by the
environment variables that it sets.
"""

import contextlib
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.progress import Progress, silent
from uvl_plugin.engine.loaded import resolve_devices

if TYPE_CHECKING:
    import torch

R = TypeVar("R")
_LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class Team:
    """The processes that train together, as one of them sees it.

    Attributes:
        rank: number of this process, from 0.
        size: how many there are.
        device: of this process.
    """

    rank: int
    size: int
    device: "torch.device"

    @property
    def leads(self) -> bool:
        """Whether this process writes, reports and decides."""
        return self.rank == 0

    def agreed(self, decision: bool) -> bool:
        """The decision of the process that leads."""
        if self.size == 1:
            return decision
        import torch
        import torch.distributed as dist

        said = torch.tensor([float(decision)], device=self.device)
        dist.broadcast(said, src=0)
        return bool(said.item())


Run = Callable[[Any, Team, Progress], R]
"""What each process does; a function of a module, so that other processes can import it."""


def run_together(run: "Run[R]", task: Any, device: str, progress: Progress) -> R:
    """Runs ``run(task, team, progress)`` on every device.

    Args:
        task: can be pickled.
        device: as :func:`~uvl_plugin.engine.loaded.resolve_devices` takes it; under ``torchrun``
            each process takes the GPU of its local rank.

    Returns:
        What it gives in this process.

    Raises:
        SettingsError: if there is no such device.
    """
    if is_enlisted():
        return _run_enlisted(run, task, device, progress)
    return run_on(resolve_devices(device), run, task, progress)


def run_on(devices: "list[torch.device]", run: "Run[R]", task: Any, progress: Progress) -> R:
    """The same for given devices, of which the first is this process's."""
    if len(devices) == 1:
        return run(task, Team(0, 1, devices[0]), progress)
    port = _free_port()
    helpers = [
        _start((run, task, rank, [str(device) for device in devices], port))
        for rank in range(1, len(devices))
    ]
    try:
        with _joined(0, devices, port) as team:
            return run(task, team, progress)
    finally:
        for helper in helpers:  # they have ended, or wait for one that has given up
            helper.terminate()
            helper.wait()


def is_enlisted() -> bool:
    """Whether ``torchrun`` started this process."""
    return {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()


def is_follower() -> bool:
    """Whether another process of the team, started by ``torchrun`` too, writes and reports."""
    return is_enlisted() and os.environ["RANK"] != "0"


def _run_enlisted(run: "Run[R]", task: Any, device: str, progress: Progress) -> R:
    import torch
    import torch.distributed as dist

    if device in ("auto", "cuda", "cuda:all") and torch.cuda.is_available():
        own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    elif device in ("auto", "cpu"):
        own = torch.device("cpu")
    else:
        raise SettingsError(
            f"device='{device}' cannot be used under torchrun, which gives each process a GPU; "
            "use 'auto' or 'cpu'.",
            "device",
        )
    dist.init_process_group(_backend(own))
    try:
        team = Team(dist.get_rank(), dist.get_world_size(), own)
        return run(task, team, progress if team.leads else silent)
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def _joined(rank: int, devices: "list[torch.device]", port: int) -> Iterator[Team]:
    import torch.distributed as dist

    dist.init_process_group(
        _backend(devices[rank]),
        init_method=f"tcp://{_LOCAL}:{port}",
        rank=rank,
        world_size=len(devices),
    )
    try:
        yield Team(rank, len(devices), devices[rank])
    finally:
        dist.destroy_process_group()


def _backend(device: "torch.device") -> str:
    return "nccl" if device.type == "cuda" else "gloo"


def _start(orders: tuple) -> subprocess.Popen:
    """A process of its own, not a fork: CUDA forbids that; and not multiprocessing's spawn, which
    would run the caller's script again."""
    helper = subprocess.Popen(
        [sys.executable, "-m", "uvl_plugin.training.distributed"], stdin=subprocess.PIPE
    )
    assert helper.stdin is not None
    pickle.dump(orders, helper.stdin)
    helper.stdin.close()
    return helper


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOCAL, 0))
        return probe.getsockname()[1]


def _help() -> None:
    import torch

    run, task, rank, names, port = pickle.load(sys.stdin.buffer)  # of the process that started it
    with _joined(rank, [torch.device(name) for name in names], port) as team:
        run(task, team, silent)


if __name__ == "__main__":
    _help()

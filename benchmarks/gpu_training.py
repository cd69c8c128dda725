"""SimCLR with a ResNet-18 at 224 pixels on a GPU: the whole loop beside forward and backward."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator

from benchmarks import photos
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from benchmarks.timing import Contender, interleaved, median
from uvl_plugin.backbones.checkpoint import FOLDER
from uvl_plugin.backbones.torchvision import TorchVision
from uvl_plugin.core.progress import silent
from uvl_plugin.media.sources import ImageFile
from uvl_plugin.training.augmentation.photo import Photo
from uvl_plugin.training.loop import train_network
from uvl_plugin.training.methods.base import Batch
from uvl_plugin.training.methods.simclr import SimCLR
from uvl_plugin.training.recipe import Recipe
from uvl_plugin.training.task import Task, network_of

_BATCH, _EPOCHS = 256, 5
_LOOP, _BARE = "the whole loop", "forward and backward alone"


def gpu_training(setting: Setting) -> Section:
    """Epochs of the loop beside the same number of bare steps on batches that are there."""
    import torch

    title = "SimCLR, ResNet-18 at 224 pixels on a GPU"
    if not torch.cuda.is_available():
        return Section(title, [], "No GPU here.")
    paths = photos.small_photos(setting.folder, setting.n(8 * _BATCH, 2 * _BATCH))
    os.environ[FOLDER] = str(setting.folder / "checkpoints")
    task = Task(
        "speed", TorchVision(model="resnet18", weights="untrained"), SimCLR(), Photo(),
        Recipe(epochs=_EPOCHS, batch_size=_BATCH, device="cuda", threads=setting.threads),
        [ImageFile(str(number), path) for number, path in enumerate(paths)],
    )  # fmt: skip
    seconds: list[float] = []
    contenders = {_LOOP: _loop(task, seconds), _BARE: _bare(task, len(paths) // _BATCH)}
    interleaved(contenders, 1)  # first calls are slow
    seconds.clear()
    times = interleaved(contenders, setting.rounds)
    bare = median(times[_BARE])
    loop = sorted(seconds)[len(seconds) // 2]
    rows = [
        [name, f"{each:.2f}", f"{len(paths) / each:.0f}"]
        for name, each in ((_LOOP, loop), (_BARE, bare))
    ]
    verdict = Verdict(
        "SimCLR ResNet-18, GPU", str(len(paths)), f"({bare:.2f} s)", f"{loop:.2f} s",
        f"{100 * bare / loop:.0f} % of forward and backward", "85 %",
    )  # fmt: skip
    return Section(
        title, [verdict],
        f"{torch.cuda.get_device_name()}; an epoch each; {table(('work', 's', 'images/s'), rows)}",
    )  # fmt: skip


def _loop(task: Task, seconds: list[float]) -> Contender:
    """Whole trainings; of each, the epochs behind the first are noted."""

    @contextlib.contextmanager
    def contender() -> Iterator[Callable[[], object]]:
        def work() -> None:
            named = Task(**{**vars(task), "name": f"speed-{time.monotonic_ns()}"})
            outcome = train_network(named, silent)
            seconds.extend(entry.seconds for entry in outcome.curve[1:])

        yield work

    return contender


def _bare(task: Task, n_steps: int) -> Contender:
    import torch
    from torch import nn

    network = network_of(task)
    parts = nn.ModuleDict(
        {"encoder": network.module, **task.method.parts(network.module, 512, 0)}
    ).cuda()
    parts.to(memory_format=torch.channels_last)
    noise = torch.randn(2, _BATCH, 3, 224, 224, device="cuda")
    views = [view.contiguous(memory_format=torch.channels_last) for view in noise]

    @contextlib.contextmanager
    def contender() -> Iterator[Callable[[], object]]:
        def work() -> None:
            for _ in range(n_steps):
                with torch.autocast("cuda", torch.bfloat16):
                    task.method.loss(parts, Batch(views)).backward()
            torch.cuda.synchronize()

        yield work

    return contender

"""Several processes that train one network, on the processor: gloo instead of NCCL."""

import dataclasses
import os
import subprocess
import sys

import pytest
import torch

from uvl_plugin.backbones.checkpoint import Checkpoint, read_card
from uvl_plugin.backbones.timm import Timm
from uvl_plugin.core.errors import Cancelled, SettingsError
from uvl_plugin.core.progress import silent
from uvl_plugin.training.augmentation.base import Augmentation
from uvl_plugin.training.augmentation.texture import Texture
from uvl_plugin.training.distributed import Team, is_follower, run_on, run_together
from uvl_plugin.training.loop import _train, train_network
from uvl_plugin.training.methods.distillation import Distillation

CPU = torch.device("cpu")
STILL = {spec.name: spec.default for spec in Augmentation.specs()}  # where nothing is drawn


def parameters_of(task, team: Team, progress) -> tuple[int, int, list[float]]:
    """What every process of a team sees."""
    import torch.distributed as dist

    mine = torch.full((2,), float(team.rank + task))
    dist.all_reduce(mine)
    return team.rank, team.size, [*mine.tolist(), float(team.agreed(team.rank == 0))]


def test_a_team_adds_up_and_agrees():
    assert run_on([CPU, CPU], parameters_of, 10, silent) == (0, 2, [21.0, 21.0, 1.0])


def test_two_processes_train_one_checkpoint(make_task):
    task = make_task(epochs=10)
    outcome = run_on([CPU, CPU], _train, task, silent)
    assert outcome.state == "finished"
    assert outcome.how["processes"] == 2
    assert [entry.epoch for entry in outcome.curve] == list(range(1, 11))
    assert outcome.curve[-1].loss < outcome.curve[0].loss - 0.1
    assert read_card("digits")["state"] == "finished"
    Checkpoint("digits").load("cpu")


def test_two_processes_take_the_steps_of_one(make_task):
    """A loss that is a mean over images, with no statistics over the batch and still views."""
    task = make_task(
        "one", method=Distillation(taught_by="pixels", center=False),
        backbone=Timm(model="vit_tiny_patch16_224", weights="untrained", input_size=32),
        epochs=1, optimizer="sgd", learning_rate=0.05, warmup=0.0,
    )  # fmt: skip
    task = dataclasses.replace(task, augmentation=Texture(**STILL), validation=())
    train_network(task, silent)
    run_on([CPU, CPU], _train, dataclasses.replace(task, name="two"), silent)
    start, one, two = (
        torch.nn.utils.parameters_to_vector(backbone.network().module.parameters())
        for backbone in (task.backbone, Checkpoint("one"), Checkpoint("two"))
    )
    assert (one - two).norm() < 0.01 * (one - start).norm()


def test_cancelling_ends_every_process(make_task):
    def stop(fraction, message=""):
        if message.startswith("epoch 2"):
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        run_on([CPU, CPU], _train, make_task(epochs=50), stop)
    assert read_card("digits")["state"] == "stopped"
    assert not torch.distributed.is_initialized()


SCRIPT = """
import pickle, sys
from uvl_plugin.core.progress import silent
from uvl_plugin.training.loop import train_network
with open(sys.argv[1], "rb") as file:
    outcome = train_network(pickle.load(file), silent)
print("processes", outcome.how["processes"])
"""


def test_torchrun_starts_a_team(make_task, tmp_path):
    import pickle

    task, script = tmp_path / "task", tmp_path / "script.py"
    task.write_bytes(pickle.dumps(make_task(epochs=2)))
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*command, "--nproc-per-node", "2", str(script), str(task)],
        check=False, capture_output=True, text=True, timeout=300,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("processes 2") == 2
    assert read_card("digits")["state"] == "finished"


def test_torchrun_gives_each_process_its_device(monkeypatch):
    for name, value in {
        "RANK": "1",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "x",
        "MASTER_PORT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    assert is_follower()
    with pytest.raises(SettingsError, match="under torchrun"):
        run_together(parameters_of, 0, "cuda:1", silent)

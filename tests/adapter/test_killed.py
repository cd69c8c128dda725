"""Killed at any moment: the next run continues, and the result is that of an undisturbed run."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import uvl_plugin as uvl
from tests.private_database import REPOSITORY

PROGRAM = Path(__file__).with_name("embed_until_killed.py")
N, KILLS = 1500, 10


def decoded(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


def start(dataset, log: Path) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, str(PROGRAM), dataset.name, str(log)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


def wait_until_working(program: subprocess.Popen, log: Path, before: int) -> None:
    for _ in range(6000):
        if len(decoded(log)) > before or program.poll() is not None:
            return
        time.sleep(0.01)
    pytest.fail("the program does not start to work")


@pytest.mark.timeout(900)
def test_killed_ten_times_and_taken_up_again(make_dataset, digit_files, tmp_path):
    paths = [digit_files[number % len(digit_files)][0] for number in range(N)]
    dataset = make_dataset(paths)
    dataset.persistent = True
    log, moments = tmp_path / "decoded.log", random.Random(0)
    n_killed = 0
    for _ in range(KILLS):
        before = len(decoded(log))
        program = start(dataset, log)
        wait_until_working(program, log, before)
        time.sleep(moments.uniform(0.0, 0.25))
        program.send_signal(signal.SIGKILL)
        program.communicate()
        n_killed += program.returncode == -signal.SIGKILL
    assert n_killed == KILLS  # else the dataset is too small for the test to say anything
    program = start(dataset, log)
    _, said = program.communicate()
    assert program.returncode == 0, said.decode()
    dataset.reload()
    uvl.embed(dataset, uvl.Pixels(size=4), "undisturbed")
    first, second = dataset.values(["emb", "undisturbed"])
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    seen = decoded(log)
    assert set(seen) == set(dataset.values("id"))
    # what each kill can cost: a second's portion, and what was decoded ahead of it
    assert len(seen) - N <= KILLS * 600
    dataset.persistent = False

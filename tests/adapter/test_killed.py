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
from tests.media.videos import H264, encode
from tests.private_database import REPOSITORY

PROGRAM = Path(__file__).with_name("embed_until_killed.py")
N, KILLS = 1500, 5


def decoded(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


def start(dataset, log: Path, field: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, str(PROGRAM), dataset.name, str(log), field]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


def wait_until_working(program: subprocess.Popen, log: Path, before: int) -> None:
    for _ in range(6000):
        if len(decoded(log)) > before or program.poll() is not None:
            return
        time.sleep(0.01)
    pytest.fail("the program does not start to work")


def killed_again_and_again(dataset, log: Path, field: str, n_times: int, longest: float) -> None:
    """Embeds; kills the program at random moments, and lets it end at last."""
    moments = random.Random(0)
    for _ in range(n_times):
        before = len(decoded(log))
        program = start(dataset, log, field)
        wait_until_working(program, log, before)
        time.sleep(moments.uniform(0.0, longest))
        program.send_signal(signal.SIGKILL)
        _, said = program.communicate()
        assert program.returncode == -signal.SIGKILL, said.decode()  # else there is too little
    program = start(dataset, log, field)
    _, said = program.communicate()
    assert program.returncode == 0, said.decode()
    dataset.reload()


@pytest.mark.timeout(900)
def test_killed_again_and_again_and_taken_up_again(make_dataset, digit_files, tmp_path):
    paths = [digit_files[number % len(digit_files)][0] for number in range(N)]
    dataset = make_dataset(paths)
    dataset.persistent = True
    log = tmp_path / "decoded.log"
    killed_again_and_again(dataset, log, "emb", KILLS, 0.25)
    uvl.embed(dataset, uvl.Pixels(size=4), "undisturbed")
    first, second = dataset.values(["emb", "undisturbed"])
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    seen = decoded(log)
    assert set(seen) == set(dataset.values("id"))
    # what each kill can cost: a second's portion, and what was decoded ahead of it
    assert len(seen) - N <= KILLS * 600
    dataset.persistent = False


@pytest.mark.timeout(900)
def test_killed_inside_of_a_video_and_taken_up_there(make_dataset, tmp_path):
    film = encode(tmp_path / "long.mp4", *H264, "-bf", 3, "-g", 24, n=1800)
    dataset = make_dataset([film, film])
    dataset.persistent = True
    log = tmp_path / "decoded.log"
    killed_again_and_again(dataset, log, "frames.emb", 4, 1.2)
    uvl.embed(dataset, uvl.Pixels(size=4), "frames.undisturbed", progress=False)
    first, second = dataset.values(["frames.emb", "frames.undisturbed"], unwind=True)
    assert len(first) == 2 * 1800
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    seen = decoded(log)
    assert len(set(seen)) == 2 * 1800
    assert len(seen) - len(set(seen)) <= 4 * 900
    dataset.persistent = False

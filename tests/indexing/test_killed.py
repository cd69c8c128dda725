"""Killed at any moment of a write: the index is the old one or the new one, and can be written."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.indexing.made import clustered, content, made, names
from tests.indexing.write_until_killed import DIM, WRITES, leftovers
from tests.private_database import REPOSITORY
from uvl_plugin.indexing.index import VectorIndex

PROGRAM = Path(__file__).with_name("write_until_killed.py")
N, KILLS = 30_000, 10
QUERIES = clustered(5, DIM, seed=9)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The folder of an index of 30,000 vectors."""
    folder = tmp_path_factory.mktemp("base") / "index"
    return made(folder, clustered(N, DIM), kind="flat").folder


def start(mode: str, folder: Path, what: str, n: int) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(PROGRAM), mode, str(folder), what, str(n)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)


def told(program: subprocess.Popen) -> None:
    """Starts the write."""
    assert program.stdout.readline() == "ready\n"
    program.stdin.write("go\n")
    program.stdin.flush()


def answers(index: VectorIndex) -> list[str]:
    """Ids and distances of the nearest, as text, whatever the order of rows."""
    snapshot = index.snapshot()
    found = zip(*snapshot.search(QUERIES, 20), strict=True)
    return [
        f"{name} {distance:.4f}"
        for rows, apart in found
        for name, distance in zip(snapshot.ids(rows), apart, strict=True)
    ]


@pytest.mark.parametrize("what", WRITES)
def test_killed_ten_times(what, base, tmp_path):
    whole = shutil.copytree(base, tmp_path / "whole")
    program = start("MOMENTS", whole, what, N)
    told(program)
    seconds = float(program.stdout.readline())
    program.communicate()
    states = [(content(index), answers(index)) for index in (VectorIndex(base), VectorIndex(whole))]
    assert states[0] != states[1]
    moments, n_during = random.Random(0), 0
    for kill in range(KILLS):
        folder = shutil.copytree(base, tmp_path / f"kill-{kill}")
        program = start("MOMENTS", folder, what, N)
        told(program)
        time.sleep(moments.uniform(0.0, seconds))
        program.send_signal(signal.SIGKILL)
        n_during += program.communicate()[0] == ""
        index = VectorIndex(folder)
        assert (content(index), answers(index)) in states
        index.verify()
        before = len(index.snapshot())
        index.add(names(1, 10**6), QUERIES[:1])
        assert len(index.snapshot()) == before + 1
        assert index.snapshot().search(QUERIES[:1], 1)[1][0, 0] == pytest.approx(0, abs=1e-6)
        assert not leftovers(index)
        shutil.rmtree(folder)
    assert n_during >= KILLS // 2  # else the moments were too late for the test to say anything


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("what", WRITES)
def test_killed_at_every_touch_of_a_file(what, tmp_path):
    made(tmp_path / "index", clustered(200, DIM), kind="flat")
    program = start("POINTS", tmp_path / "index", what, 200)
    said, _ = program.communicate()
    assert program.returncode == 0
    n_killed, n_old = map(int, said.split())
    assert n_killed > 30
    assert 0 < n_old < n_killed


def test_killed_while_the_first_is_made(tmp_path):
    for moment in np.linspace(0.0, 0.2, 4):
        program = start("MOMENTS", tmp_path / "index", "create", N)
        told(program)
        time.sleep(moment)
        program.send_signal(signal.SIGKILL)
        program.communicate()
    index = made(tmp_path / "index", clustered(100, DIM))
    assert len(index.snapshot()) == 100
    assert not leftovers(index)

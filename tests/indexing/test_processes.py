"""Several processes read while one writes: each answer was true at the generation it names."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest

from tests.indexing.share_index import IDS, K, telling
from tests.private_database import REPOSITORY
from uvl_plugin.indexing import index as module
from uvl_plugin.indexing.index import VectorIndex
from uvl_plugin.indexing.kinds.flat import Flat

PROGRAM = Path(__file__).with_name("share_index.py")
READERS, WRITES = 4, 100


def start(mode: str, folder: Path, number: int, **options) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(PROGRAM), mode, str(folder), str(number)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, **options)


def page(truth: dict[int, int], numbers: np.ndarray, version: int):
    """Vectors of this version, which the truth learns."""
    truth.update(dict.fromkeys(numbers.tolist(), version))
    return numbers.astype(str), telling(numbers, version), None


class Writer:
    """Writes at random, and knows what was true at each generation."""

    def __init__(self, folder: Path):
        self.draw = np.random.default_rng(0)
        self.truth: dict[int, int] = {}
        self.at: dict[int, dict[int, int]] = {}
        first = page(self.truth, np.arange(IDS), 0)
        self.index = VectorIndex.create(folder, [first], metric="euclidean", kind=Flat())
        self.note()

    def note(self) -> None:
        """A write may be several generations, which all say the same."""
        last = max(self.at, default=0)
        for generation in range(last + 1, self.index.manifest["generation"] + 1):
            self.at[generation] = dict(self.truth)

    def write(self, version: int) -> None:
        what = self.draw.choice(["add", "add", "remove", "rebuild", "create"])
        numbers = self.draw.choice(IDS, self.draw.integers(1, 60), replace=False)
        if what == "add":
            self.index.add(*page(self.truth, numbers, version))
        elif what == "remove":
            self.index.remove(numbers.astype(str))
            for number in numbers.tolist():
                self.truth.pop(number, None)
        elif what == "rebuild":
            self.index.rebuild()
        else:
            self.truth = {}
            pages = [page(self.truth, np.arange(version % 2, IDS, 2), version)]
            VectorIndex.create(self.index.folder, pages, metric="euclidean", kind=Flat())
        self.note()


def nearest_by_hand(truth: dict[int, int], number: int) -> list[float]:
    numbers, versions = np.array(list(truth)), np.array(list(truth.values()))
    return np.sort(np.hypot(10.0 * (numbers - number), versions / 1024))[:K].tolist()


def check_answer(line: dict, truth: dict[int, int]) -> None:
    """Raises unless what a reader found was so."""
    assert line["n"] == len(truth)
    for asked, found in line["answers"]:
        apart = []
        for name, number, version in found:
            assert name == number
            assert truth[name] == version
            apart.append(np.hypot(10.0 * (number - asked), version / 1024))
        np.testing.assert_allclose(apart, nearest_by_hand(truth, asked), atol=1e-3)


@pytest.fixture
def tidy_often(monkeypatch):
    monkeypatch.setattr(module, "_FEW", 150)
    monkeypatch.setattr(module, "_TAILS", 3)


def test_readers_see_the_old_or_the_new(tmp_path, tidy_often):
    writer, readers, notes = Writer(tmp_path / "index"), [], []
    for number in range(READERS):
        note = (tmp_path / f"reader-{number}").open("w+")
        notes.append(note)
        readers.append(start("READ", tmp_path / "index", number, stdout=note))
    wait_until(lambda: all((tmp_path / f"reader-{n}").stat().st_size for n in range(READERS)))
    for version in range(1, WRITES + 1):
        writer.write(version)
    (tmp_path / "stop").touch()
    for reader, note in zip(readers, notes, strict=True):
        _, error = reader.communicate(timeout=60)
        assert (reader.returncode, error) == (0, "")
        note.seek(0)
        _, *lines = map(str.strip, note)
        note.close()
        answers = [json.loads(line) for line in lines]
        generations = [line["generation"] for line in answers]
        assert generations == sorted(generations)
        assert len(set(generations)) > WRITES // 10  # it has read in between
        for line in answers:
            check_answer(line, writer.at[line["generation"]])


def wait_until(true) -> None:
    pause = threading.Event()
    for _ in range(6000):
        if true():
            return
        pause.wait(0.01)
    pytest.fail("the readers do not start")


def test_several_processes_write_one_after_the_other(tmp_path):
    index = VectorIndex.create(tmp_path, [], metric="euclidean")
    writers = [start("WRITE", tmp_path, 100 * number) for number in range(3)]
    for writer in writers:
        _, error = writer.communicate(timeout=60)
        assert (writer.returncode, error) == (0, "")
    every = {str(100 * number + own) for number in range(3) for own in range(10)}
    assert set(index.snapshot().ids().tolist()) == every
    index.verify()


def test_threads_share_one_index(tmp_path, tidy_often):
    first = page({}, np.arange(IDS), 0)
    index = VectorIndex.create(tmp_path, [first], metric="euclidean", kind=Flat())
    stop = threading.Event()

    def read():
        while not stop.is_set():
            _, apart = index.snapshot().search(telling([7], 0), 1)
            assert apart[0, 0] < 1

    def write(start):
        for number in range(start, start + 8):
            index.add(np.array([str(number)]), telling([number], 1))

    with ThreadPoolExecutor(5) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        writers = [pool.submit(write, start) for start in (1000, 2000)]
        wait(writers)
        stop.set()
        for task in readers + writers:
            task.result()
    assert len(index.snapshot()) == IDS + 16


def test_a_copy_while_another_process_writes(tmp_path):
    first = page({}, np.arange(IDS), 0)
    index = VectorIndex.create(tmp_path / "index", [first], metric="euclidean")
    writer, copies = start("WRITE", tmp_path / "index", 10_000), []
    while writer.poll() is None or not copies:
        copies.append(index.copy_to(tmp_path / f"copy-{len(copies)}"))
    writer.communicate()
    for copy in copies:
        copy.verify()
        assert IDS <= len(copy.snapshot()) <= IDS + 10

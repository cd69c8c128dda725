import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pymongo
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.private_database import REPOSITORY
from uvl_plugin.adapter import demo, demo_session
from uvl_plugin.adapter.mongod import private_mongod
from uvl_plugin.core.errors import SettingsError

COMMAND = [sys.executable, "-m", "uvl_plugin.cli", "demo", "--folder"]
SECONDS = 600


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Of a user who has neither a FiftyOne database nor settings."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FIFTYONE_")}
    return kept | {
        "HOME": str(home),
        "PYTHONPATH": str(REPOSITORY),
        "FIFTYONE_PLUGINS_DIR": os.environ["FIFTYONE_PLUGINS_DIR"],
        "FIFTYONE_DO_NOT_TRACK": "true",
    }


def run(folder: Path, environment: dict[str, str]) -> tuple[subprocess.CompletedProcess, float]:
    started = time.monotonic()
    ran = subprocess.run(
        [*COMMAND, str(folder), "--no-app"],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=SECONDS,
    )
    return ran, time.monotonic() - started


@pytest.fixture(scope="module")
def explored(tmp_path_factory, environment):
    """A folder in which the demo ran once: folder, report, seconds."""
    folder = tmp_path_factory.mktemp("demo")
    ran, seconds = run(folder, environment)
    assert (ran.returncode, ran.stderr) == (0, "")
    return folder, ran.stdout, seconds


def stored(folder: Path) -> dict:
    """Everything in the demo's database that a second run must leave as it is."""
    with private_mongod(folder / "db") as address, pymongo.MongoClient(address) as client:
        database = client["fiftyone"]
        dataset = database["datasets"].find_one({"name": demo.DATASET}, {"last_loaded_at": False})
        samples = list(database[dataset["sample_collection_name"]].find())
        return {"dataset": dataset, "samples": samples, "runs": list(database["runs"].find())}


def test_digits_are_written_once_and_exactly(tmp_path):
    files = demo.write_digits(tmp_path)
    digits = load_digits()
    assert [label for _, label in files] == [str(label) for label in digits.target]
    assert files[0][0] == tmp_path / "0" / "0000.png"
    for number in (0, 555, 1796):
        picture = np.asarray(Image.open(files[number][0]), dtype=float)
        np.testing.assert_allclose(picture, digits.images[number] * 255 / 16, atol=0.5)
    files[7][0].unlink()
    before = {file: file.stat().st_mtime_ns for file, _ in files if file.exists()}
    demo.write_digits(tmp_path)
    assert files[7][0].exists()
    assert before == {file: file.stat().st_mtime_ns for file in before}


def test_the_report_tells_sizes_agreement_and_seconds(explored):
    folder, report, _ = explored
    assert f"1,797 handwritten digits, 8 x 8 pixels, in {folder}" in report
    sizes = [int(size) for size in re.findall(r"learned \d\d +(\d+)", report)]
    assert 9 <= len(sizes) <= 12
    assert f"{len(sizes)} clusters" in report
    assert sum(sizes) == 1797
    assert sizes == sorted(sizes, reverse=True)
    found = dict(re.findall(r"(pixels|learned) +ACC (0\.\d+), NMI 0\.\d+, ARI 0\.\d+", report))
    assert float(found["pixels"]) > 0.85  # 0.899; k-means, told the number, has 0.79
    assert float(found["learned"]) > 0.88  # 0.92 to 0.94
    assert re.search(r"^ +pixels +start +learned$", report, flags=re.MULTILINE)
    assert re.search(r"seconds: read [\d.]+, train [\d.]+, judge [\d.]+, embed [\d.]+", report)


def test_a_second_run_is_quick_and_changes_nothing(explored, environment):
    folder, report, seconds = explored
    before = stored(folder)
    assert {run["key"] for run in before["runs"]} == {
        "train_uvl_digits",
        "learned",
        "learned_index",
        "learned_map",
        "embed_learned_embedding",
        "pixels",
        "embed_pixels_embedding",
    }
    ran, seconds_again = run(folder, environment)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, report, "")
    assert seconds_again < seconds
    assert stored(folder) == before


def test_the_users_database_is_not_touched(explored, environment):
    assert not Path(environment["HOME"], ".fiftyone", "var", "lib").exists()


def test_a_demo_in_use_is_said_in_one_line(explored, environment):
    folder, *_ = explored
    with private_mongod(folder / "db"):
        ran, _ = run(folder, environment)
    assert ran.returncode == 1
    assert re.fullmatch(
        r"uvl: The demo runs already: .* in use by another mongod \(process \d+\); stop it\.\n",
        ran.stderr,
    )


def test_the_app_is_served_until_ctrl_c(explored, environment):
    folder, *_ = explored
    with subprocess.Popen(
        [*COMMAND, str(folder), "--port", str(free_port())],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            said = [process.stdout.readline()]
            while said[-1] and not said[-1].startswith("Ctrl-C"):
                said.append(process.stdout.readline())
            text = "".join(said)
            address = re.search(r"The App is at (http://127\.0\.0\.1:\d+)", text)[1]
            with urllib.request.urlopen(f"{address}/fiftyone", timeout=60) as answer:
                assert answer.status == 200
            wait_for(lambda: "service running" in (folder / "jobs.log").read_text())
            os.killpg(process.pid, signal.SIGINT)
            assert process.stdout.read() == ""
            assert process.wait(SECONDS) == 130
        finally:
            process.kill()
    assert (folder / "db" / "mongod.lock").read_text() == ""  # the server has stopped in order
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=5)


def wait_for(condition) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_first_free_port_is_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < demo_session.free_port(port) < port + 100


def test_no_free_port_is_told():
    with pytest.raises(SettingsError, match="No port from 65536 on is free"):
        demo_session.free_port(65536)

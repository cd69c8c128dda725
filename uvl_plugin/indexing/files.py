"""Files that are written whole or not at all, and known again by size and checksum."""

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from uvl_plugin.core.errors import BrokenIndexError

PARTIAL = ".partial"  # ends the name of what is not whole yet
_ENDS = 2**16  # bytes at either end that are read each time a file is opened
_READ = 2**22
_TRIES, _PAUSE = 100, 0.02  # seconds between them


def described(path: Path) -> dict[str, Any]:
    """Size and checksums of a file: of its ends, and of all of it."""
    return {"bytes": path.stat().st_size, "ends": _of_ends(path), "all": _of_all(path)}


def check(path: Path, expected: dict[str, Any], *, whole: bool = False) -> None:
    """Compares a file with what :func:`described` said of it.

    Args:
        whole: reads all of it, and not only its ends.

    Raises:
        FileNotFoundError: if it is not there.
        BrokenIndexError: if it is another or damaged.
    """
    size = path.stat().st_size
    if size != expected["bytes"]:
        raise BrokenIndexError(
            f"'{path}' has {size:,} bytes instead of {expected['bytes']:,}: it was truncated or "
            "replaced."
        )
    if _of_ends(path) != expected["ends"] or (whole and _of_all(path) != expected["all"]):
        raise BrokenIndexError(f"'{path}' is not what was written: its checksum differs.")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replaces a JSON file whole, with a checksum of its content in it; one writer at a time."""
    content = json.loads(json.dumps(content))  # as it will be read: every key is text
    partial = path.with_name(path.name + PARTIAL)
    with partial.open("w") as file:
        file.write(json.dumps(content | {"checksum": _checksum(content)}, indent=1))
        file.flush()
        os.fsync(file.fileno())
    _replace(partial, path)
    sync_folder(path.parent)


def parsed_json(text: bytes, path: Path) -> dict[str, Any]:
    """What :func:`write_json` wrote.

    Args:
        path: where it was read, for messages.

    Raises:
        BrokenIndexError: if it is damaged.
    """
    try:
        content = json.loads(text)
        checksum = content.pop("checksum")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BrokenIndexError(f"'{path}' is damaged or not of an index: {error!r}.") from error
    if checksum != _checksum(content):
        raise BrokenIndexError(f"'{path}' is not what was written: its checksum differs.")
    return content


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name when the block ends without an error."""
    partial = path.with_name(path.name + PARTIAL)
    partial.mkdir()
    try:
        yield partial
        for file in partial.iterdir():
            _sync(file)
        sync_folder(partial)
        os.rename(partial, path)
        sync_folder(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def sync_folder(path: Path) -> None:
    """Makes the names in a folder last through a power failure, where the system can."""
    with contextlib.suppress(OSError):  # Windows opens no folders
        _sync(path)


def _replace(partial: Path, path: Path) -> None:
    for left in reversed(range(_TRIES)):
        try:
            os.replace(partial, path)
            return
        except PermissionError:  # Windows, while a reader has the file open
            if not left:
                raise
            time.sleep(_PAUSE)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _of_ends(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        digest.update(file.read(_ENDS))
        file.seek(max(0, path.stat().st_size - _ENDS))
        digest.update(file.read(_ENDS))
    return digest.hexdigest()


def _of_all(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while some := file.read(_READ):
            digest.update(some)
    return digest.hexdigest()


def _checksum(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

"""Files with the same content."""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.progress import Progress, part, silent

_CHUNK = 2**20  # bytes that are read at a time
_BATCH = 1024  # files between two reports of progress
_THREADS = 8

File = tuple[int, int, int]  # size in bytes, device and number: the same for all links to it
Key = TypeVar("Key")
Value = TypeVar("Value")


def exact_copies(
    paths: Mapping[str, str], progress: Progress = silent, threads: int = _THREADS
) -> tuple[dict[str, str], dict[str, str]]:
    """Finds files that are byte for byte the same, whatever they are called.

    Only files whose size another one has too are read, in portions, and compared by a BLAKE2b
    digest of 32 bytes (RFC 7693). Links to one file are copies of each other; it is read once.

    Args:
        paths: of files by the id of their item; the first of equal ones is the original.
        threads: that read at the same time, at least 1.

    Returns:
        The id of the original by the id of each copy; and by the id of each file that cannot be
        compared the reason, without the path. Both in the order of ``paths``.

    Raises:
        SettingsError: if there are no threads.
    """
    if threads < 1:
        raise SettingsError(f"threads must be at least 1, got {threads}.", "threads")
    with ThreadPoolExecutor(threads) as pool:
        look, read = part(progress, 0.0, 0.2), part(progress, 0.2, 1.0)
        found, failures = _each(pool, _looked_at, paths, look, "sizes of files")
        files = {file: paths[key] for key, file in found.items()}
        sizes = Counter(size for size, _, _ in files)
        alike = {file: path for file, path in files.items() if sizes[file[0]] > 1}
        digests, unread = _each(pool, _digest, alike, read, "contents of files")
    failures |= {key: unread[file] for key, file in found.items() if file in unread}
    originals: dict[bytes | File, str] = {}
    copies = {}
    for key in paths:
        if key not in failures:
            file = found[key]
            original = originals.setdefault(digests.get(file, file), key)
            if original != key:
                copies[key] = original
    return copies, {key: failures[key] for key in paths if key in failures}


def _each(
    pool: ThreadPoolExecutor,
    work: Callable[[str], Value],
    paths: Mapping[Key, str],
    progress: Progress,
    what: str,
) -> tuple[dict[Key, Value], dict[Key, str]]:
    """What the work gives for each path, and why it failed for the others."""
    found: dict[Key, Value] = {}
    failures: dict[Key, str] = {}

    def tried(item: tuple[Key, str]) -> None:
        key, path = item
        try:
            found[key] = work(path)
        except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
            failures[key] = getattr(error, "strerror", None) or str(error)

    left = iter(paths.items())
    done = 0
    while batch := list(islice(left, _BATCH)):
        list(pool.map(tried, batch))
        done += len(batch)
        progress(done / len(paths), f"{what}, {done:,} of {len(paths):,}")
    progress(1.0, what)
    return found, failures


def _looked_at(path: str) -> File:
    state = os.stat(path)
    if not stat.S_ISREG(state.st_mode):
        raise DataError("not a regular file")  # reading a pipe would wait for ever
    if state.st_size == 0:
        raise DataError("empty file")
    return state.st_size, state.st_dev, state.st_ino


def _digest(path: str) -> bytes:
    digest = hashlib.blake2b(digest_size=32)
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()

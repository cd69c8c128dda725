"""The folder of an index: which of its files count, and who may write."""

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from uvl_plugin.core.errors import BrokenIndexError
from uvl_plugin.indexing.files import PARTIAL, parsed_json, write_json

MANIFEST = "index.json"
_FORMAT, _VERSION = "uvl-index", 1
_LOCK = ".lock"
_OURS = re.compile(rf"(segment|gone)-\d{{8}}-.*|{re.escape(MANIFEST + PARTIAL)}")
_WAIT_SECONDS = 3600.0  # for another writer; building millions takes long
_TRIES = 50  # to read what another process is replacing

T = TypeVar("T")


class IndexFolder:
    """Files that count are those that the manifest names; it is replaced whole.

    Args:
        path: of the folder, which need not exist.
    """

    def __init__(self, path: Path):
        self.path = path

    @property
    def exists(self) -> bool:
        """Whether there is an index in the folder."""
        return (self.path / MANIFEST).is_file()

    def text(self) -> bytes:
        """The manifest as it is written.

        Raises:
            BrokenIndexError: if there is none.
        """
        try:
            return (self.path / MANIFEST).read_bytes()
        except FileNotFoundError:
            raise BrokenIndexError(f"There is no index in '{self.path}'.") from None

    def manifest(self, text: bytes | None = None) -> dict[str, Any]:
        """What is written about the index.

        Args:
            text: of :meth:`text`; None: as it is now.

        Raises:
            BrokenIndexError: if there is none, or it is damaged or of a later version.
        """
        path = self.path / MANIFEST
        manifest = parsed_json(self.text() if text is None else text, path)
        if manifest.get("format") != _FORMAT:
            raise BrokenIndexError(f"'{path}' is not of an index.")
        if manifest["version"] > _VERSION:
            raise BrokenIndexError(
                f"'{self.path}' was written by a later version of the plugin (format "
                f"{manifest['version']}, this one reads {_VERSION})."
            )
        return manifest

    def steady(self, read: Callable[[bytes], T]) -> T:
        """What ``read`` makes of the manifest; again where files were replaced meanwhile.

        Raises:
            BrokenIndexError: if files are missing, damaged or of something else.
        """
        for _ in range(_TRIES):
            text = self.text()
            try:
                return read(text)
            except FileNotFoundError as error:
                if self.text() == text:  # nobody wrote: it is so
                    raise BrokenIndexError(f"'{error.filename}' is missing.") from error
            except BrokenIndexError:
                if self.text() == text:
                    raise
        raise BrokenIndexError(f"'{self.path}' changes faster than it can be read.")

    @contextlib.contextmanager
    def writing(self) -> Iterator[dict[str, Any]]:
        """Keeps other writers out; gives the manifest.

        Raises:
            BrokenIndexError: if there is no index, or it is damaged.
        """
        self.text()  # else the lock would make a folder
        with self._locked():
            manifest = self.manifest()
            self._sweep(manifest["segments"])
            yield manifest

    @contextlib.contextmanager
    def replacing(self) -> Iterator[dict[str, Any] | None]:
        """As :meth:`writing`, in a folder that need not exist; None where there is no index, or
        one that cannot be read."""
        self.path.mkdir(parents=True, exist_ok=True)
        with self._locked():
            manifest = None
            with contextlib.suppress(BrokenIndexError):
                manifest = self.manifest()
            if manifest or not self.exists:  # else it may be of a later version: keep it till then
                self._sweep(manifest["segments"] if manifest else [])
            yield manifest

    def new_name(self, what: str, manifest: dict[str, Any] | None) -> str:
        """The name of a folder in this one that was never used before.

        Args:
            what: ``"segment"`` or ``"gone"``.
        """
        return f"{what}-{generation_of(manifest) + 1:08d}-{secrets.token_hex(4)}"

    def commit(self, manifest: dict[str, Any], segments: list[dict[str, Any]]) -> None:
        """Writes the next generation: from here on it counts, and what it does not name goes."""
        new = manifest | {
            "format": _FORMAT,
            "version": _VERSION,
            "generation": generation_of(manifest) + 1,
            "segments": segments,
        }
        write_json(self.path / MANIFEST, new)
        self._sweep(segments)

    def delete(self) -> None:
        """Removes the index, and the folder if nothing else is in it."""
        if not self.path.is_dir():
            return
        with self._locked():
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.path / MANIFEST)
            self._sweep([])
        with contextlib.suppress(OSError):
            os.remove(self.path / _LOCK)
        with contextlib.suppress(OSError):
            self.path.rmdir()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        import filelock

        lock = filelock.FileLock(self.path / _LOCK, timeout=_WAIT_SECONDS)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise BrokenIndexError(
                f"Another process has been writing to '{self.path}' for {_WAIT_SECONDS:.0f} s."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _sweep(self, segments: list[dict[str, Any]]) -> None:
        """Removes what the segments do not name: older states, and what a crash left. Files that
        are not of an index stay."""
        named = {name for name, _ in folders_of(segments)}
        for path in self.path.iterdir():
            if path.name in named or not _OURS.fullmatch(path.name):
                continue
            with contextlib.suppress(OSError):  # Windows keeps files that a reader has open
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def folders_of(segments: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every folder that these segments name, and what is known of each file in it."""
    for entry in segments:
        yield entry["name"], entry["files"]
        if entry["gone"]:
            yield entry["gone"]["name"], entry["gone"]["files"]


def generation_of(manifest: dict[str, Any] | None) -> int:
    """Counts the writes; 0 where there was none."""
    return manifest["generation"] if manifest and "generation" in manifest else 0

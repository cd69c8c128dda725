"""A similarity index in a folder: many processes read it while one writes."""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from uvl_plugin.core.errors import BrokenIndexError, DataError, SettingsError
from uvl_plugin.core.progress import Progress, part, silent
from uvl_plugin.indexing.auto import AUTO, resolve_kind, suitable_kind
from uvl_plugin.indexing.files import check, described, new_folder, read_json, write_json
from uvl_plugin.indexing.kind import IndexKind, index_kinds
from uvl_plugin.indexing.metrics import check_metric
from uvl_plugin.indexing.segment import (
    Page,
    Segment,
    link_segment,
    open_segment,
    write_segment,
)
from uvl_plugin.indexing.snapshot import Snapshot, as_bytes

PRECISIONS = ("float32", "float16")
MANIFEST = "index.json"
_FORMAT, _VERSION = "uvl-index", 1
_LOCK = ".lock"
_GONE = "gone-"
_WAIT_SECONDS = 3600.0  # for another writer; building millions takes long
_TAILS = 8  # segments beside the main one; more are merged into one
_GROWN = 0.25  # of the main segment: added or removed that many, all is built again
_FEW = 10_000  # vectors that are always cheap to have beside it
_TRIES = 20  # to open what another process is replacing


class VectorIndex:
    """Vectors by id, in files.

    What is written is written beside what is there, and counts once the manifest is replaced: a
    reader sees the old state or the new one, and a crash leaves the old one. Writers wait for
    each other.

    Args:
        folder: of the index.
    """

    def __init__(self, folder: "str | Path"):
        self.folder = Path(folder)
        self._snapshot: Snapshot | None = None
        self._state: tuple | None = None

    @classmethod
    def create(
        cls,
        folder: "str | Path",
        pages: Iterable[Page],
        *,
        kind: "IndexKind | str" = AUTO,
        metric: str = "cosine",
        precision: str = "float32",
        about: dict[str, Any] | None = None,
        progress: Progress = silent,
    ) -> "VectorIndex":
        """Builds an index page by page, and replaces the one in the folder, if there is one.

        Args:
            folder: made if it is not there.
            pages: ids ``(m,)``, vectors ``(m, dim)`` and, for items that are not samples, the ids
                of their samples.
            kind: a kind, its name, or ``"auto"``.
            metric: ``"cosine"``, ``"dotproduct"`` or ``"euclidean"``.
            precision: ``"float32"`` or ``"float16"``, of the stored vectors.
            about: JSON types, kept with the index.

        Raises:
            SettingsError: if there is no such kind, metric or precision.
            DataError: if vectors differ in length, or an id comes twice.
        """
        check_metric(metric)
        if precision not in PRECISIONS:
            raise SettingsError(
                f"precision must be {' or '.join(PRECISIONS)}, got {precision!r}.", "precision"
            )
        asked = resolve_kind(kind)
        index = cls(folder)
        index.folder.mkdir(parents=True, exist_ok=True)
        base = {
            "metric": metric,
            "precision": precision,
            "asked": AUTO if asked is None else asked.name,
            "settings": {} if asked is None else asked.to_dict(),
            "about": about or {},
        }
        with index._writing() as before:
            index._build(before["generation"] + 1 if before else 1, base, pages, progress)
        return index

    @property
    def exists(self) -> bool:
        """Whether there is an index in the folder."""
        return (self.folder / MANIFEST).is_file()

    @property
    def manifest(self) -> dict[str, Any]:
        """What is written about the index.

        Raises:
            BrokenIndexError: if there is none, or it is damaged.
        """
        try:
            manifest = read_json(self.folder / MANIFEST)
        except FileNotFoundError:
            raise BrokenIndexError(f"There is no index in '{self.folder}'.") from None
        if manifest.get("format") != _FORMAT:
            raise BrokenIndexError(f"'{self.folder / MANIFEST}' is not of an index.")
        if manifest["version"] > _VERSION:
            raise BrokenIndexError(
                f"'{self.folder}' was written by a later version of the plugin (format "
                f"{manifest['version']}, this one reads {_VERSION})."
            )
        return manifest

    def snapshot(self) -> Snapshot:
        """The index as it is now; opened again only if it has changed.

        Raises:
            BrokenIndexError: if files are missing, damaged or of something else.
        """
        state = self._seen()
        if self._snapshot is None or state != self._state:
            self._snapshot, self._state = self._opened(), state
        return self._snapshot

    def add(
        self,
        ids: np.ndarray,
        vectors: np.ndarray,
        owners: np.ndarray | None = None,
        *,
        progress: Progress = silent,
    ) -> None:
        """Adds vectors, and replaces those whose id is there already.

        Args:
            ids: shape ``(m,)``; where one comes twice, the last one counts.
            vectors: shape ``(m, dim)``.
            owners: the sample of each item, shape ``(m,)``, where the items are not samples.

        Raises:
            DataError: if the vectors are of another length or not finite.
        """
        keys = as_bytes(ids)
        _, last = np.unique(keys[::-1], return_index=True)
        rows = np.sort(len(keys) - 1 - last)
        vectors = np.asarray(vectors)
        samples = None if owners is None else as_bytes(owners)[rows]
        with self._writing() as manifest:
            if manifest is None:
                raise BrokenIndexError(f"There is no index in '{self.folder}'.")
            now = self.snapshot()
            _check_vectors(keys, vectors, now)
            if len(rows) == 0:
                return
            entries = self._without(manifest, now, now.rows_of(keys[rows]))
            name = f"segment-{manifest['generation'] + 1:08d}"
            entries.append(
                write_segment(
                    self.folder, name, [(keys[rows], vectors[rows], samples)],
                    choose=lambda n, dim: None, metric=manifest["metric"],
                    precision=manifest["precision"], progress=silent,
                )
            )  # fmt: skip
            self._commit(manifest, entries)
            self._tidy(progress)

    def remove(self, ids: np.ndarray, *, progress: Progress = silent) -> int:
        """Takes vectors out; returns how many were there."""
        with self._writing() as manifest:
            now = self.snapshot()
            rows = now.rows_of(np.unique(as_bytes(ids)))
            n_gone = int(np.count_nonzero(rows >= 0))
            if n_gone and manifest is not None:
                self._commit(manifest, self._without(manifest, now, rows))
                self._tidy(progress)
        return n_gone

    def rebuild(
        self,
        pages: Iterable[Page] | None = None,
        *,
        about: dict[str, Any] | None = None,
        progress: Progress = silent,
    ) -> None:
        """Builds everything again: of what is in the index, or of ``pages``."""
        with self._writing() as manifest:
            if manifest is None:
                raise BrokenIndexError(f"There is no index in '{self.folder}'.")
            if about is not None:
                manifest["about"] = about
            self._build(
                manifest["generation"] + 1, manifest,
                self.snapshot().pages() if pages is None else pages, progress,
            )  # fmt: skip

    def verify(self) -> None:
        """Reads every file whole.

        Raises:
            BrokenIndexError: if one is not what was written.
        """
        for entry in self.manifest["segments"]:
            for name, expected in entry["files"].items():
                check(self.folder / entry["name"] / name, expected, whole=True)

    def copy_to(self, folder: "str | Path") -> "VectorIndex":
        """Makes an index of its own with the same content; segments are shared where the disk
        allows, since they never change."""
        copy = VectorIndex(folder)
        copy.folder.mkdir(parents=True, exist_ok=True)
        with self._writing() as manifest, copy._writing():
            if manifest is None:
                raise BrokenIndexError(f"There is no index in '{self.folder}'.")
            for entry in manifest["segments"]:
                link_segment(self.folder / entry["name"], copy.folder / entry["name"])
                if entry["gone"]:
                    name = entry["gone"]["name"]
                    shutil.copyfile(self.folder / name, copy.folder / name)
            write_json(copy.folder / MANIFEST, manifest)
        return copy

    def delete(self) -> None:
        """Removes the folder."""
        self._snapshot = None
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[dict[str, Any] | None]:
        """Holds the lock; gives the manifest, None where there is no index yet."""
        import filelock

        lock = filelock.FileLock(self.folder / _LOCK, timeout=_WAIT_SECONDS)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise BrokenIndexError(
                f"Another process has been writing to '{self.folder}' for {_WAIT_SECONDS:.0f} s."
            ) from error
        try:
            self._sweep()
            yield self.manifest if self.exists else None
        finally:
            lock.release()

    def _build(
        self, generation: int, base: dict[str, Any], pages: Iterable[Page], progress: Progress
    ) -> None:
        chosen: list[tuple[IndexKind, str]] = []

        def choose(n: int, dim: int) -> IndexKind:
            if base["asked"] == AUTO:
                chosen.append(suitable_kind(n, dim))
            else:
                kind = index_kinds[base["asked"]].from_dict(base["settings"])
                chosen.append((kind, "it was asked for"))
            return chosen[0][0]

        entry = write_segment(
            self.folder, f"segment-{generation:08d}", map(_stored, pages), choose=choose,
            metric=base["metric"], precision=base["precision"], progress=part(progress, 0.3, 0.95),
        )  # fmt: skip
        entry["gone"] = None
        kind, why = chosen[0] if chosen else (index_kinds["flat"](), "there are no vectors yet")
        manifest = base | {
            "format": _FORMAT,
            "version": _VERSION,
            "generation": generation - 1,
            "kind": kind.name,
            "kind_settings": kind.to_dict(),
            "why": why,
        }
        self._commit(manifest, [entry] if entry["n"] else [])
        progress(1.0, "index written")

    def _commit(self, manifest: dict[str, Any], entries: list[dict[str, Any]]) -> None:
        """From here on the new state counts."""
        new = manifest | {"generation": manifest["generation"] + 1, "segments": entries}
        write_json(self.folder / MANIFEST, new)
        self._sweep()

    def _sweep(self) -> None:
        """Removes what the manifest does not name: older states, and what a crash left."""
        if not self.exists:
            return
        entries = self.manifest["segments"]
        named = {entry["name"] for entry in entries} | {MANIFEST, _LOCK}
        named |= {entry["gone"]["name"] for entry in entries if entry["gone"]}
        for path in self.folder.iterdir():
            if path.name in named:
                continue
            with contextlib.suppress(OSError):  # Windows keeps files that a reader has open
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _tidy(self, progress: Progress) -> None:
        """Merges what was added, or builds all again, once there is much of it."""
        manifest, now = self.manifest, self.snapshot()
        main = len(now.segments[0]) if now.segments else 0
        gone = sum(map(len, now.gone))
        beside = sum(map(len, now.segments[1:]))
        if max(gone, beside) > max(_FEW, _GROWN * main) or len(now) == 0:
            self._build(manifest["generation"] + 1, manifest, now.pages(), progress)
        elif len(now.segments) > 1 + _TAILS:
            tails = Snapshot(now.generation, now.metric, now.dim, now.segments[1:], now.gone[1:])
            entry = write_segment(
                self.folder, f"segment-{manifest['generation'] + 1:08d}", tails.pages(),
                choose=lambda n, dim: None, metric=manifest["metric"],
                precision=manifest["precision"], progress=silent,
            )  # fmt: skip
            merged = [entry | {"gone": None}] if entry["n"] else []
            self._commit(manifest, [manifest["segments"][0], *merged])

    def _without(
        self, manifest: dict[str, Any], now: Snapshot, rows: np.ndarray
    ) -> list[dict[str, Any]]:
        """The entries of all segments, with these rows marked as gone."""
        entries, start = [], 0
        for entry, gone in zip(manifest["segments"], now.gone, strict=True):
            own = rows[(rows >= start) & (rows < start + entry["n"])] - start
            start += entry["n"]
            if len(own):
                every = np.union1d(gone, own).astype(np.int64)
                name = f"{_GONE}{manifest['generation'] + 1:08d}-{entry['name']}"
                with new_folder(self.folder / name) as partial:
                    every.tofile(partial / "rows")
                described_ = described(self.folder / name / "rows")
                entry = entry | {"gone": {"name": name, "file": described_}}
            entries.append(entry)
        return entries

    def _seen(self) -> tuple:
        try:
            state = (self.folder / MANIFEST).stat()
        except FileNotFoundError:
            raise BrokenIndexError(f"There is no index in '{self.folder}'.") from None
        return state.st_ino, state.st_mtime_ns, state.st_size

    def _opened(self) -> Snapshot:
        """Tries again where another process replaced the files in between."""
        for _ in range(_TRIES):
            manifest = self.manifest
            try:
                return self._open(manifest)
            except (FileNotFoundError, BrokenIndexError) as error:
                if self.manifest["generation"] == manifest["generation"]:
                    missing = isinstance(error, FileNotFoundError)
                    said = f"'{error.filename}' is missing." if missing else str(error)
                    raise BrokenIndexError(said) from error
        raise BrokenIndexError(f"'{self.folder}' changes faster than it can be opened.")

    def _open(self, manifest: dict[str, Any]) -> Snapshot:
        kind = index_kinds[manifest["kind"]].from_dict(manifest["kind_settings"])
        known = {s.name: s for s in self._snapshot.segments} if self._snapshot else {}
        segments: list[Segment] = []
        gone: list[np.ndarray] = []
        for entry in manifest["segments"]:
            same = known.get(entry["name"])
            if same is None:
                same = open_segment(self.folder, entry, manifest["metric"], kind)
            segments.append(same)
            gone.append(self._gone_of(entry))
        dim = segments[0].vectors.shape[1] if segments else 0
        return Snapshot(
            manifest["generation"], manifest["metric"], dim, tuple(segments), tuple(gone)
        )

    def _gone_of(self, entry: dict[str, Any]) -> np.ndarray:
        if not entry["gone"]:
            return np.zeros(0, np.int64)
        path = self.folder / entry["gone"]["name"] / "rows"
        check(path, entry["gone"]["file"])
        return np.fromfile(path, np.int64)


def _stored(page: Page) -> Page:
    ids, vectors, owners = page
    return as_bytes(ids), vectors, None if owners is None else as_bytes(owners)


def _check_vectors(keys: np.ndarray, vectors: np.ndarray, now: Snapshot) -> None:
    if vectors.ndim != 2 or len(vectors) != len(keys):
        raise DataError(f"There are {len(keys)} ids, and vectors of shape {vectors.shape}.")
    if now.dim and len(vectors) and vectors.shape[1] != now.dim:
        raise DataError(
            f"The vectors have {vectors.shape[1]} numbers, and those in the index have {now.dim}."
        )
    if not np.isfinite(vectors).all():
        raise DataError("Vectors hold numbers that are not finite.")

"""A similarity index in a folder: many processes read it while one writes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from uvl_plugin.core.errors import BrokenIndexError, DataError, SettingsError, UVLError
from uvl_plugin.core.progress import Progress, silent
from uvl_plugin.indexing.auto import AUTO, resolve_kind
from uvl_plugin.indexing.files import check
from uvl_plugin.indexing.kind import IndexKind, index_kinds
from uvl_plugin.indexing.metrics import check_metric
from uvl_plugin.indexing.segment import Page, Segment, link_folder, open_segment
from uvl_plugin.indexing.snapshot import Snapshot, as_bytes
from uvl_plugin.indexing.state import IndexFolder, folders_of
from uvl_plugin.indexing.writing import (
    GONE_ROWS,
    beside,
    build,
    check_added,
    first_merged,
    stored,
    without,
)

PRECISIONS = ("float32", "float16")
_TAILS = 8  # segments beside the main one; more are merged
_GROWN = 0.25  # of the main segment: added or removed that many, all is built again
_FEW = 10_000  # vectors that are always cheap to have beside it


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
        self._state = IndexFolder(self.folder)
        self._seen: tuple[bytes, Snapshot] | None = None  # one object, for several threads

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
        """Builds an index page by page, and replaces the one in the folder, if there is one, even
        if it is damaged.

        Args:
            folder: made if it is not there.
            pages: ids ``(m,)``, vectors ``(m, dim)`` and, for items that are not samples, the ids
                of their samples.
            kind: a kind, its name, or ``"auto"``.
            metric: ``"cosine"``, ``"dotproduct"`` or ``"euclidean"``.
            precision: ``"float32"`` or ``"float16"``, of the stored vectors.
            about: JSON types, kept with the index.

        Raises:
            SettingsError: if there is no such metric or precision.
            UnknownNameError: if there is no such kind.
            DataError: if vectors differ in length or are not finite, or an id comes twice.
        """
        check_metric(metric)
        if precision not in PRECISIONS:
            raise SettingsError(
                f"precision must be {' or '.join(PRECISIONS)}, got {precision!r}.", "precision"
            )
        asked = resolve_kind(kind)
        base: dict[str, Any] = {
            "metric": metric,
            "precision": precision,
            "asked": AUTO if asked is None else asked.name,
            "settings": {} if asked is None else asked.to_dict(),
            "about": about or {},
        }
        index = cls(folder)
        with index._state.replacing() as before:
            base["generation"] = before["generation"] if before else 0
            build(index._state, base, pages, progress)
        return index

    @property
    def exists(self) -> bool:
        """Whether there is an index in the folder."""
        return self._state.exists

    @property
    def manifest(self) -> dict[str, Any]:
        """What is written about the index.

        Raises:
            BrokenIndexError: if there is none, or it is damaged or of a later version.
        """
        return self._state.manifest()

    def snapshot(self) -> Snapshot:
        """The index as it is now; opened again only if it has changed.

        Raises:
            BrokenIndexError: if files are missing, damaged or of something else.
        """
        seen = self._seen
        if seen is None or seen[0] != self._state.text():
            known = {segment.name: segment for segment in seen[1].segments} if seen else {}
            seen = self._state.steady(lambda text: (text, self._open(text, known)))
            self._seen = seen
        return seen[1]

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
            BrokenIndexError: if there is no index, or it is damaged.
            DataError: if the vectors are of another length or not finite.
        """
        keys, vectors, samples = stored((ids, np.asarray(vectors), owners))
        _, last = np.unique(keys[::-1], return_index=True)
        rows = np.sort(len(keys) - 1 - last)
        with self._state.writing() as manifest:
            now = self.snapshot()
            check_added(keys, vectors, samples, now)
            page = keys[rows], vectors[rows], None if samples is None else samples[rows]
            if len(rows) and not now.segments:
                build(self._state, manifest, [page], progress)
            elif len(rows):
                added = beside(self._state, manifest, [page])
                entries = without(self._state, manifest, now, now.rows_of(page[0]))
                self._state.commit(manifest, [*entries, added])
                self._tidy(progress)

    def remove(self, ids: np.ndarray, *, progress: Progress = silent) -> int:
        """Takes vectors out; returns how many were there.

        Raises:
            BrokenIndexError: if there is no index, or it is damaged.
        """
        with self._state.writing() as manifest:
            now = self.snapshot()
            rows = now.rows_of(np.unique(as_bytes(ids)))
            rows = rows[rows >= 0]
            if len(rows):
                self._state.commit(manifest, without(self._state, manifest, now, rows))
                self._tidy(progress)
        return len(rows)

    def rebuild(
        self,
        pages: Iterable[Page] | None = None,
        *,
        about: dict[str, Any] | None = None,
        progress: Progress = silent,
    ) -> None:
        """Builds everything again: of what is in the index, or of ``pages``.

        Raises:
            BrokenIndexError: if there is no index, or it is damaged.
        """
        with self._state.writing() as manifest:
            if about is not None:
                manifest["about"] = about
            every = self.snapshot().pages() if pages is None else pages
            build(self._state, manifest, every, progress)

    def verify(self) -> None:
        """Reads every file whole.

        Raises:
            BrokenIndexError: if one is not what was written.
        """

        def read(text: bytes) -> None:
            for name, files in folders_of(self._state.manifest(text)["segments"]):
                for file, expected in files.items():
                    check(self.folder / name / file, expected, whole=True)

        self._state.steady(read)

    def copy_to(self, folder: "str | Path") -> "VectorIndex":
        """Makes an index of its own with the same content; files are shared where the disk allows,
        since they never change.

        Raises:
            BrokenIndexError: if there is no index, or it is damaged.
            DataError: if there is an index in ``folder``.
        """
        copy = VectorIndex(folder)

        def link(text: bytes) -> dict[str, Any]:
            manifest = self._state.manifest(text)
            for name, files in folders_of(manifest["segments"]):
                link_folder(self.folder / name, copy.folder, list(files))
            return manifest

        self._state.text()  # else a folder is made for nothing
        with copy._state.replacing():
            if copy.exists:
                raise DataError(f"There is an index in '{copy.folder}' already.", "folder")
            manifest = self._state.steady(link)
            copy._state.commit(manifest, manifest["segments"])
        return copy

    def delete(self) -> None:
        """Removes the index, and the folder if nothing else is in it."""
        self._seen = None
        self._state.delete()

    def _tidy(self, progress: Progress) -> None:
        """Merges what was added, or builds all again, once there is much of it."""
        manifest, now = self.manifest, self.snapshot()
        sizes = list(map(len, now.segments))
        gone, added = sum(map(len, now.gone)), sum(sizes[1:])
        if len(now) == 0 or max(gone, added) > max(_FEW, _GROWN * sizes[0]):
            build(self._state, manifest, now.pages(), progress)
        elif len(sizes) > 1 + _TAILS:
            first = first_merged(sizes)
            tails = Snapshot(
                now.generation, now.metric, now.dim, now.segments[first:], now.gone[first:]
            )
            entry = beside(self._state, manifest, tails.pages())
            kept = manifest["segments"][:first]
            self._state.commit(manifest, [*kept, entry] if entry["n"] else kept)

    def _open(self, text: bytes, known: dict[str, Segment]) -> Snapshot:
        """Opens the segments that are not ``known``, and adds them to it."""
        manifest = self._state.manifest(text)
        try:
            kind = index_kinds[manifest["kind"]].from_dict(manifest["kind_settings"])
        except UVLError as error:
            raise BrokenIndexError(f"'{self.folder}' needs what is not here: {error}") from error
        for entry in manifest["segments"]:
            if entry["name"] not in known:
                known[entry["name"]] = open_segment(self.folder, entry, manifest["metric"], kind)
        segments = tuple(known[entry["name"]] for entry in manifest["segments"])
        return Snapshot(
            manifest["generation"],
            manifest["metric"],
            segments[0].vectors.shape[1] if segments else 0,
            segments,
            tuple(map(self._gone_of, manifest["segments"])),
        )

    def _gone_of(self, entry: dict[str, Any]) -> np.ndarray:
        if not entry["gone"]:
            return np.zeros(0, np.int64)
        path = self.folder / entry["gone"]["name"] / GONE_ROWS
        check(path, entry["gone"]["files"][GONE_ROWS])
        return np.fromfile(path, "<i8")

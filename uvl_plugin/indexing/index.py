"""A similarity index in a folder: many processes read it while one writes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from uvl_plugin.core.errors import BrokenIndexError, DataError, SettingsError, UVLError
from uvl_plugin.core.progress import Progress, part, silent
from uvl_plugin.indexing.auto import AUTO, resolve_kind, suitable_kind
from uvl_plugin.indexing.files import check, described, new_folder
from uvl_plugin.indexing.kind import IndexKind, index_kinds
from uvl_plugin.indexing.metrics import check_metric
from uvl_plugin.indexing.segment import Page, Segment, link_folder, open_segment, write_segment
from uvl_plugin.indexing.snapshot import Snapshot, as_bytes
from uvl_plugin.indexing.state import IndexFolder

PRECISIONS = ("float32", "float16")
_ROWS = "rows"  # the file with the rows that are gone
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
            index._build(base, pages, progress)
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
        keys, vectors, samples = _stored((ids, np.asarray(vectors), owners))
        _, last = np.unique(keys[::-1], return_index=True)
        rows = np.sort(len(keys) - 1 - last)
        with self._state.writing() as manifest:
            now = self.snapshot()
            _check(keys, vectors, samples, now)
            page = keys[rows], vectors[rows], None if samples is None else samples[rows]
            if len(rows) and not now.segments:
                self._build(manifest, [page], progress)
            elif len(rows):
                added = self._beside(manifest, [page])
                entries = self._without(manifest, now, now.rows_of(page[0]))
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
                self._state.commit(manifest, self._without(manifest, now, rows))
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
            self._build(manifest, self.snapshot().pages() if pages is None else pages, progress)

    def verify(self) -> None:
        """Reads every file whole.

        Raises:
            BrokenIndexError: if one is not what was written.
        """

        def read(text: bytes) -> None:
            for entry in self._state.manifest(text)["segments"]:
                for part_ in filter(None, (entry, entry["gone"])):
                    for name, expected in part_["files"].items():
                        check(self.folder / part_["name"] / name, expected, whole=True)

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
            for entry in manifest["segments"]:
                for part_ in filter(None, (entry, entry["gone"])):
                    link_folder(self.folder / part_["name"], copy.folder, list(part_["files"]))
            return manifest

        if copy.exists:
            raise DataError(f"There is an index in '{copy.folder}' already.", "folder")
        self._state.text()  # else a folder is made for nothing
        with copy._state.replacing():
            manifest = self._state.steady(link)
            copy._state.commit(manifest, manifest["segments"])
        return copy

    def delete(self) -> None:
        """Removes the index, and the folder if nothing else is in it."""
        self._seen = None
        self._state.delete()

    def _build(self, base: dict[str, Any], pages: Iterable[Page], progress: Progress) -> None:
        """Writes one segment of everything, with a structure, in place of all that is there."""
        kind, why = index_kinds["flat"](), "there are no vectors yet"

        def choose(n: int, dim: int) -> IndexKind:
            nonlocal kind, why
            if base["asked"] == AUTO:
                kind, why = suitable_kind(n, dim)
            else:
                kind, why = index_kinds[base["asked"]].from_dict(base["settings"]), "asked for"
            return kind

        entry = write_segment(
            self.folder, self._state.new_name("segment", base), map(_stored, pages), choose=choose,
            metric=base["metric"], precision=base["precision"], progress=part(progress, 0.3, 0.95),
        )  # fmt: skip
        described_ = {"kind": kind.name, "kind_settings": kind.to_dict(), "why": why}
        self._state.commit(base | described_, [entry] if entry["n"] else [])
        progress(1.0, "index written")

    def _beside(self, manifest: dict[str, Any], pages: Iterable[Page]) -> dict[str, Any]:
        """Writes a segment without a structure; returns its entry."""
        return write_segment(
            self.folder, self._state.new_name("segment", manifest), pages, choose=None,
            metric=manifest["metric"], precision=manifest["precision"], progress=silent,
        )  # fmt: skip

    def _tidy(self, progress: Progress) -> None:
        """Merges what was added, or builds all again, once there is much of it."""
        manifest, now = self.manifest, self.snapshot()
        sizes = list(map(len, now.segments))
        gone, beside = sum(map(len, now.gone)), sum(sizes[1:])
        if len(now) == 0 or max(gone, beside) > max(_FEW, _GROWN * sizes[0]):
            self._build(manifest, now.pages(), progress)
        elif len(sizes) > 1 + _TAILS:
            first = _first_merged(sizes)
            tails = Snapshot(
                now.generation, now.metric, now.dim, now.segments[first:], now.gone[first:]
            )
            entry = self._beside(manifest, tails.pages())
            kept = manifest["segments"][:first]
            self._state.commit(manifest, [*kept, entry] if entry["n"] else kept)

    def _without(
        self, manifest: dict[str, Any], now: Snapshot, rows: np.ndarray
    ) -> list[dict[str, Any]]:
        """The entries of all segments, with these rows marked as gone."""
        entries, start = [], 0
        for entry, gone in zip(manifest["segments"], now.gone, strict=True):
            own = rows[(rows >= start) & (rows < start + entry["n"])] - start
            start += entry["n"]
            if len(own):
                name = self._state.new_name("gone", manifest)
                with new_folder(self.folder / name) as partial:
                    np.union1d(gone, own).astype("<i8").tofile(partial / _ROWS)
                    files = {_ROWS: described(partial / _ROWS)}
                entry = entry | {"gone": {"name": name, "files": files}}
            entries.append(entry)
        return entries

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
        path = self.folder / entry["gone"]["name"] / _ROWS
        check(path, entry["gone"]["files"][_ROWS])
        return np.fromfile(path, "<i8")


def _first_merged(sizes: list[int]) -> int:
    """From which segment on they are merged: the last two at least, and further back as long as
    the next is at most twice as large, so that a vector is written again only a few times."""
    first, total = len(sizes) - 2, sum(sizes[-2:])
    while first > 1 and sizes[first - 1] <= 2 * total:
        first -= 1
        total += sizes[first]
    return first


def _stored(page: Page) -> Page:
    ids, vectors, owners = page
    return as_bytes(ids), vectors, None if owners is None else as_bytes(owners)


def _check(
    keys: np.ndarray, vectors: np.ndarray, samples: np.ndarray | None, now: Snapshot
) -> None:
    """Of vectors to add, what :func:`write_segment` cannot know."""
    if vectors.ndim != 2 or len(vectors) != len(keys):
        raise DataError(f"There are {len(keys)} ids, and vectors of shape {vectors.shape}.")
    if samples is not None and len(samples) != len(keys):
        raise DataError(f"There are {len(keys)} ids, and the samples of {len(samples)}.")
    if now.dim and len(vectors) and vectors.shape[1] != now.dim:
        raise DataError(
            f"The vectors have {vectors.shape[1]} numbers, and those in the index have {now.dim}."
        )
    if now.segments and len(keys) and (now.segments[0].owners is None) != (samples is None):
        raise DataError(
            "The index is of samples, and these items are not."
            if samples is not None
            else "The index is of items that are not samples: give the sample of each."
        )

"""A segment: vectors that were written together, and never change."""

import errno
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from uvl_plugin.core.errors import BrokenIndexError, DataError
from uvl_plugin.core.progress import Progress
from uvl_plugin.indexing.files import check, described, new_folder
from uvl_plugin.indexing.kind import IndexKind, Structure
from uvl_plugin.indexing.metrics import lengths
from uvl_plugin.indexing.rows import Rows
from uvl_plugin.indexing.scan import ranked, scan

STRUCTURE = "structure.faiss"
_VECTORS, _LENGTHS, _IDS, _ORDER, _OWNERS = "vectors", "lengths", "ids", "order", "owners"
_SCANNED = 20_000  # vectors that are compared sooner than a structure is searched
_SHARE = 0.05  # of the vectors: more neighbours than that are found by looking at all

Page = tuple[np.ndarray, np.ndarray, np.ndarray | None]  # ids, vectors, ids of their samples


@dataclass(frozen=True)
class Segment:
    """Vectors in mapped files.

    Attributes:
        name: of its folder.
        ids: shape ``(n,)``, bytes.
        owners: the sample of each, where the items are not samples.
        vectors: shape ``(n, dim)``.
        lengths: of the vectors, shape ``(n,)``.
        order: rows by ascending id, shape ``(n,)``.
        metric: see :mod:`~uvl_plugin.indexing.metrics`.
        kind: that made the structure.
        structure: None where all vectors are compared.
    """

    name: str
    ids: np.ndarray
    owners: np.ndarray | None
    vectors: np.ndarray
    lengths: np.ndarray
    order: np.ndarray
    metric: str
    kind: IndexKind
    structure: Structure | None

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _sorted_ids(self) -> np.ndarray:
        return self.ids[self.order]

    def rows_of(self, ids: np.ndarray) -> np.ndarray:
        """Row of each id, shape ``(m,)``, int64; -1 where it is not here."""
        if len(ids) == 0 or len(self) == 0:
            return np.full(len(ids), -1, np.int64)
        if len(ids) < 64:  # do not read all ids for a few
            places = np.searchsorted(self.ids, ids, sorter=self.order)
        else:
            places = np.searchsorted(self._sorted_ids, ids)
        rows = self.order[np.minimum(places, len(self) - 1)].astype(np.int64)
        rows[self.ids[rows] != ids] = -1
        return rows

    def search(
        self,
        queries: np.ndarray,
        k: int,
        *,
        allowed: np.ndarray | None,
        farthest: bool = False,
        device: str | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """As :func:`~uvl_plugin.indexing.scan.scan`, nearly exact where there is a structure;
        row -1 where there are too few."""
        available = len(self) if allowed is None else int(np.count_nonzero(allowed))
        k = min(k, available)
        exactly = (
            self.structure is None
            or farthest
            or available <= _SCANNED
            or k > _SHARE * len(self)
            or (device is not None and len(queries) > 1)
        )
        if exactly:
            return scan(
                self.vectors, self.lengths, queries, k, self.metric, allowed=allowed,
                farthest=farthest, device=device,
            )  # fmt: skip
        return self._structured(queries, k, allowed)

    def _structured(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        assert self.structure is not None
        rows = Rows(queries, lengths(queries), self.metric)
        wanted = rows.prepared(slice(None))
        candidates, figures = self.kind.candidates(
            self.structure, wanted, self.kind.looked_at(k), allowed
        )
        short = np.flatnonzero(np.count_nonzero(candidates >= 0, axis=1) < k)
        if self.kind.rerank:
            found, apart = ranked(self.vectors, candidates, queries, k, self.metric)
        else:
            found, apart = candidates, _distances_of(figures, rows)
        if len(short):  # the lists that were looked through hold too few
            found[short], apart[short] = scan(
                self.vectors, self.lengths, queries[short], k, self.metric, allowed=allowed
            )
        return found, apart


def write_segment(
    folder: Path,
    name: str,
    pages: Iterable[Page],
    *,
    choose: Callable[[int, int], IndexKind] | None,
    metric: str,
    precision: str,
    progress: Progress,
) -> dict[str, Any]:
    """Writes a segment page by page; returns its entry of the manifest.

    Args:
        folder: of the index.
        pages: ids, bytes, vectors ``(m, dim)`` and, for items that are not samples, the ids of
            their samples.
        choose: the kind of its structure by the number of vectors and their length; None for no
            structure. Nor do vectors have one that are so few that it would not be searched.
        precision: ``"float32"`` or ``"float16"``, of the stored vectors.

    Raises:
        DataError: if vectors differ in length or are not finite, or an id comes twice.
    """
    with new_folder(folder / name) as partial:
        n, dim, types = _write_pages(partial, pages, precision)
        entry: dict[str, Any] = {"name": name, "n": n, "dim": dim, "types": types, "gone": None}
        if n:
            _write_order(partial, entry)
            kind = choose(n, dim) if choose else None
            if kind is not None and n > _SCANNED:
                entry |= _write_structure(partial, entry, kind, metric, progress)
        entry["files"] = {path.name: described(path) for path in sorted(partial.iterdir())}
    return entry


def open_segment(folder: Path, entry: dict[str, Any], metric: str, kind: IndexKind) -> Segment:
    """Maps the files of a segment.

    Raises:
        FileNotFoundError: if one is missing.
        BrokenIndexError: if one is not what was written.
    """
    place = folder / entry["name"]
    for name, expected in entry["files"].items():
        check(place / name, expected)
    structure = None
    if STRUCTURE in entry["files"]:
        index = _read_structure(place / STRUCTURE)
        structure = Structure(index, entry["effort"], entry["recall"])
    return Segment(
        name=entry["name"],
        ids=_mapped(place, entry, _IDS),
        owners=_mapped(place, entry, _OWNERS) if _OWNERS in entry["types"] else None,
        vectors=_mapped(place, entry, _VECTORS),
        lengths=_mapped(place, entry, _LENGTHS),
        order=_mapped(place, entry, _ORDER),
        metric=metric,
        kind=kind,
        structure=structure,
    )


def link_folder(source: Path, home: Path, names: list[str]) -> None:
    """Makes files of a folder known in a folder of the same name elsewhere, without a copy where
    the disk allows.

    Raises:
        FileNotFoundError: if one is missing.
    """
    if (home / source.name).exists():
        return
    with new_folder(home / source.name) as partial:
        for name in names:
            try:
                os.link(source / name, partial / name)
            except OSError:  # another disk, or one without links
                shutil.copyfile(source / name, partial / name)


def _write_pages(folder: Path, pages: Iterable[Page], precision: str) -> tuple[int, int, dict]:
    """Writes vectors as they come; ids are kept until all are known to be of one width."""
    n, dim = 0, 0
    types = {_VECTORS: np.dtype(precision).str, _LENGTHS: "<f4"}
    columns: dict[str, list[np.ndarray]] = {_IDS: [], _OWNERS: []}
    with open(folder / _VECTORS, "wb") as vectors, open(folder / _LENGTHS, "wb") as own_lengths:
        for keys, block, samples in pages:
            if len(keys) == 0:
                continue
            dim = dim or int(np.prod(block.shape[1:]))
            if dim == 0 or block.shape != (len(keys), dim):
                raise DataError(
                    f"Vectors of shape {block.shape} are not {len(keys)} of {dim or 'some'} numbers."
                )
            stored, own = _finite(keys, block, precision)
            vectors.write(stored.data)
            own_lengths.write(own.data)
            columns[_IDS].append(keys)
            if samples is not None:
                columns[_OWNERS].append(samples)
            n += len(keys)
    for name, column in columns.items():
        if column:
            every = np.concatenate(column)
            if len(every) != n:
                raise DataError(f"There are {n} items, and the samples of {len(every)}.")
            every.tofile(folder / name)
            types[name] = every.dtype.str
    return n, dim, types


def _finite(keys: np.ndarray, block: np.ndarray, precision: str) -> tuple[np.ndarray, np.ndarray]:
    """Vectors as they are stored, and their lengths."""
    with np.errstate(all="ignore"):
        stored = np.ascontiguousarray(block, precision)
        own = lengths(stored)
    wrong = np.flatnonzero(~np.isfinite(own))
    if len(wrong):
        raise DataError(
            f"The vector of '{keys[wrong[0]].decode()}' holds numbers that are not finite, or too "
            f"large for {precision}."
        )
    return stored, own


def _write_order(folder: Path, entry: dict[str, Any]) -> None:
    ids = _mapped(folder, entry, _IDS)
    order = np.argsort(ids, kind="stable").astype("<i8")
    in_order = ids[order]
    twice = np.flatnonzero(in_order[1:] == in_order[:-1])
    if len(twice):
        raise DataError(f"The id '{in_order[twice[0]].decode()}' comes more than once.")
    order.tofile(folder / _ORDER)
    entry["types"][_ORDER] = order.dtype.str


def _write_structure(
    folder: Path, entry: dict[str, Any], kind: IndexKind, metric: str, progress: Progress
) -> dict[str, Any]:
    """What the entry of the manifest says of the structure; empty where the kind has none."""
    rows = Rows(_mapped(folder, entry, _VECTORS), _mapped(folder, entry, _LENGTHS), metric)
    structure = kind.structure(rows, progress)
    if structure is None:
        return {}
    import faiss

    faiss.write_index(structure.index, str(folder / STRUCTURE))
    return {"effort": structure.effort, "recall": round(structure.recall, 4)}


def _read_structure(path: Path) -> Any:
    import faiss

    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        if not path.exists():  # another process took it away since it was checked
            raise FileNotFoundError(errno.ENOENT, "missing", str(path)) from error
        raise BrokenIndexError(f"'{path}' cannot be read: {error}") from error


def _mapped(folder: Path, entry: dict[str, Any], name: str) -> np.ndarray:
    shape = (entry["n"], entry["dim"]) if name == _VECTORS else (entry["n"],)
    return np.memmap(folder / name, entry["types"][name], "r", shape=shape)


def _distances_of(figures: np.ndarray, rows: Rows) -> np.ndarray:
    """FAISS' figures as distances: it gives products, or squares."""
    if rows.metric == "euclidean":
        return np.sqrt(np.maximum(figures, 0))
    if rows.metric == "dotproduct":
        return -figures
    return np.where(rows.lengths[:, None] > 0, 1.0 - figures, np.float32(1.0))

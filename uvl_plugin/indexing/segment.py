"""A segment: vectors that were written together, and never change."""

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Progress
from uvl_plugin.indexing.files import check, described, new_folder
from uvl_plugin.indexing.kind import IndexKind, Structure
from uvl_plugin.indexing.metrics import lengths
from uvl_plugin.indexing.rows import Rows
from uvl_plugin.indexing.scan import ranked, scan

STRUCTURE = "structure.faiss"
_VECTORS, _LENGTHS, _IDS, _ORDER, _OWNERS = "vectors", "lengths", "ids", "order", "owners"
_SCANNED = 20_000  # allowed vectors that are compared sooner than a structure is searched
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
        many = self.kind.spare * k if self.kind.rerank else k
        candidates, figures = self.kind.candidates(self.structure, wanted, many, allowed)
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
    choose: Callable[[int, int], IndexKind | None],
    metric: str,
    precision: str,
    progress: Progress,
) -> dict[str, Any]:
    """Writes a segment page by page; returns its entry of the manifest.

    Args:
        folder: of the index.
        pages: ids, bytes of one width, vectors ``(m, dim)`` and, for items that are not samples,
            the ids of their samples.
        choose: the kind of its structure by the number of vectors and their length; None for no
            structure.
        precision: ``"float32"`` or ``"float16"``, of the stored vectors.

    Raises:
        DataError: if vectors differ in length or an id comes twice.
    """
    with new_folder(folder / name) as partial:
        n, dim, types = _write_pages(partial, pages, precision)
        entry: dict[str, Any] = {"name": name, "n": n, "dim": dim, "types": types}
        if n:
            ids = _mapped(partial, entry, _IDS)
            order = np.argsort(ids, kind="stable").astype(np.int32 if n < 2**31 else np.int64)
            _check_unique(ids, order)
            order.tofile(partial / _ORDER)
            types[_ORDER] = order.dtype.str
        kind = choose(n, dim) if n else None
        structure = None
        if kind is not None:
            vectors, own = _mapped(partial, entry, _VECTORS), _mapped(partial, entry, _LENGTHS)
            structure = kind.structure(Rows(vectors, own, metric), progress)
        if structure is not None:
            import faiss

            faiss.write_index(structure.index, str(partial / STRUCTURE))
            entry |= {"effort": structure.effort, "recall": round(structure.recall, 4)}
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
        import faiss

        index = faiss.read_index(str(place / STRUCTURE), faiss.IO_FLAG_MMAP_IFC)
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


def link_segment(source: Path, target: Path) -> None:
    """Makes a segment known in another folder, without a copy where the disk allows."""
    with new_folder(target) as partial:
        for path in source.iterdir():
            try:
                os.link(path, partial / path.name)
            except OSError:  # another disk, or one without links
                shutil.copyfile(path, partial / path.name)


def _write_pages(folder: Path, pages: Iterable[Page], precision: str) -> tuple[int, int, dict]:
    n, dim, types = 0, 0, {_VECTORS: np.dtype(precision).str, _LENGTHS: "<f4"}
    with (
        open(folder / _IDS, "wb") as ids,
        open(folder / _OWNERS, "wb") as owners,
        open(folder / _VECTORS, "wb") as vectors,
        open(folder / _LENGTHS, "wb") as own_lengths,
    ):
        for keys, block, samples in pages:
            dim = dim or block.shape[1]
            if block.shape != (len(keys), dim):
                raise DataError(f"Vectors of shape {block.shape} do not fit {len(keys)} of {dim}.")
            ids.write(_bytes(keys, types, _IDS))
            stored = np.ascontiguousarray(block, precision)
            vectors.write(stored.data)
            own_lengths.write(lengths(stored).data)
            if samples is not None:
                owners.write(_bytes(samples, types, _OWNERS))
            n += len(keys)
    if _OWNERS not in types:
        os.remove(folder / _OWNERS)
    return n, dim, types


def _bytes(ids: np.ndarray, types: dict[str, str], name: str) -> bytes:
    if types.setdefault(name, ids.dtype.str) != ids.dtype.str:
        raise DataError(f"Ids must be of one length, got {types[name]} and {ids.dtype.str}.")
    return ids.tobytes()


def _check_unique(ids: np.ndarray, order: np.ndarray) -> None:
    in_order = ids[order]
    twice = np.flatnonzero(in_order[1:] == in_order[:-1])
    if len(twice):
        raise DataError(f"The id '{in_order[twice[0]].decode()}' comes more than once.")


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

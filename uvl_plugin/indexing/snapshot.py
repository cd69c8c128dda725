"""An index at one moment: what is written later does not change it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from uvl_plugin.core.errors import DataError
from uvl_plugin.indexing.segment import Page, Segment

_PAGE_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Snapshot:
    """The segments of one generation, read as one.

    Rows are counted through all segments, those of removed vectors too.

    Attributes:
        generation: counts the writes.
        metric: see :mod:`~uvl_plugin.indexing.metrics`.
        dim: length of each vector; 0 where there is none.
        segments: the first is the main one, the others were added later.
        gone: of each segment, the rows that were removed, int64, ascending.
    """

    generation: int
    metric: str
    dim: int
    segments: tuple[Segment, ...]
    gone: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return sum(map(len, self.segments)) - sum(map(len, self.gone))

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *map(len, self.segments)])

    @cached_property
    def _live(self) -> tuple[np.ndarray | None, ...]:
        """Of each segment, which rows count, bool; None where all do."""
        found: list[np.ndarray | None] = []
        for segment, gone in zip(self.segments, self.gone, strict=True):
            live = np.ones(len(segment), bool) if len(gone) else None
            if live is not None:
                live[gone] = False
            found.append(live)
        return tuple(found)

    @cached_property
    def rows(self) -> np.ndarray:
        """Every row that counts, ascending, shape ``(len(self),)``."""
        parts = [
            np.arange(start, start + len(segment)) if live is None else start + np.flatnonzero(live)
            for start, segment, live in self._parts()
        ]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def ids(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Ids of some rows as text, shape ``(m,)``; None: all that count."""
        return self._gathered([segment.ids for segment in self.segments], rows).astype(str)

    def owners(self, rows: np.ndarray | None = None) -> np.ndarray:
        """The sample of each item, as :meth:`ids`; the items themselves where they are samples."""
        columns = [s.ids if s.owners is None else s.owners for s in self.segments]
        return self._gathered(columns, rows).astype(str)

    def vectors(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Vectors of some rows, shape ``(m, dim)``, float32; None: all that count."""
        found = self._gathered([segment.vectors for segment in self.segments], rows)
        return found.astype(np.float32, copy=False).reshape(len(found), self.dim)

    def rows_of(self, ids: np.ndarray) -> np.ndarray:
        """Row of each id, shape ``(m,)``; -1 where there is none, or it was removed."""
        ids = as_bytes(ids)
        found = np.full(len(ids), -1, np.int64)
        for start, segment, live in self._parts():
            own = segment.rows_of(ids)
            if live is not None:
                own = np.where((own >= 0) & live[own], own, -1)
            found = np.where(own >= 0, start + own, found)
        return found

    def search(
        self,
        queries: np.ndarray,
        k: int,
        *,
        among: np.ndarray | None = None,
        farthest: bool = False,
        device: str | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The nearest vectors of each query, nearest first.

        Args:
            queries: shape ``(n_queries, dim)``.
            k: how many of each; fewer where there are fewer.
            among: only these rows; None: all.
            farthest: the farthest instead, farthest first.
            device: torch's name of a GPU for many queries.

        Returns:
            Rows, int64, and distances, float32, of shape ``(n_queries, at most k)``.

        Raises:
            DataError: if the queries are of another length or not finite, or ``k`` is below 0.
        """
        queries = self._checked(queries, k)
        allowed = self._live if among is None else self._masks(np.asarray(among, np.int64))
        k = min(k, len(self) if among is None else len(among))
        rows, apart = [np.zeros((len(queries), 0), np.int64)], [np.zeros((len(queries), 0))]
        for (start, segment, _), mask in zip(self._parts(), allowed, strict=True):
            own, distances = segment.search(
                queries, k, allowed=mask, farthest=farthest, device=device
            )
            rows.append(np.where(own >= 0, start + own, -1))
            apart.append(distances)
        all_rows, all_apart = np.concatenate(rows, axis=1), np.concatenate(apart, axis=1)
        keys = -all_apart if farthest else all_apart
        keys = np.where(all_rows < 0, np.inf, keys)
        best = np.argsort(keys, axis=1, kind="stable")[:, :k]
        return (
            np.take_along_axis(all_rows, best, axis=1),
            np.take_along_axis(all_apart, best, axis=1).astype(np.float32),
        )

    def pages(self) -> Iterator[Page]:
        """Everything that counts, as it would be written again."""
        size = max(1, _PAGE_BYTES // (4 * max(1, self.dim)))
        for segment, live in zip(self.segments, self._live, strict=True):
            rows = np.arange(len(segment)) if live is None else np.flatnonzero(live)
            for first in range(0, len(rows), size):
                some = rows[first : first + size]
                owners = None if segment.owners is None else segment.owners[some]
                yield segment.ids[some], segment.vectors[some], owners

    def _checked(self, queries: np.ndarray, k: int) -> np.ndarray:
        queries = np.asarray(queries, np.float32, order="C")
        if k < 0 or queries.ndim != 2:
            raise DataError(f"{k} nearest of queries of shape {queries.shape} cannot be found.")
        if len(self) and queries.shape[1:] != (self.dim,):
            raise DataError(
                f"A query has {queries.shape[-1]} numbers, and the vectors of the index have "
                f"{self.dim}; use the backbone that made them."
            )
        if not np.isfinite(queries).all():
            raise DataError("A query holds numbers that are not finite.")
        return queries

    def _masks(self, among: np.ndarray) -> list[np.ndarray]:
        masks = []
        for start, segment, live in self._parts():
            own = among[(among >= start) & (among < start + len(segment))] - start
            mask = np.zeros(len(segment), bool)
            mask[own] = True
            masks.append(mask if live is None else mask & live)
        return masks

    def _parts(self) -> Iterator[tuple[int, Segment, np.ndarray | None]]:
        return zip(self._starts[:-1].tolist(), self.segments, self._live, strict=True)

    def _gathered(self, columns: list[np.ndarray], rows: np.ndarray | None) -> np.ndarray:
        if rows is None:
            rows = self.rows
        if len(rows) and not 0 <= rows.min() <= rows.max() < self._starts[-1]:
            raise DataError(
                f"There are rows 0 to {self._starts[-1] - 1}, got {rows.min()} to {rows.max()}."
            )
        if not columns:
            return np.zeros((0, self.dim), "S1")
        found = np.empty((len(rows), *columns[0].shape[1:]), np.result_type(*columns))
        places = np.searchsorted(self._starts, rows, side="right") - 1
        for number, column in enumerate(columns):
            here = np.flatnonzero(places == number)
            found[here] = column[rows[here] - self._starts[number]]
        return found


def as_bytes(ids: np.ndarray) -> np.ndarray:
    """Ids as they are stored, shape ``(n,)``.

    Raises:
        DataError: if one has a letter that is not of ASCII.
    """
    ids = np.asarray(ids)
    try:
        return ids if ids.dtype.kind == "S" else ids.astype("U").astype("S")
    except UnicodeEncodeError as error:
        raise DataError(f"Ids must be plain ASCII, got '{error.object}'.", "ids") from error

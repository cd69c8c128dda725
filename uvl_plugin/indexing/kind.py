"""What every kind of index does, and the registry of kinds."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from uvl_plugin.core.progress import Progress
from uvl_plugin.core.registry import Registry
from uvl_plugin.core.settings import Settings, setting
from uvl_plugin.indexing.metrics import lengths
from uvl_plugin.indexing.rows import Rows
from uvl_plugin.indexing.scan import ranked, scan

_QUERIES, _NEAREST = 128, 100  # of each sort, on which the effort is settled
_OF_OWN = 0.3  # of a vector, in a query like text
_GAIN, _STALLED = 0.95, 2  # harder looks that leave more than this share of the misses are the last
_EQUAL = 1e-6  # of a distance: what differs less is rounding


@dataclass(frozen=True)
class Structure:
    """An index of FAISS over stored vectors, and how hard it has to look.

    Attributes:
        index: of FAISS.
        effort: lists or nodes that are looked at; 0 where there is nothing to choose.
        recall: share of the 100 nearest neighbours that were found with it: of some vectors, or of
            queries far from all vectors, whichever is less.
    """

    index: Any
    effort: int
    recall: float


@dataclass(frozen=True, kw_only=True)
class IndexKind(Settings, ABC):
    """A way to find the nearest vectors without looking at all of them.

    Class attributes:
        name, label, description: as in every registry.
        spare: candidates for each one asked for, which exact vectors then rank.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str]
    spare: ClassVar[int] = 2

    recall: float = setting(
        0.995,
        ge=0.5,
        le=1.0,
        help="Share of the 100 nearest neighbours to find; looks as far as that takes.",
    )
    rerank: bool = setting(True, help="Rank what was found by the exact vectors.")

    @abstractmethod
    def bytes_for(self, n: int, dim: int) -> int:
        """Bytes of the structure, about, of ``n`` vectors: in memory while it is made, and on
        disk."""

    @abstractmethod
    def build(self, rows: Rows, progress: Progress) -> Any:
        """An index of FAISS that holds all rows in their order; None where they are scanned."""

    def efforts(self, index: Any) -> Iterator[int]:
        """What :meth:`parameters` may be told, growing; the last one looks at everything."""
        yield 0

    @abstractmethod
    def parameters(self, effort: int, selector: Any) -> Any:
        """FAISS' parameters of a search among the rows of ``selector``; None for all rows."""

    def candidates(
        self, structure: Structure, wanted: np.ndarray, k: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows that are likely near, and FAISS' own figure for each.

        Args:
            wanted: prepared queries, shape ``(n_queries, dim)``.
            k: how many of each.
            allowed: shape ``(n,)``, bool; None: all.

        Returns:
            Rows and figures, ``(n_queries, k)``, row -1 where there are too few.
        """
        import faiss

        effort = max(structure.effort, structure.effort * k // self.looked_at(_NEAREST))
        selector = None
        if allowed is not None:
            selector = faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
            effort = effort * len(allowed) // max(1, int(np.count_nonzero(allowed)))
        effort = min(effort, structure.index.ntotal)
        figures, found = structure.index.search(wanted, k, params=self.parameters(effort, selector))
        return found, figures

    def looked_at(self, k: int) -> int:
        """How many candidates :meth:`candidates` is asked for, where ``k`` are wanted."""
        return self.spare * k if self.rerank else k

    def structure(self, rows: Rows, progress: Progress) -> Structure | None:
        """Builds the index of FAISS and settles how hard it must look."""
        index = self.build(rows, progress)
        if index is None:
            return None
        queries = _trial_queries(np.asarray(rows.vectors[rows.sample(_QUERIES)], np.float32))
        prepared = Rows(queries, lengths(queries), rows.metric).prepared(slice(None))
        k = min(_NEAREST, len(rows))
        _, true = scan(rows.vectors, rows.lengths, queries, k, rows.metric)
        recall, stalled = 0.0, 0
        for effort in self.efforts(index):
            tried = Structure(index, effort, 0.0)
            found, _ = self.candidates(tried, prepared, self.looked_at(k), None)
            _, reached = ranked(rows.vectors, found, queries, k, rows.metric)
            # by distance, not by row: equal vectors may stand for each other
            there = reached <= true[:, -1:] + _EQUAL * np.abs(true[:, -1:])
            missed, recall = 1.0 - recall, min(float(half.mean()) for half in np.split(there, 2))
            stalled = stalled + 1 if 1.0 - recall > _GAIN * missed else 0
            if recall >= self.recall or stalled == _STALLED:
                break
        return Structure(index, effort, recall)


def _trial_queries(own: np.ndarray) -> np.ndarray:
    """Vectors of the index, and as many that are far from all of them, as texts are: a random
    direction with a little of a vector (W. Liang et al., "Mind the gap", arXiv:2203.02053).
    Their neighbours are in many more lists. Shape ``(2 m, dim)``."""
    aside = np.random.default_rng(0).standard_normal(own.shape, np.float32)
    aside *= (lengths(own) / lengths(aside))[:, None]
    return np.concatenate([own, aside + _OF_OWN * own])


index_kinds: Registry[IndexKind] = Registry("kind of index", "uvl_plugin.indexing.kinds")

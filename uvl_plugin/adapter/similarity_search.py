"""What FiftyOne asks an index of its backend ``faiss``: what is near, what is the same."""

from collections.abc import Iterator
from typing import Any

import fiftyone.core.media as fom
import numpy as np

from uvl_plugin.adapter.graph_duplicates import GraphDuplicates
from uvl_plugin.adapter.index_source import as_text
from uvl_plugin.adapter.similarity_index import StoredIndex
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.scratch import new_rows
from uvl_plugin.indexing.queries import aggregated, neighbors_of_all, within
from uvl_plugin.indexing.snapshot import Snapshot

_MANY = 64  # queries from which a GPU is looked for
_BATCH = 4096


class SearchedIndex(StoredIndex, GraphDuplicates):
    """Answers about the current view of an index. No query changes a vector."""

    def __init__(self, *args: Any, **kwargs: Any):
        StoredIndex.__init__(self, *args, **kwargs)
        GraphDuplicates.__init__(self)

    def sort_by_similarity(
        self, query: Any, k: int | None = None, reverse: bool = False, *args: Any, **kwargs: Any
    ) -> Any:
        """See FiftyOne's ``SimilarityIndex``. Of a grouped dataset ``k`` of each slice are sorted:
        it shows one slice, and FiftyOne does not say which one."""
        if k is None or self.has_view or self.view.media_type != fom.GROUP:
            return super().sort_by_similarity(query, k, reverse, *args, **kwargs)
        query, snapshot = self._parse_query(query), self._snapshot()
        aggregation = args[0] if args else kwargs.get("aggregation", "mean")
        best = []
        try:
            for rows in self._rows_of_slices(snapshot):
                self._viewed = snapshot, rows
                samples, labels = self._kneighbors(query, k, reverse, aggregation)
                best.append(snapshot.rows_of(as_text(samples if labels is None else labels)))
            every = np.concatenate(best)
            self._viewed = snapshot, every
            return super().sort_by_similarity(query, len(every), reverse, *args, **kwargs)
        finally:
            self._viewed = None

    def _rows_of_slices(self, snapshot: Snapshot) -> Iterator[np.ndarray]:
        for name in self.view.group_slices:
            ids = self._source.ids_in(self.view.select_group_slices(name))
            rows = snapshot.rows_of(ids)
            yield rows[rows >= 0]

    def _kneighbors(
        self,
        query: Any = None,
        k: int | None = None,
        reverse: bool = False,
        aggregation: str | None = None,
        return_dists: bool = False,
    ) -> Any:
        """See FiftyOne's ``SimilarityIndex``. An item that asks is its own nearest one; where
        every item asks (``query=None``) it is left out."""
        snapshot, rows = self._current()
        wanted = self.index_size if k is None else k
        if query is None:
            if aggregation is not None:
                raise DataError("Neighbors of all items cannot be aggregated.", "aggregation")
            return self._neighbors_of_all(snapshot, rows, wanted, return_dists)
        queries, single = self._queries(snapshot, query)
        if aggregation in (None, "mean"):
            if aggregation is not None:
                queries = queries.mean(axis=0, keepdims=True)
            found, apart = snapshot.search(
                queries, wanted, among=rows, farthest=reverse, device=_device(len(queries))
            )
        else:
            near, distances = aggregated(
                snapshot, queries, aggregation, wanted, among=rows, farthest=reverse
            )
            found, apart = near[None], distances[None]
        single = single or aggregation is not None
        return self._answer(snapshot, list(found), list(apart), single, return_dists)

    def _radius_neighbors(
        self, query: Any = None, thresh: float | None = None, return_dists: bool = False
    ) -> Any:
        """See FiftyOne's ``DuplicatesMixin``; who asks is treated as in :meth:`_kneighbors`."""
        if thresh is None:
            raise DataError("A distance is needed.", "thresh")
        snapshot, rows = self._current()
        if query is not None:
            queries, single = self._queries(snapshot, query)
            near = list(within(snapshot, queries, thresh, among=rows, device=_device(len(queries))))
            found, apart = [rows for rows, _ in near], [distances for _, distances in near]
            return self._answer(snapshot, found, apart, single, return_dists)
        own = snapshot.rows if rows is None else rows
        pairs = []
        for start in range(0, len(own), _BATCH):
            some = own[start : start + _BATCH]
            around = within(
                snapshot, snapshot.vectors(some), thresh, among=rows, device=_device(len(some))
            )
            pairs += [(n[n != o], d[n != o]) for o, (n, d) in zip(some, around, strict=True)]
        return self._positions(snapshot, own, pairs, return_dists)

    def _queries(self, snapshot: Snapshot, query: Any) -> tuple[np.ndarray, bool]:
        """Vectors of the query, and whether it is a single one."""
        if not isinstance(query, str):
            query = np.asarray(query)
            if np.issubdtype(query.dtype, np.number):
                return np.atleast_2d(query), query.ndim == 1
        ids = as_text(query)
        rows = snapshot.rows_of(ids)
        if (rows < 0).any():
            raise DataError(f"Query IDs {ids[rows < 0].tolist()} do not exist in this index")
        return snapshot.vectors(rows), isinstance(query, str)

    def _answer(
        self,
        snapshot: Snapshot,
        found: list[np.ndarray],
        apart: list[np.ndarray],
        single: bool,
        return_dists: bool,
    ) -> tuple:
        """Rows as FiftyOne wants them: ids of samples, of labels, and distances."""
        labelled = self.config.patches_field is not None
        samples = [snapshot.owners(rows).tolist() for rows in found]
        labels = [snapshot.ids(rows).tolist() for rows in found] if labelled else None
        distances = [row.tolist() for row in apart]
        if single:
            samples, distances = samples[0], distances[0]
            labels = labels[0] if labels is not None else None
        return (samples, labels, distances) if return_dists else (samples, labels)

    def _neighbors_of_all(
        self, snapshot: Snapshot, rows: np.ndarray | None, k: int, return_dists: bool
    ) -> Any:
        own = snapshot.rows if rows is None else rows
        pairs = list(neighbors_of_all(snapshot, own, k, device=_device(len(own))))
        return self._positions(snapshot, own, pairs, return_dists)

    def _positions(
        self,
        snapshot: Snapshot,
        own: np.ndarray,
        pairs: list[tuple[np.ndarray, np.ndarray]],
        return_dists: bool,
    ) -> Any:
        """Rows as places among the current items, which FiftyOne wants where all items ask."""
        places = np.full(int(own.max(initial=-1)) + 1, -1, np.int64)
        places[own] = np.arange(len(own))
        inds = [places[near] for near, _ in pairs]
        return (inds, [distances for _, distances in pairs]) if return_dists else inds

    @property
    def _metric(self) -> str:
        return self.config.metric

    def _matrix(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids and vectors of the current items, in a mapped file where memory is short."""
        snapshot, rows = self._current()
        rows = snapshot.rows if rows is None else rows
        matrix = new_rows(len(rows), snapshot.dim)
        for start in range(0, len(rows), _BATCH):
            some = rows[start : start + _BATCH]
            matrix[start : start + len(some)] = snapshot.vectors(some)
        return snapshot.ids(rows), matrix


def _device(n_queries: int) -> str | None:
    """A GPU, where there are enough queries to be worth the start of torch."""
    if n_queries < _MANY:
        return None
    import torch

    return "cuda" if torch.cuda.is_available() else None

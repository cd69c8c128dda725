"""FiftyOne's similarity backend ``faiss``: files instead of the database, found by FAISS."""

import contextlib
import logging
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import fiftyone.brain as fob
import fiftyone.core.media as fom
import numpy as np
from fiftyone.brain.similarity import (
    Similarity,
    SimilarityConfig,
    SimilarityIndex,
)
from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter.backend_config import BACKEND, CONFIG_CLASS
from uvl_plugin.adapter.graph_duplicates import GraphDuplicates
from uvl_plugin.adapter.index_files import files_of, recorded_id, shared, temporary
from uvl_plugin.adapter.index_source import IndexSource, as_text
from uvl_plugin.core.errors import BrokenIndexError, DataError, SettingsError
from uvl_plugin.core.progress import Progress, part, silent
from uvl_plugin.core.scratch import new_rows
from uvl_plugin.indexing.auto import AUTO, resolve_kind
from uvl_plugin.indexing.index import PRECISIONS, VectorIndex
from uvl_plugin.indexing.kind import IndexKind, index_kinds
from uvl_plugin.indexing.metrics import check_metric
from uvl_plugin.indexing.queries import AGGREGATIONS, aggregated, neighbors_of_all, within
from uvl_plugin.indexing.segment import Page
from uvl_plugin.indexing.snapshot import Snapshot

_MANY = 64  # queries from which a GPU is looked for
_BATCH = 4096
_PAGES = 32  # of the field that are added at a time
_logger = logging.getLogger(__name__)


def register() -> None:
    """Lets ``fob.compute_similarity(..., backend="faiss")`` find this backend in this process."""
    fob.brain_config.similarity_backends.setdefault(BACKEND, {})["config_cls"] = CONFIG_CLASS


class FaissSimilarityConfig(SimilarityConfig):
    """What is asked of an index.

    Args:
        kind: ``"auto"``, the name of a kind (``"flat"``, ``"sq8"``, ``"hnsw"``, ``"ivf"``,
            ``"ivf_pq"``), or one with settings, such as ``uvl.IVF(recall=0.99)``.
        settings: of a kind that was named, such as ``{"recall": 0.99}``.
        metric: ``"cosine"``, ``"dotproduct"`` or ``"euclidean"``.
        precision: ``"float32"`` or ``"float16"``, of the stored vectors.
        index_id: names the files; given by FiftyOne when it loads the record.
        **kwargs: of ``SimilarityConfig``: ``embeddings_field``, ``patches_field``, ``model``...
    """

    def __init__(
        self,
        kind: IndexKind | str = AUTO,
        settings: dict[str, Any] | None = None,
        metric: str = "cosine",
        precision: str = "float32",
        index_id: str | None = None,
        **kwargs: Any,
    ):
        if isinstance(kind, IndexKind):
            kind, settings = kind.name, kind.to_dict()
        self.kind = kind
        self.settings = settings
        self.metric = metric
        self.precision = precision
        self.index_id = index_id or uuid.uuid4().hex
        super().__init__(**kwargs)

    @property
    def method(self) -> str:
        return BACKEND

    @property
    def max_k(self) -> None:
        return None

    @property
    def supports_least_similarity(self) -> bool:
        return True

    @property
    def supported_aggregations(self) -> tuple[str, ...]:
        return ("mean", *AGGREGATIONS)


class FaissSimilarity(Similarity):
    """Makes indexes, and removes their files."""

    def ensure_requirements(self) -> None:
        """Raises :class:`~uvl_plugin.SettingsError` before any work if a setting is wrong."""
        config = self.config
        check_metric(config.metric)
        if config.precision not in PRECISIONS:
            raise SettingsError(f"precision must be one of {PRECISIONS}, got {config.precision!r}.")
        _kind(config)

    def initialize(
        self, samples: SampleCollection, brain_key: str | None
    ) -> "FaissSimilarityIndex":
        index = FaissSimilarityIndex(samples, self.config, brain_key, backend=self)
        index.build()
        return index

    def cleanup(self, samples: SampleCollection, brain_key: str) -> None:
        """Called when the run is deleted: its files go, unless a clone of the dataset uses them."""
        if not shared(self.config.index_id):
            files_of(self.config.index_id).delete()


@dataclass(frozen=True)
class SyncResult:
    """What :meth:`FaissSimilarityIndex.sync` did.

    Attributes:
        n_added, n_removed: vectors.
        rebuilt: whether all were read again, since another network has made the vectors.
    """

    n_added: int
    n_removed: int
    rebuilt: bool = False


class FaissSimilarityIndex(SimilarityIndex, GraphDuplicates):
    """An index as FiftyOne uses it.

    The files are opened when they are first needed, and again when another process has written
    to them. Queries never change a vector.

    Args:
        samples: the dataset, or its frames view.
        config: a :class:`FaissSimilarityConfig`.
        brain_key: None for an index that lives as long as this object.
        backend: a :class:`FaissSimilarity`.
    """

    def __init__(
        self,
        samples: SampleCollection,
        config: FaissSimilarityConfig,
        brain_key: str | None,
        backend: FaissSimilarity | None = None,
    ):
        self._viewed: tuple[Snapshot, np.ndarray | None] | None = None
        self._index = files_of(config.index_id) if brain_key else temporary(self)
        self._source = IndexSource(samples, config.embeddings_field, config.patches_field)
        SimilarityIndex.__init__(self, samples, config, brain_key, backend=backend)
        GraphDuplicates.__init__(self)

    # what FiftyOne asks about the index

    @property
    def is_external(self) -> bool:
        """False where the vectors come from a field of the dataset."""
        return self.config.embeddings_field is None

    @property
    def sample_ids(self) -> np.ndarray:
        """The sample of each vector, shape ``(n,)``."""
        return self._snapshot().owners()

    @property
    def label_ids(self) -> np.ndarray | None:
        """The label of each vector, shape ``(n,)``; None where the items are samples."""
        return None if self.config.patches_field is None else self._snapshot().ids()

    @property
    def total_index_size(self) -> int:
        """How many vectors the index holds."""
        return len(self._snapshot())

    @property
    def current_sample_ids(self) -> np.ndarray:
        """As :attr:`sample_ids`, of the view."""
        snapshot, rows = self._current()
        return snapshot.owners(rows)

    @property
    def current_label_ids(self) -> np.ndarray | None:
        """As :attr:`label_ids`, of the view."""
        snapshot, rows = self._current()
        return None if self.config.patches_field is None else snapshot.ids(rows)

    @property
    def index_size(self) -> int:
        """How many vectors of the view the index holds."""
        snapshot, rows = self._current()
        return len(snapshot) if rows is None else len(rows)

    @property
    def missing_size(self) -> int | None:
        """How many items of the view have no vector in the index; None if all have."""
        self._current()
        return self._curr_missing_size

    @property
    def description(self) -> dict[str, Any]:
        """What the index is: kind, why this one, settings, metric, precision, size on disk in
        bytes, and the recall that was measured when it was built, if it is not exact."""
        manifest = self._manifest()
        main = manifest["segments"][0] if manifest["segments"] else {}
        files = [file for entry in manifest["segments"] for file in entry["files"].values()]
        return {
            "kind": manifest["kind"],
            "why": manifest["why"],
            "settings": manifest["kind_settings"],
            "metric": manifest["metric"],
            "precision": manifest["precision"],
            "size": self.total_index_size,
            "recall": main.get("recall", 1.0),
            "bytes": sum(file["bytes"] for file in files),
            "folder": str(self._index.folder),
        }

    # reading and writing vectors

    def build(self, progress: Progress = silent) -> None:
        """Makes the files anew: with every vector of the field, or empty where there is no field.

        Vectors are read page by page, never all at once.
        """
        VectorIndex.create(
            self._index.folder,
            self._source.pages(part(progress, 0.0, 0.5)),
            kind=_kind(self.config),
            metric=self.config.metric,
            precision=self.config.precision,
            about=self._source.about(),
            progress=part(progress, 0.5, 1.0),
        )
        self.reload()

    def rebuild(self, progress: Progress = silent) -> None:
        """As :meth:`build`, for files that are missing or damaged.

        Raises:
            DataError: if there is no field of vectors to build from.
        """
        if self._source.items() is None:
            raise DataError(
                f"The index '{self.key}' was not made from a field of vectors, so it cannot be "
                "built again; delete the brain run and compute similarity again."
            )
        self._own_files(copied=False)
        self.build(progress)

    def sync(self, progress: Progress = silent) -> SyncResult:
        """Takes out what is no longer in the dataset and adds what is new in the field.

        Where another network has since made the vectors, all are read again.

        Raises:
            BrokenIndexError: if the files cannot be used.
        """
        self._own_files()
        snapshot, has_field = self._snapshot(), self._source.items() is not None
        if has_field and self._manifest()["about"] != self._source.about():
            before = len(snapshot)
            self.build(progress)
            return SyncResult(self.total_index_size, before, rebuilt=True)
        known, there = snapshot.ids(), self._source.ids_there()
        removed = np.setdiff1d(known, there)
        self._index.remove(removed)
        added = 0
        if has_field:
            new = np.setdiff1d(there, known)
            added = self._add_pages(self._source.pages(progress, new.tolist()))
        self.reload()
        progress(1.0, "index up to date")
        return SyncResult(added, len(removed))

    def verify(self) -> None:
        """Reads every file whole and compares checksums.

        Raises:
            BrokenIndexError: if one is not what was written.
        """
        with self._explained():
            self._index.verify()

    def add_to_index(
        self,
        embeddings: np.ndarray,
        sample_ids: Sequence[str],
        label_ids: Sequence[str] | None = None,
        overwrite: bool = True,
        allow_existing: bool = True,
        warn_existing: bool = False,
        reload: bool = True,
    ) -> None:
        """Adds vectors, and writes them to the field that the index was made from, if any; see
        FiftyOne's ``SimilarityIndex``."""
        if len(embeddings) == 0:
            return
        self._own_files()
        embeddings, samples = np.asarray(embeddings), np.asarray(sample_ids, str)
        labels = None if label_ids is None else np.asarray(label_ids, str)
        ids = self._keys(samples, labels)
        if not overwrite:
            new = self._new(ids, allow_existing, warn_existing)
            embeddings, samples, ids = embeddings[new], samples[new], ids[new]
        owners = None if self.config.patches_field is None else samples
        with self._explained():
            self._index.add(ids, embeddings, owners)
        self._source.write(ids, embeddings)
        if reload:
            self.reload()

    def remove_from_index(
        self,
        sample_ids: Sequence[str] | None = None,
        label_ids: Sequence[str] | None = None,
        allow_missing: bool = True,
        warn_missing: bool = False,
        reload: bool = True,
    ) -> None:
        """Takes vectors out, of the field too, if the index was made from one; see FiftyOne's
        ``SimilarityIndex``. Sample ids name all labels of these samples in an index of labels."""
        self._own_files()
        snapshot = self._snapshot()
        rows = self._rows(snapshot, sample_ids, label_ids, allow_missing, warn_missing)
        if len(rows) == 0:
            return
        ids = snapshot.ids(rows)
        with self._explained():
            self._index.remove(ids)
        self._source.write(ids, None)
        if reload:
            self.reload()

    def get_embeddings(
        self,
        sample_ids: "str | Sequence[str] | None" = None,
        label_ids: "str | Sequence[str] | None" = None,
        allow_missing: bool = True,
        warn_missing: bool = False,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Vectors ``(m, dim)``, their samples and their labels, if any, as they were stored; see
        FiftyOne's ``SimilarityIndex``."""
        snapshot = self._snapshot()
        if label_ids is not None and self.config.patches_field is None:
            raise DataError("This index is of samples and knows no labels.", "label_ids")
        if sample_ids is None and label_ids is None:
            rows = snapshot.rows
        else:
            rows = self._rows(
                snapshot, None if label_ids is not None else sample_ids, label_ids,
                allow_missing, warn_missing,
            )  # fmt: skip
        labels = None if self.config.patches_field is None else snapshot.ids(rows)
        return snapshot.vectors(rows), snapshot.owners(rows), labels

    def use_view(self, *args: Any, **kwargs: Any) -> "FaissSimilarityIndex":
        self._viewed = None
        return super().use_view(*args, **kwargs)

    def reload(self) -> None:
        """Looks at the current view again; what is new in the field :meth:`sync` adds."""
        if self.key is not None:
            self._follow_record()
        super().reload()

    def cleanup(self) -> None:
        """Removes the files, unless a clone of the dataset uses them."""
        if self.key is None or not shared(self.config.index_id):
            self._index.delete()

    def attributes(self) -> list[str]:
        return ["cls"]

    @classmethod
    def _from_dict(
        cls, d: dict, samples: SampleCollection, config: FaissSimilarityConfig, brain_key: str
    ) -> "FaissSimilarityIndex":
        return cls(samples, config, brain_key)

    # queries

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
        for rows in self._rows_of_slices(snapshot):
            self._viewed = snapshot, rows
            samples, labels = self._kneighbors(query, k, reverse, aggregation)
            best.append(snapshot.rows_of(as_text(samples if labels is None else labels)))
        self._viewed = snapshot, np.concatenate(best)
        try:
            n_best = len(self._viewed[1])
            return super().sort_by_similarity(query, n_best, reverse, *args, **kwargs)
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

    # how it is done

    def _snapshot(self) -> Snapshot:
        with self._explained():
            return self._index.snapshot()

    def _manifest(self) -> dict[str, Any]:
        with self._explained():
            return self._index.manifest

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Says how to mend files that cannot be used."""
        try:
            yield
        except BrokenIndexError as error:
            way = (
                "Delete the brain run and compute similarity again."
                if self.is_external
                else f"Make it again from '{self.config.embeddings_field}': "
                f"dataset.load_brain_results('{self.key}').rebuild()."
            )
            raise BrokenIndexError(
                f"The similarity index '{self.key}' cannot be used. {error} {way}"
            ) from error

    def _current(self) -> tuple[Snapshot, np.ndarray | None]:
        """The index now, and its rows of the view, in the order of the view; None for all."""
        snapshot = self._snapshot()
        if self._viewed is None or self._viewed[0] is not snapshot:
            self._viewed = snapshot, self._view_rows(snapshot) if self.has_view else None
        return self._viewed

    def _view_rows(self, snapshot: Snapshot) -> np.ndarray:
        rows = snapshot.rows_of(self._source.ids_in(self._curr_view))
        there = rows >= 0
        n_missing, n_other = int(np.count_nonzero(~there)), len(snapshot) - np.count_nonzero(there)
        said = f"{n_missing} items of the view are not in the index, and {n_other} the other way"
        if not self._curr_view_allow_missing and (n_missing or n_other):
            raise ValueError(f"{said} round.")
        if self._curr_view_warn_missing and (n_missing or n_other):
            _logger.warning("%s round; they are left out", said)
        self._curr_missing_size = n_missing or None
        return rows[there]

    def _keys(self, sample_ids: np.ndarray, label_ids: np.ndarray | None) -> np.ndarray:
        """What the items are known by: labels or samples."""
        if self.config.patches_field is None:
            return sample_ids
        if label_ids is None:
            raise DataError(
                f"This index is of the labels in '{self.config.patches_field}': their ids are "
                "needed.",
                "label_ids",
            )
        return label_ids

    def _rows(
        self,
        snapshot: Snapshot,
        sample_ids: Any,
        label_ids: Any,
        allow_missing: bool,
        warn_missing: bool,
    ) -> np.ndarray:
        """Rows of the items that are asked for, in that order."""
        rows = np.zeros(0, np.int64)
        if self.config.patches_field is None:
            wanted = as_text(() if sample_ids is None else sample_ids)
        else:
            wanted = as_text(() if label_ids is None else label_ids)
            if sample_ids is not None:
                rows = snapshot.rows[np.isin(snapshot.owners(), as_text(sample_ids))]
        named = snapshot.rows_of(wanted)
        missing = wanted[named < 0]
        if len(missing):
            said = f"{len(missing)} ids (such as '{missing[0]}') are not in the index"
            if not allow_missing:
                raise ValueError(f"{said}.")
            if warn_missing:
                _logger.warning("%s; they are ignored", said)
        return np.concatenate([named[named >= 0], rows])

    def _new(self, ids: np.ndarray, allow_existing: bool, warn_existing: bool) -> np.ndarray:
        """Which ids are not in the index yet."""
        new = self._snapshot().rows_of(ids) < 0
        if not new.all():
            said = f"{np.count_nonzero(~new)} ids (such as '{ids[~new][0]}') are in the index"
            if not allow_existing:
                raise ValueError(f"{said} already.")
            if warn_existing:
                _logger.warning("%s already; they are ignored", said)
        return np.flatnonzero(new)

    def _queries(self, snapshot: Snapshot, query: Any) -> tuple[np.ndarray, bool]:
        """Vectors of the query, and whether it is a single one."""
        if not isinstance(query, str):
            query = np.asarray(query)
            if np.issubdtype(query.dtype, np.number):
                return np.atleast_2d(query), query.ndim == 1
        ids = as_text(query)
        rows = snapshot.rows_of(ids)
        if (rows < 0).any():
            raise ValueError(f"Query IDs {ids[rows < 0].tolist()} do not exist in this index")
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

    def _add_pages(self, pages: Iterator[Page]) -> int:
        """Adds some thousands at a time, since each time is a write of its own."""
        n_added = 0
        while some := list(islice(pages, _PAGES)):
            ids, blocks, owners = zip(*some, strict=True)
            every = None if owners[0] is None else np.concatenate(owners)
            self._index.add(np.concatenate(ids), np.concatenate(blocks), every)
            n_added += sum(map(len, ids))
        return n_added

    def _own_files(self, *, copied: bool = True) -> None:
        """Before anything is written: a clone of a dataset gets files of its own."""
        if self.key is None:
            return
        self._follow_record()
        if not shared(self.config.index_id):
            return
        own_id = uuid.uuid4().hex
        if copied:
            with self._explained():
                self._index.copy_to(files_of(own_id).folder)
        self._use_files(own_id)
        self.save_config()

    def _follow_record(self) -> None:
        """Another process may have given this index files of its own since it was loaded."""
        recorded = recorded_id(self.samples._root_dataset, self.key)
        if recorded is not None and recorded != self.config.index_id:
            self._use_files(recorded)

    def _use_files(self, index_id: str) -> None:
        self.config.index_id = index_id
        self._index = files_of(index_id)


def _kind(config: FaissSimilarityConfig) -> IndexKind | str:
    """The kind that was asked for, with its settings."""
    if resolve_kind(config.kind) is None:
        return AUTO
    return index_kinds[config.kind].from_dict(config.settings or {})


def _device(n_queries: int) -> str | None:
    """A GPU, where there are enough queries to be worth the start of torch."""
    if n_queries < _MANY:
        return None
    import torch

    return "cuda" if torch.cuda.is_available() else None


register()

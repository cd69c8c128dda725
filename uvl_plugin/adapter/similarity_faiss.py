"""FiftyOne's similarity backend ``faiss``: files instead of the database, found by FAISS."""

import logging
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import fiftyone.brain as fob
import numpy as np
from fiftyone.brain.similarity import Similarity, SimilarityConfig
from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter.backend_config import BACKEND, CONFIG_CLASS
from uvl_plugin.adapter.index_files import files_of, recorded_id, shared
from uvl_plugin.adapter.similarity_search import SearchedIndex
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.progress import Progress, part, silent
from uvl_plugin.indexing.auto import AUTO, resolve_kind
from uvl_plugin.indexing.index import PRECISIONS, VectorIndex
from uvl_plugin.indexing.kind import IndexKind, index_kinds
from uvl_plugin.indexing.metrics import check_metric
from uvl_plugin.indexing.queries import AGGREGATIONS
from uvl_plugin.indexing.segment import Page

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
        self.kind = kind.name if isinstance(kind, IndexKind) else kind
        self.settings = kind.to_dict() if isinstance(kind, IndexKind) else settings
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


class FaissSimilarityIndex(SearchedIndex):
    """An index as FiftyOne uses it: this class writes it."""

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
        self.reload()
        known, has_field = self._snapshot().ids(), self._source.items() is not None
        if has_field and self._manifest()["about"] != self._source.about():
            self._own_files(copied=False)
            self.build(progress)
            return SyncResult(self.total_index_size, len(known), rebuilt=True)
        there = self._source.ids_there()
        removed, new = np.setdiff1d(known, there), np.setdiff1d(there, known)
        added = 0
        if len(removed):
            self._own_files()
            self._index.remove(removed)
        if len(new) and has_field:
            self._own_files()
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

    def _add_pages(self, pages: Iterator[Page]) -> int:
        """Adds some thousands at a time, since each time is a write of its own."""
        n_added = 0
        while some := list(islice(pages, _PAGES)):
            ids, blocks, owners = zip(*some, strict=True)
            every = None if owners[0] is None else np.concatenate(owners)
            self._index.add(np.concatenate(ids), np.concatenate(blocks), every)
            n_added += sum(map(len, ids))
        return n_added

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

    def _new(self, ids: np.ndarray, allow_existing: bool, warn_existing: bool) -> np.ndarray:
        """Which ids are not in the index yet."""
        new = self._snapshot().rows_of(ids) < 0
        if not new.all():
            said = f"{np.count_nonzero(~new)} ids (such as '{ids[~new][0]}') are in the index"
            if not allow_existing:
                raise DataError(f"{said} already.")
            if warn_existing:
                _logger.warning("%s already; they are ignored", said)
        return np.flatnonzero(new)

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


register()

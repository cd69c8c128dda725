"""The index of FiftyOne's backend ``faiss``: what it holds, and what of it a view shows."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from fiftyone.brain.similarity import SimilarityConfig, SimilarityIndex
from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter.index_files import files_of, temporary
from uvl_plugin.adapter.index_source import IndexSource, as_text
from uvl_plugin.core.errors import BrokenIndexError, DataError
from uvl_plugin.indexing.snapshot import Snapshot

_logger = logging.getLogger(__name__)


class StoredIndex(SimilarityIndex):
    """What an index holds.

    The files are opened when they are first needed, and again when another process has written
    to them.

    Args:
        samples: the dataset, or its frames view.
        config: a :class:`~uvl_plugin.adapter.similarity_faiss.FaissSimilarityConfig`.
        brain_key: None for an index that lives as long as this object.
        backend: a :class:`~uvl_plugin.adapter.similarity_faiss.FaissSimilarity`.
    """

    def __init__(
        self,
        samples: SampleCollection,
        config: SimilarityConfig,
        brain_key: str | None,
        backend: Any = None,
    ):
        self._viewed: tuple[Snapshot, np.ndarray | None] | None = None
        self._index = files_of(config.index_id) if brain_key else temporary(self)
        self._source = IndexSource(samples, config.embeddings_field, config.patches_field)
        super().__init__(samples, config, brain_key, backend=backend)

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

    def use_view(self, *args: Any, **kwargs: Any) -> "StoredIndex":
        self._viewed = None
        return super().use_view(*args, **kwargs)

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
                else f"Make it again from '{self.config.embeddings_field}': with the operator "
                f"'Index similarity', or dataset.load_brain_results('{self.key}').rebuild()."
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
            raise DataError(f"{said} round.")
        if self._curr_view_warn_missing and (n_missing or n_other):
            _logger.warning("%s round; they are left out", said)
        self._curr_missing_size = n_missing or None
        return rows[there]

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
                raise DataError(f"{said}.")
            if warn_missing:
                _logger.warning("%s; they are ignored", said)
        return np.concatenate([named[named >= 0], rows])

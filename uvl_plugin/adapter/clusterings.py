"""A clustering as the dataset keeps it: opened, edited, added to, written back."""

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import fiftyone as fo
import numpy as np
from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter import target, writer
from uvl_plugin.adapter.cluster_fields import (
    ClusterField,
    FieldValues,
    cluster_field,
    still_there,
)
from uvl_plugin.adapter.cluster_figures import (
    changed_clusters,
    entries,
    figures_in,
    first_figures,
    new_figures,
    noted,
)
from uvl_plugin.adapter.runs import (
    Arrays,
    ClusteringRunConfig,
    ClusteringRunResults,
    keys_of,
    origin_of,
    owner_of,
    read_record,
    read_results,
    update_run,
)
from uvl_plugin.adapter.target import Target
from uvl_plugin.adapter.vectors import read_items
from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.base import Clusterer, clusterers
from uvl_plugin.clustering.scores import nearest_cluster
from uvl_plugin.core.embeddings import NOISE, ClusteringResult, Embeddings, cluster_names
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.packages import versions
from uvl_plugin.core.progress import Progress, silent
from uvl_plugin.core.tree import Tree
from uvl_plugin.curation.edited import Edited, Named, RawClusters
from uvl_plugin.curation.edits import Assign
from uvl_plugin.curation.history import History
from uvl_plugin.curation.identity import carried_names
from uvl_plugin.curation.naming import COARSE, FINE, names_of, other_names
from uvl_plugin.curation.remodel import Remodelled, remodelled

LABELS = "labels"
_CHANGING = ("history", "steps", "clusters", "figures", "n_items", "n_clusters", "n_noise")
_EDIT = "edit "  # before the names of the arrays that edits need
_RAW = "raw "  # before those of the model as it came out


@dataclass(frozen=True)
class Clustering:
    """A run, opened.

    Attributes:
        dataset: that it is of.
        run_key: its key.
        config: its record.
        results: its arrays.
    """

    dataset: fo.Dataset
    run_key: str
    config: ClusteringRunConfig
    results: ClusteringRunResults

    @cached_property
    def items(self) -> Target:
        """All items of its kind in the dataset, with the vectors that were clustered."""
        return self.items_in(self.dataset)

    def items_in(self, samples: SampleCollection) -> Target:
        """The items of its kind in ``samples``, with the vectors that were clustered.

        Raises:
            DataError: if there are none, or ``samples`` are parts of another kind.
        """
        return items_of(samples, self.run_key, self.config)

    @property
    def place(self) -> ClusterField:
        """Its fields."""
        return place_of(self.items, self.config)

    @cached_property
    def history(self) -> History:
        """Its edits."""
        return History.from_dict(self.config.history, _without(_EDIT, self.results.arrays))

    @cached_property
    def raw(self) -> RawClusters:
        """What came out."""
        arrays = self.results.arrays
        return RawClusters(
            ids=arrays["ids"],
            labels=arrays["labels"],
            names=tuple(self.config.names),
            leaves=arrays["fine"],
            next_number=self.config.next_number,
        )

    @cached_property
    def edited(self) -> Edited:
        """What the edits made of it."""
        return self.history.replay(self.raw, self.named)

    @property
    def named(self) -> Named:
        """What a new cluster is called."""
        return _named(self.config.stem, len(self.config.names))

    @property
    def algorithm(self) -> Clusterer:
        """What made it, with its settings."""
        return clusterers[self.config.algorithm].from_dict(self.config.settings)

    @property
    def raw_model(self) -> ClusterModel:
        """What would assign new samples to the clusters as they came out."""
        model, arrays = self.results.model, _without(_RAW, self.results.arrays)
        return ClusterModel(
            model.preparation, arrays["centroids"], arrays["owners"], arrays["radii"], model.metric
        )

    @property
    def tree(self) -> Tree | None:
        """How the fine clusters join."""
        return None if self.config.tree is None else Tree.from_dict(self.config.tree)

    def number_of(self, name: str) -> int:
        """The number of the cluster of this name.

        Raises:
            DataError: if there is none.
        """
        numbers = {known: number for number, known in self.edited.names.items()}
        if name not in numbers:
            known = ", ".join(list(numbers)[:10]) + (", ..." if len(numbers) > 10 else "")
            raise DataError(
                f"The run '{self.run_key}' has no cluster '{name}'. Clusters: {known}.", "cluster"
            )
        return numbers[name]

    def members_in(self, samples: SampleCollection) -> Embeddings:
        """Vectors of those items of ``samples`` that are in the run.

        Raises:
            DataError: if none is.
        """
        items = self.items_in(samples)
        ids = np.array(items.ids(), str)
        inside = ids[np.isin(ids, self.raw.ids)]
        if not len(inside):
            raise DataError(f"None of the {items.unit} is in the run '{self.run_key}'.")
        return read_items(items, inside.tolist())[0]

    def labels_of(self, ids: np.ndarray) -> np.ndarray:
        """Number of the cluster of each of these items as it is now, noise -1."""
        return self.edited.labels[self.raw.rows(ids)]

    def record_evaluation(self, evaluation: dict[str, Any]) -> None:
        """Keeps the last evaluation in the record."""
        self.config.evaluation = evaluation
        self.dataset.update_run_config(self.run_key, self.config)

    def vectors_of(self, rows: np.ndarray) -> np.ndarray:
        """Vectors of some of its items, shape ``(m, dim)``; the mean of the others stands for one
        that was deleted, or whose vector was.

        Raises:
            DataError: if none of them has a vector any more.
        """
        ids = self.raw.ids[rows].tolist()
        found, _ = read_items(self.items, still_there(self.items, ids))
        places = {key: place for place, key in enumerate(found.ids.tolist())}
        gone = len(found)  # where the mean is
        chosen = [places.get(key, gone) for key in ids]
        if gone not in chosen:
            return found.vectors[chosen]
        return np.vstack([found.vectors, found.vectors.mean(axis=0)])[chosen]

    def with_history(self, history: History, progress: Progress = silent) -> "Clustering":
        """Makes these its edits, and writes what they change: record, arrays and fields.

        Raises:
            DataError: if an edit is not possible.
        """
        edited = history.replay(self.raw, self.named)
        parts = self.results.arrays[self.config.parts]
        same = np.array_equal(edited.labels, self.edited.labels)  # only names change
        new = None if same else remodelled(self.raw_model, parts, edited.labels, self.vectors_of)
        changed = self._changed(edited, history, self.results.model if new is None else new.model)
        rows = np.flatnonzero((self._names != changed._names).any(axis=0))
        changed.config.figures = self._figures(changed, rows)
        try:
            changed._record(with_arrays=not (same and _are_same(self.history, history)))
            self._write_changes(changed, rows, new, progress)
        except BaseException:
            self.restore()
            changed._write_changes(self, rows, None, silent)
            raise
        return changed

    def restore(self) -> None:
        """Writes record and arrays as they are here, over what was recorded since."""
        self._record()

    def with_items(
        self, ids: np.ndarray, clusters: np.ndarray, strengths: np.ndarray, leaves: np.ndarray
    ) -> "Clustering":
        """Adds items to clusters, as one more edit, and records it; writes no field.

        Args:
            ids: of items that are not in the run yet, shape ``(m,)``.
            clusters: number of the cluster of each as they are now, noise -1.
            strengths: shape ``(m,)``.
            leaves: fine cluster of each as it came out, noise -1.
        """
        added = {"ids": ids, "strengths": strengths, "fine": leaves}
        nothing = np.full(len(ids), NOISE, np.int64)
        arrays = self.results.arrays
        longer = {
            name: np.concatenate([arrays[name], added.get(name, nothing)])
            for name in ("ids", "labels", "strengths", "coarse", "fine")
        }
        results = self._results(arrays.replaced(longer), self.results.model)
        bigger = Clustering(self.dataset, self.run_key, self.config, results)
        history = self.history.apply(Assign(items=ids, clusters=clusters))
        edited = history.replay(bigger.raw, self.named)
        changed = bigger._changed(edited, history, self.results.model)
        known = figures_in(self.config)
        for number in np.unique(clusters).tolist():
            known.get(number, {}).pop("firmness", None)
        changed.config.figures = noted(edited, self.results.model, known)
        changed._record()
        return changed

    def values(
        self, rows: np.ndarray, strengths: np.ndarray, known: Embeddings | None = None
    ) -> FieldValues:
        """What stands in the fields for some of its items.

        Args:
            strengths: shape ``(m,)``, NaN: as it is.
            known: vectors of all items, in their order; None: read where they are needed.
        """
        labels = self.edited.labels
        names, others = self._names
        nearest: list[tuple[str, float] | None] = [None] * len(rows)
        lost = np.flatnonzero(labels[rows] == NOISE)
        if len(lost) and self.results.model.n_clusters:
            read = self.vectors_of if known is None else known.vectors.__getitem__
            for place, near in zip(lost, _nearest(self, read(rows[lost])), strict=True):
                nearest[place] = near
        ids = self.edited.raw.ids[rows]
        return FieldValues(ids, names[rows], others[rows], strengths, nearest)

    def _write_changes(
        self,
        changed: "Clustering",
        rows: np.ndarray,
        new: Remodelled | None,
        progress: Progress,
    ) -> None:
        """Writes the labels of some items.

        Args:
            rows: of the items.
            new: the model where it is another than before.
        """
        strengths = np.full(len(self.raw.ids), np.nan, np.float32)
        labels = changed.edited.labels
        if new is not None:
            own = np.isin(new.rows, rows)
            known = new.rows[own]
            strengths[known] = new.model.strengths(new.prepared[own], labels[known])
        raw = labels == changed.raw.labels
        strengths[raw] = changed.results.arrays["strengths"][raw]
        strengths[labels == NOISE] = 0.0
        values = changed.values(rows, strengths[rows])
        writer.update_clusters(self.place, changed.config, self.run_key, values, progress)

    def _figures(self, changed: "Clustering", rows: np.ndarray) -> str:
        """The figures of each cluster after an edit; firmness is not known any more where
        strengths may change: the fields tell it.

        Args:
            rows: items whose labels are written.
        """
        before, after = self.edited.labels, changed.edited.labels
        known = figures_in(self.config)
        numbers = changed_clusters(before, after)
        new = new_figures(changed.edited, changed.results.model, numbers, self._found)
        written = np.concatenate([numbers, after[rows]])
        for number in np.unique(written).tolist():
            known.get(number, {}).pop("firmness", None)
        for number in numbers.tolist():
            known[number] = new.get(number, {})
        return noted(changed.edited, changed.results.model, known)

    def _found(self, rows: np.ndarray) -> Embeddings | None:
        """Vectors of those of its items that still have one; None where none has."""
        try:
            return read_items(self.items, still_there(self.items, self.raw.ids[rows].tolist()))[0]
        except DataError:
            return None

    @cached_property
    def _names(self) -> np.ndarray:
        """Names at both levels, shape ``(2, n)``."""
        labels, names = self.edited.labels, self.edited.names
        stem, level = self.config.stem, self.config.level
        others = other_names(labels, names, self.results.arrays[level], level, stem)
        return np.stack([names_of(labels, names, stem), others])

    def _changed(self, edited: Edited, history: History, model: ClusterModel) -> "Clustering":
        """After other edits; nothing is written, and the figures in its record are still those from
        before."""
        config = copy.copy(self.config)  # what is in it is replaced, and never changed
        config.history = history.to_dict()
        config.steps = list(edited.steps)
        config.clusters = entries(edited)
        config.n_items, config.n_clusters = len(edited.labels), len(edited.names)
        config.n_noise = int(np.sum(edited.labels == NOISE))
        needed = {_EDIT + name: array for name, array in history.arrays().items()}
        arrays = self.results.arrays.replaced(needed, instead_of=_EDIT)
        changed = Clustering(
            self.dataset, self.run_key, config, self._results(arrays, model, config)
        )
        vars(changed).update(edited=edited, history=history)  # need not be computed again
        return changed

    def _record(self, *, with_arrays: bool = True) -> None:
        """Writes its record, and its arrays unless these are the same as before."""
        values = {name: getattr(self.config, name, None) for name in _CHANGING}
        update_run(self.dataset, self.run_key, values, self.results if with_arrays else None)

    def _results(
        self,
        arrays: Arrays,
        model: ClusterModel,
        config: ClusteringRunConfig | None = None,
    ) -> ClusteringRunResults:
        config = config or self.config
        return ClusteringRunResults(self.dataset, config, self.run_key, model, arrays)


def open_clustering(dataset: fo.Dataset, run_key: str) -> Clustering:
    """Opens a run.

    Raises:
        DataError: if there is no such run, or it is no clustering.
    """
    check_clustering(dataset, run_key)
    results = read_results(dataset, run_key)
    return Clustering(dataset, run_key, results.config, results)


def record_of(dataset: fo.Dataset, run_key: str) -> ClusteringRunConfig:
    """The record of a run, without its arrays.

    Raises:
        DataError: if there is no such run, or it is no clustering.
    """
    check_clustering(dataset, run_key)
    return read_record(dataset, run_key)


def items_of(samples: SampleCollection, run_key: str, config: ClusteringRunConfig) -> Target:
    """The items of the kind of a run in ``samples``, with the vectors that were clustered; see
    :meth:`Clustering.items_in`."""
    embeddings, patches_field = config.embeddings, _patches_field(config)
    name = embeddings if patches_field is None else embeddings.rpartition(".")[2]
    items = target.target(samples, name, patches_field=patches_field)
    if items.path != embeddings:
        raise DataError(
            f"The run '{run_key}' is of vectors in '{embeddings}', and what was passed "
            f"are {items.unit}; pass the dataset or a view of whole samples."
        )
    return items


def place_of(items: Target, config: ClusteringRunConfig) -> ClusterField:
    """The fields of a run, of its items."""
    before = items.path.removesuffix(items.field)
    return cluster_field(items, config.field.removeprefix(before))


def edits_in(config: ClusteringRunConfig) -> tuple[list[dict[str, str]], int]:
    """The edits that hold, oldest first: what was ``said``, ``who`` did it and ``when``; and how
    many were taken back."""
    edits = config.history["edits"]
    held = zip(config.steps, edits[: config.history["n_done"]], strict=True)
    return (
        [{"said": said, "who": edit["who"], "when": edit["when"]} for said, edit in held],
        len(edits) - config.history["n_done"],
    )


def clustering_of(dataset: fo.Dataset, field: str) -> Clustering | None:
    """The run that wrote a cluster field; None where no clustering did."""
    owner = owner_of(dataset, field)
    if owner not in clustering_keys(dataset) or dataset.get_run_info(owner).config.field != field:
        return None
    return open_clustering(dataset, owner)


def clustering_with(dataset: fo.Dataset, cluster: str) -> Clustering:
    """The run that has a cluster of this name.

    Raises:
        DataError: if none has.
    """
    for run_key in clustering_keys(dataset):
        clusters = dataset.get_run_info(run_key).config.clusters
        if any(known["name"] == cluster for known in clusters):
            return open_clustering(dataset, run_key)
    raise DataError(f"No clustering of '{dataset.name}' has a cluster '{cluster}'.", "cluster")


def check_clustering(dataset: fo.Dataset, run_key: str, argument: str = "run_key") -> None:
    """Raises :class:`DataError` unless there is such a run, and it is a clustering."""
    known = clustering_keys(dataset)
    if run_key in known:
        return
    hint = f"Clusterings: {', '.join(known) or 'none'}."
    if dataset.has_run(run_key):
        raise DataError(
            f"The run '{run_key}' is not a clustering, so it has no clusters. {hint}", argument
        )
    raise DataError(f"'{dataset.name}' has no run '{run_key}'. {hint}", argument)


def clustering_keys(dataset: fo.Dataset) -> list[str]:
    """Keys of the clusterings of a dataset."""
    return keys_of(dataset, ClusteringRunConfig)


def new_clustering(
    place: ClusterField,
    run_key: str,
    found: Embeddings,
    result: ClusteringResult,
    model: ClusterModel,
    algorithm: Clusterer,
    *,
    like: Clustering | None,
    seconds: dict[str, float],
) -> Clustering:
    """The run of a clustering, not written yet.

    Args:
        place: the items that were clustered, with their vectors, and the cluster field.
        found: these vectors, in the order of ``result``.
        like: an earlier run; clusters that are still the same keep its names.
    """
    items, dataset = place.items, place.items.dataset
    names, following = tuple(cluster_names(run_key, result.n_clusters)), result.n_clusters
    if like is not None:
        old = dataclasses.replace(like.edited, named=_named(run_key, len(like.config.names)))
        names, following = carried_names(old, result.ids, result.labels)
        own = like.config.stem + " "
        names = tuple(
            f"{run_key} {name.removeprefix(own)}" if name.startswith(own) else name
            for name in names
        )
    level = FINE if np.array_equal(result.labels, result.coarse) else COARSE
    config = ClusteringRunConfig(
        method=f"uvl/{algorithm.name}",
        field=place.path,
        level_field=place.path_of(place.level(level)),
        level=level,
        parts=LABELS if algorithm.in_one_part else FINE,
        stem=run_key,
        embeddings=items.path,
        patches_field=getattr(items, "patches_field", None),
        space=origin_of(dataset, items.path).get("space"),
        algorithm=algorithm.name,
        settings=algorithm.to_dict(),
        n_items=len(result),
        n_missing=result.n_missing,
        n_clusters=result.n_clusters,
        n_noise=result.n_noise,
        sizes=result.sizes,
        names=list(names),
        next_number=following,
        tree=_tree(result.tree),
        report=result.report,
        history=History().to_dict(),
        steps=[],
        evaluation=None,
        seconds=seconds,
        versions=versions(),
    )
    arrays = {
        "ids": result.ids,
        "labels": result.labels,
        "strengths": result.strengths,
        "coarse": result.coarse,
        "fine": result.fine,
        **{f"{_RAW}{name}": getattr(model, name) for name in ("centroids", "owners", "radii")},
    }
    results = ClusteringRunResults(dataset, config, run_key, model, Arrays(arrays))
    made = Clustering(dataset, run_key, config, results)
    known = first_figures(made.edited, model, result.strengths, found.vectors)
    config.clusters = entries(made.edited)
    config.figures = noted(made.edited, model, known)
    return made


def _are_same(first: History, second: History) -> bool:
    """Whether both need the same arrays."""
    before, after = first.arrays(), second.arrays()
    return before.keys() == after.keys() and all(before[name] is after[name] for name in before)


def _patches_field(config: ClusteringRunConfig) -> str | None:
    """Whose labels the items are; None for samples and frames, and in records of earlier times."""
    return getattr(config, "patches_field", None)


def _named(stem: str, n_clusters: int) -> Callable[[int], str]:
    width = max(2, len(str(n_clusters - 1)))
    return lambda number: f"{stem} {number:0{width}d}"


def _nearest(clustering: Clustering, vectors: np.ndarray) -> list[tuple[str, float]]:
    """Name of the nearest cluster of each vector, and how far it is."""
    model = clustering.results.model
    owners, distances = nearest_cluster(model, model.preparation(vectors))
    names = clustering.edited.names
    return [
        (names[owner], distance)
        for owner, distance in zip(owners.tolist(), distances.tolist(), strict=True)
    ]


def _without(prefix: str, arrays: Arrays) -> dict[str, np.ndarray]:
    names = [name for name in arrays if name.startswith(prefix)]  # the others stay packed
    return {name.removeprefix(prefix): arrays[name] for name in names}


def _tree(tree: Tree | None) -> dict[str, list] | None:
    if tree is None:
        return None
    return tree.to_dict()

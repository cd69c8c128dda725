"""Living with the clusters of a run: edit them, take edits back, put new items into them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.adapter import clusterings, vectors, writer
from uvl_plugin.adapter.clusterings import Clustering
from uvl_plugin.adapter.images import Images, Videos
from uvl_plugin.adapter.runs import origin_of
from uvl_plugin.adapter.samples import dataset_of
from uvl_plugin.adapter.target import Target
from uvl_plugin.clustering.base import Clusterer, cluster_embeddings
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.core.account import account
from uvl_plugin.core.embeddings import NOISE, Embeddings
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.progress import Progress, part, shown
from uvl_plugin.curation.drift import Drift, drift
from uvl_plugin.curation.edits import Dissolve, Edit, Merge, Move, Recluster, Recut, Rename, Split
from uvl_plugin.curation.naming import FINE

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection


@dataclass(frozen=True)
class Assignment:
    """What :func:`assign` did.

    Attributes:
        clusters: name of the cluster by the id of each new item.
        strengths: 0 to 1, by the id.
        n_known: items that were in the run already, and stay as they are.
        n_missing: items that have no vector, and so no cluster.
        drift: whether the new items still fit the clusters; None without new ones.
    """

    clusters: dict[str, str] = field(default_factory=dict)
    strengths: dict[str, float] = field(default_factory=dict)
    n_known: int = 0
    n_missing: int = 0
    drift: Drift | None = None


class Clusters:
    """The clusters of a run as they are now.

    Every edit is one step over the raw result, which stays in the run: it is written to the
    fields of the dataset, noted in the run record, and can be taken back.

    Args:
        dataset: that was clustered, or a view of it.
        run_key: of the clustering.
        who: who edits; is noted with every step; empty: the account of this process.

    Raises:
        DataError: if there is no such run, or it is no clustering.
    """

    def __init__(self, dataset: "SampleCollection", run_key: str, *, who: str = ""):
        self._run = clusterings.open_clustering(dataset_of(dataset), run_key)
        self._who = who or account()

    @property
    def run_key(self) -> str:
        """Key of the run."""
        return self._run.run_key

    @property
    def field(self) -> str:
        """The cluster field; of frames ``frames.cluster``, of labels with their path before it."""
        return self._run.config.field

    @property
    def names(self) -> list[str]:
        """Names of the clusters, in the order of their numbers."""
        return list(self._run.edited.names.values())

    @property
    def sizes(self) -> dict[str, int]:
        """Items of each cluster by its name, the largest first; noise not counted."""
        edited = self._run.edited
        sizes = {edited.names[number]: size for number, size in edited.sizes.items()}
        return dict(sorted(sizes.items(), key=lambda item: -item[1]))

    @property
    def n_noise(self) -> int:
        """How many items are in no cluster."""
        return int(np.sum(self._run.edited.labels == NOISE))

    @property
    def steps(self) -> list[str]:
        """The edits that hold, in words, the oldest first."""
        return list(self._run.edited.steps)

    @property
    def edits(self) -> list[dict[str, str]]:
        """The edits that hold, the oldest first: what was ``said``, ``who`` did it and ``when``."""
        return clusterings.edits_in(self._run.config)[0]

    @property
    def n_undone(self) -> int:
        """How many edits were taken back and can be done again."""
        return len(self._run.history.undone)

    def members(self, cluster: str) -> list[str]:
        """Ids of the items in a cluster."""
        edited = self._run.edited
        return edited.raw.ids[edited.members(self._run.number_of(cluster))].tolist()

    def rename(self, cluster: str, name: str) -> None:
        """Calls a cluster something else.

        Raises:
            DataError: here and below, if there is no such cluster, or the edit is not possible;
                nothing is changed then.
        """
        self._apply(Rename(self._run.number_of(cluster), name, who=self._who))

    def merge(self, *clusters: str) -> None:
        """Makes one of two or more clusters; the first keeps its name."""
        numbers = tuple(self._run.number_of(cluster) for cluster in clusters)
        self._apply(Merge(numbers, who=self._who))

    def split(self, cluster: str, into: "int | Clusterer" = 2) -> None:
        """Clusters a cluster anew; its largest part keeps the name.

        Args:
            into: how many parts, or an algorithm.
        """
        number = self._run.number_of(cluster)
        rows = self._run.edited.members(number)
        items, parts = self._clustered(rows, into)
        self._apply(Split(number, items, parts, who=self._who))

    def recluster(
        self, samples: "SampleCollection | Sequence[str]", into: "int | Clusterer"
    ) -> None:
        """Makes new clusters of a selection, wherever its items were: noise, for example.

        Args:
            samples: a view, also one of frames, patches or clips, or ids of items.
            into: how many clusters, or an algorithm.
        """
        rows = self._run.raw.rows(self._ids(samples))
        items, parts = self._clustered(rows, into)
        self._apply(Recluster(items, parts, who=self._who))

    def move(self, samples: "SampleCollection | Sequence[str]", cluster: str | None) -> None:
        """Moves items to a cluster, or with None to the noise; see :meth:`recluster`."""
        number = NOISE if cluster is None else self._run.number_of(cluster)
        self._apply(Move(self._ids(samples), number, who=self._who))

    def dissolve(self, cluster: str) -> None:
        """Makes noise of a cluster."""
        self._apply(Dissolve(self._run.number_of(cluster), who=self._who))

    def recut(self, n_clusters: int) -> None:
        """Makes another number of clusters, by cutting the tree of the run elsewhere.

        Cutting twice in a row counts as one edit. What was edited before is replaced; clusters
        that are still the same keep their names.
        """
        if self._run.tree is None:
            raise DataError(f"The run '{self.run_key}' has no tree: all of it is noise.")
        most = self._run.tree.n_leaves
        if not 1 <= n_clusters <= most:
            raise DataError(
                f"The tree of '{self.run_key}' can be cut into 1 to {most} clusters, got "
                f"{n_clusters}.",
                "n_clusters",
            )
        history = self._run.history
        if history.done and isinstance(history.done[-1], Recut):
            history = history.undo()
        edit = Recut.of(self._run.tree, n_clusters, who=self._who)
        self._run = self._run.with_history(history.apply(edit))

    def undo(self) -> None:
        """Takes the last edit back.

        Raises:
            DataError: if there is none.
        """
        self._run = self._run.with_history(self._run.history.undo())

    def redo(self) -> None:
        """Does the edit again that was taken back last.

        Raises:
            DataError: if there is none.
        """
        self._run = self._run.with_history(self._run.history.redo())

    def _ids(self, samples: "SampleCollection | Sequence[str]") -> np.ndarray:
        if isinstance(samples, Sequence | np.ndarray):
            return np.asarray(samples, dtype=str)
        if samples._is_generated:  # its samples have the ids of the frames or labels
            return np.asarray(samples.values("id"), dtype=str)
        return np.asarray(self._run.items_in(samples).ids(), dtype=str)

    def _apply(self, edit: Edit) -> None:
        self._run = self._run.with_history(self._run.history.apply(edit))

    def _clustered(
        self, rows: np.ndarray, into: "int | Clusterer"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ids of some items, and the part of each."""
        algorithm = KMeans(n_clusters=into) if isinstance(into, int) else into
        if not isinstance(algorithm, Clusterer):
            raise SettingsError(
                f"Say into how many parts, or name an algorithm such as uvl.HDBSCAN(); got {into!r}."
            )
        ids = self._run.raw.ids[rows]
        found, _ = cluster_embeddings(Embeddings(ids, self._run.vectors_of(rows)), algorithm)
        return ids, found.labels


def clusters(dataset: "SampleCollection", run_key: str, *, who: str = "") -> Clusters:
    """Opens the clusters of a run, to look at them and to edit them; see :class:`Clusters`."""
    return Clusters(dataset, run_key, who=who)


def check_assign(samples: "SampleCollection", run_key: str) -> tuple[Target, Clustering]:
    """Raises what :func:`assign` would, without working; forms call it."""
    run = clusterings.open_clustering(dataset_of(samples), run_key)
    items = run.items_in(samples)
    run.results.model.check()
    space = origin_of(run.dataset, items.path).get("space")
    if run.dataset.get_field(items.path) is not None and space != run.config.space:
        raise DataError(
            f"'{run_key}' is of vectors of {run.config.space or 'unknown origin'}, and "
            f"'{items.path}' now holds those of {space or 'unknown origin'}; cluster again."
        )
    return items, run


def assign(
    samples: "SampleCollection", run_key: str, *, progress: "Progress | bool | None" = None
) -> Assignment:
    """Puts new items into the clusters of a run, without computing these anew.

    Each gets the nearest cluster as it is now, edits included, with its strength. Items that
    are in the run already stay as they are. Images that lack a vector are embedded first, where
    it is known by what; other items without a vector are counted.

    Args:
        samples: a dataset or a view of it, with new images, objects, frames, videos or clips in
            it: of whatever the run is.
        run_key: of the clustering.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Returns:
        The clusters, and whether the new items still fit them.

    Raises:
        DataError: if there is no such run, or it has no clusters.
    """
    items, run = check_assign(samples, run_key)
    with shown(progress, "assign") as report:
        ids = np.array(items.ids(), str)
        new = ids[~np.isin(ids, run.raw.ids)].tolist()
        n_known = len(ids) - len(new)
        if isinstance(items, Images) and not isinstance(items, Videos) and new:
            _embed_missing(items.samples.select(new), run, part(report, 0.0, 0.6))
        report(0.6, "reading vectors")
        missing = set(items.ids(missing=True)) if new else set()
        ready = [key for key in new if key not in missing]
        if not ready:
            report(1.0, f"no new {items.unit}")
            return Assignment(n_known=n_known, n_missing=len(new))
        found, n_unusable = vectors.read_items(items, ready)
        n_missing = len(new) - len(ready) + n_unusable
        return _assigned(run, found, n_known, n_missing, part(report, 0.65, 1.0))


def _assigned(
    run: Clustering, found: Embeddings, n_known: int, n_missing: int, report: Progress
) -> Assignment:
    model = run.results.model
    prepared = model.preparation(found.vectors)
    labels, strengths = model.assign(found.vectors)
    n_noise = int(np.sum(run.edited.labels == NOISE))
    drifted = drift(model, {**run.edited.sizes, NOISE: n_noise}, prepared)
    bigger = run.with_items(found.ids, labels, strengths, _leaves(run, found.vectors))
    rows = np.arange(len(run.raw.ids), len(bigger.raw.ids))
    values = bigger.values(rows, strengths)
    try:
        writer.write_labels(run.place, run.config.level, values, report)
    except BaseException:
        run.restore()
        writer.clear_labels(run.place, run.config.level, values.ids.tolist())
        raise
    report(1.0, "assigned")
    return Assignment(
        clusters=dict(zip(values.ids.tolist(), values.names.tolist(), strict=True)),
        strengths=dict(zip(values.ids.tolist(), strengths.tolist(), strict=True)),
        n_known=n_known,
        n_missing=n_missing,
        drift=drifted,
    )


def _leaves(run: Clustering, found: np.ndarray) -> np.ndarray:
    """Fine cluster of new vectors, as they came out of the clustering: that of the nearest part, or
    the largest one of the nearest cluster."""
    raw = run.raw_model
    parts = raw.nearest(raw.preparation(found))[0]
    if run.config.parts == FINE:
        return parts
    labels, fine = run.raw.labels, run.results.arrays[FINE]
    pairs, counts = np.unique(np.stack([labels, fine], axis=1), axis=0, return_counts=True)
    by_size = pairs[np.argsort(counts, kind="stable")]
    largest = dict(zip(by_size[:, 0].tolist(), by_size[:, 1].tolist(), strict=True))
    return np.array([largest[owner] for owner in raw.owners[parts].tolist()], np.int64)


def _embed_missing(new: "SampleCollection", run: Clustering, report: Progress) -> None:
    from uvl_plugin.api import embed

    missing = vectors.without_vectors(new, run.config.embeddings)
    if missing and "backbone" in vectors.origin_of(run.dataset, run.config.embeddings):
        backbone = vectors.backbone_of(run.dataset, run.config.embeddings)
        embed(missing, backbone, run.config.embeddings, progress=report)

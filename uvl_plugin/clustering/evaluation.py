"""An honest score of a finished clustering: against labels that it never saw, and without any."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uvl_plugin.clustering.base import Clusterer
from uvl_plugin.clustering.classes import (
    NO_CLASS,
    HeldOut,
    class_figures,
    class_of_clusters,
    contingency,
    held_out_guesses,
)
from uvl_plugin.clustering.confusion import build_confusion
from uvl_plugin.clustering.evaluation_result import ClusterFigures, Evaluation
from uvl_plugin.clustering.quality import agreement
from uvl_plugin.clustering.reruns import Rerun, stability
from uvl_plugin.clustering.separation import Moments, Separation
from uvl_plugin.clustering.space import Space
from uvl_plugin.clustering.suspects import N_NEIGHBORS, doubts, suspects
from uvl_plugin.core.embeddings import NOISE, is_noise_name
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Progress, part, silent


@dataclass(frozen=True)
class Clustered:
    """What is evaluated: ``n`` items, rows of everything in the same order, whichever it is.

    Attributes:
        ids: unique, shape ``(n,)``.
        clusters: name or number of each item's cluster, shape ``(n,)``.
        noise: which items are noise, shape ``(n,)``, bool; None: the number -1, or a name that
            :func:`~uvl_plugin.core.embeddings.noise_name` gave.
        classes: label of each item, None where it has none, shape ``(n,)``; or None.
        strengths: how firmly each belongs, 0 to 1, shape ``(n,)``; or None.
        space: prepared vectors ``(n, dim)``; or None.

    Raises:
        DataError: if there are no items, lengths differ, or a strength is not a number.
    """

    ids: np.ndarray
    clusters: np.ndarray
    noise: np.ndarray | None = None
    classes: np.ndarray | None = None
    strengths: np.ndarray | None = None
    space: Space | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", np.asarray(self.ids, dtype=str))
        object.__setattr__(self, "clusters", np.asarray(self.clusters))
        for name, kind in (("noise", bool), ("classes", object), ("strengths", np.float32)):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=kind))
        if len(self.ids) == 0:
            raise DataError("There are no clustered items to evaluate; cluster some samples first.")
        for name in ("clusters", "noise", "classes", "strengths", "space"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.ids):
                raise DataError(f"Got {len(value)} {name} for {len(self.ids)} items to evaluate.")
        if self.strengths is not None and not np.isfinite(self.strengths).all():
            without = int(np.sum(~np.isfinite(self.strengths)))
            raise DataError(
                f"{without} of {len(self)} items have no strength; evaluate without strengths."
            )

    def __len__(self) -> int:
        return len(self.ids)

    def numbered_clusters(self) -> tuple[list[str], np.ndarray]:
        """Names of the clusters, sorted, and the number of each item's, noise -1."""
        noise = self.noise
        if noise is None and self.clusters.dtype.kind in "iu":
            noise = self.clusters == NOISE
        elif noise is None:
            noise = np.array([is_noise_name(str(name)) for name in self.clusters], dtype=bool)
        return _numbered(self.clusters, noise)

    def numbered_classes(self) -> tuple[list[str], np.ndarray]:
        """Names of the classes, sorted, and the number of each item's, -1 where it has none."""
        if self.classes is None:
            return [], np.full(len(self), NO_CLASS)
        lacking = np.array([name is None for name in self.classes], dtype=bool)
        return _numbered(np.array([str(name) for name in self.classes], dtype=str), lacking)


def evaluate_clusters(
    items: Clustered,
    *,
    metric: str = "cosine",
    rerun: Clusterer | Rerun | None = None,
    many_to_one: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> Evaluation:
    """Every figure that the given items allow.

    Args:
        items: with classes for the figures against labels, with a space for those without.
        metric: of the clusters, ``"cosine"`` or ``"euclidean"``.
        rerun: the algorithm, or a callable from a space and a seed to labels: it is run again
            some times, see :func:`~uvl_plugin.clustering.reruns.stability`; None: it is not.
        many_to_one: lets clusters share a class; for many more clusters than classes.
        seed: of the held-out halves and of re-runs.

    Raises:
        DataError: if there are classes but no item has one.
    """
    names, labels = items.numbered_clusters()
    sizes = np.bincount(labels[labels != NOISE], minlength=len(names))
    columns: dict[str, Sequence[Any]] = {"name": names, "size": sizes.tolist()}
    found: dict[str, Any] = {}
    progress(0.0, "comparing with labels")
    if items.classes is not None:
        found |= _against_classes(items, labels, names, columns, many_to_one, seed)
    if items.strengths is not None:
        columns["strength"] = _means(items.strengths, labels, sizes)
    progress(0.2, "separation of the clusters")
    if items.space is not None:
        found["separation"] = _separated(items.space.vectors, labels, metric, columns)
    if items.space is not None and rerun is not None:
        order = np.argsort(items.ids, kind="stable")
        found["stability"] = stability(
            items.space.vectors[order], labels[order], rerun, seed=seed,
            progress=part(progress, 0.3, 1.0),
        )  # fmt: skip
        columns["recovered"] = found["stability"].recovered
    progress(1.0, "evaluated")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return Evaluation(
        n_items=len(items),
        n_clusters=len(names),
        n_noise=int(np.sum(labels == NOISE)),
        many_to_one=many_to_one,
        clusters=tuple(ClusterFigures(**row) for row in rows),
        notes=tuple(_notes(found, len(names), len(items), many_to_one)),
        **found,
    )


def _numbered(values: np.ndarray, left_out: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names, sorted, and the number of each item's; -1 for those left out."""
    numbers = np.full(len(values), -1)
    names, numbers[~left_out] = np.unique(values[~left_out], return_inverse=True)
    return [str(name) for name in names.tolist()], numbers


def _against_classes(
    items: Clustered,
    labels: np.ndarray,
    names: list[str],
    columns: dict[str, Sequence[Any]],
    many_to_one: bool,
    seed: int,
) -> dict[str, Any]:
    """All that needs labels; adds to ``columns`` what it says of each cluster."""
    class_names, classes = items.numbered_classes()
    known = np.flatnonzero(classes != NO_CLASS)
    known = known[np.argsort(items.ids[known], kind="stable")]
    own, truth = labels[known], classes[known]
    agreed = agreement(own, truth, own == NOISE)
    guesses = {
        several: held_out_guesses(own, truth, many_to_one=several, seed=seed)
        for several in (False, True)
    }
    table = contingency(own, truth, len(names), len(class_names))
    meaning = class_of_clusters(table, many_to_one=many_to_one)
    columns["stands_for"] = [None if one < 0 else class_names[one] for one in meaning.tolist()]
    columns["pure"] = [row.max() / row.sum() if row.any() else None for row in table.astype(object)]
    near = None if items.space is None else items.space.neighbors(N_NEIGHBORS).indices
    others, leads = doubts(labels, classes, table, items.strengths, near)
    right = [float(np.mean(guesses[several] == truth)) for several in (False, True)]
    return {
        "n_unlabelled": len(items) - len(known),
        "agreement": agreed,
        "held_out": HeldOut(one_to_one=right[0], many_to_one=right[1]),
        "classes": tuple(class_figures(guesses[many_to_one], truth, class_names)),
        "confusion": build_confusion(own, truth, names, class_names, many_to_one=many_to_one),
        "suspects": tuple(suspects(items.ids, classes, class_names, others, leads)),
        "strength_auroc": _auroc(items.strengths, known, meaning, own, truth),
    }


def _auroc(
    strengths: np.ndarray | None,
    known: np.ndarray,
    meaning: np.ndarray,
    own: np.ndarray,
    truth: np.ndarray,
) -> float | None:
    """See :attr:`~uvl_plugin.clustering.evaluation_result.Evaluation.strength_auroc`."""
    from sklearn.metrics import roc_auc_score

    if strengths is None:
        return None
    inside = own != NOISE
    right = meaning[own[inside]] == truth[inside]
    if len(np.unique(right)) < 2:
        return None
    return float(roc_auc_score(right, strengths[known][inside]))


def _separated(
    vectors: np.ndarray, labels: np.ndarray, metric: str, columns: dict[str, Sequence[Any]]
) -> Separation:
    """Figures without labels; adds to ``columns`` those of each cluster."""
    moments = Moments(vectors, labels, metric)
    silhouettes = moments.silhouettes()
    others, distances = moments.nearest_others()
    names = columns["name"]
    columns["cohesion"] = _means(moments.own_distances()[1], labels, moments.sizes)
    columns["silhouette"] = _means(silhouettes, labels, moments.sizes)
    columns["nearest"] = [None if one == NOISE else names[one] for one in others.tolist()]
    columns["distance"] = [one if np.isfinite(one) else None for one in distances.tolist()]
    return moments.separation(silhouettes)


def _means(values: np.ndarray, labels: np.ndarray, sizes: np.ndarray) -> list[float]:
    inside = labels != NOISE
    return (np.bincount(labels[inside], values[inside], minlength=len(sizes)) / sizes).tolist()


def _notes(
    found: dict[str, Any], n_clusters: int, n_items: int, many_to_one: bool
) -> Iterator[str]:
    if n_clusters == 0:
        yield "All items are noise."
    if found.get("n_unlabelled"):
        yield f"{found['n_unlabelled']:,} of {n_items:,} items have no label."
    if "agreement" in found and many_to_one:
        yield "Clusters may share a class (many to one), which favours many clusters."
    elif "agreement" in found and n_clusters > found["agreement"].n_classes:
        yield (
            "There are more clusters than classes: one to one, the items of those left over count "
            "as wrong."
        )
    if "stability" in found and found["stability"].n_items < n_items:
        yield f"Re-runs were made on a sample of {found['stability'].n_items:,} items."

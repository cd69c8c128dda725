"""What clusters stand for: the class of each, learnt on some items and tried on others."""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.core.embeddings import NOISE

NO_CLASS = -1


@dataclass(frozen=True)
class ClassFigures:
    """One class; precision is 0 where no item was taken for it.

    Attributes:
        precision: share of the items taken for this class that are of it.
        recall: share of the items of this class that were taken for it.
        f1: harmonic mean of both.
        support: items of the class.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class HeldOut:
    """Accuracy on items that the map from clusters to classes was not learnt from, 0 to 1: learnt
    on one half of the items of each class and tried on the other, and the other way round.

    Attributes:
        one_to_one: each class has at most one cluster.
        many_to_one: each cluster stands for its commonest class, so clusters may share one; it
            grows with the number of clusters and compares only between equal numbers.
    """

    one_to_one: float
    many_to_one: float


def contingency(
    clusters: np.ndarray, classes: np.ndarray, n_clusters: int, n_classes: int
) -> np.ndarray:
    """Items by cluster and class, shape ``(n_clusters, n_classes)``, int64; noise is left out.

    Args:
        clusters: number of each item, shape ``(n,)``, noise -1.
        classes: number of each item, shape ``(n,)``.
    """
    inside = clusters != NOISE
    cells = clusters[inside] * n_classes + classes[inside]
    return np.bincount(cells, minlength=n_clusters * n_classes).reshape(n_clusters, n_classes)


def matched_classes(table: np.ndarray) -> np.ndarray:
    """The class of each cluster, one to one, with the most items right (H. Kuhn, Naval Res.
    Logist. Q. 2, 1955, page 83), shape ``(n_clusters,)``; -1: none, or it had no such item."""
    from scipy.optimize import linear_sum_assignment

    found = np.full(len(table), NO_CLASS)
    rows, columns = linear_sum_assignment(table, maximize=True)
    right = table[rows, columns] > 0
    found[rows[right]] = columns[right]
    return found


def commonest_classes(table: np.ndarray) -> np.ndarray:
    """The commonest class of each cluster, of equal ones the first, shape ``(n_clusters,)``;
    -1: it has no items."""
    return np.where(table.any(axis=1), table.argmax(axis=1), NO_CLASS)


def class_of_clusters(table: np.ndarray, *, many_to_one: bool) -> np.ndarray:
    """:func:`commonest_classes` or :func:`matched_classes`."""
    return commonest_classes(table) if many_to_one else matched_classes(table)


def held_out_guesses(
    clusters: np.ndarray, classes: np.ndarray, *, many_to_one: bool, seed: int
) -> np.ndarray:
    """The class of each item by the map learnt on the half that it is not in, shape ``(n,)``; -1
    for noise and for clusters that stand for none there.

    Args:
        clusters: number of each item, shape ``(n,)``, noise -1; the items sorted by id, so that
            the halves do not depend on their order.
        classes: number of each item, shape ``(n,)``.
        seed: of the halves.
    """
    n_clusters, n_classes = int(clusters.max(initial=-1)) + 1, int(classes.max(initial=-1)) + 1
    half = _halves(classes, seed)
    guesses = np.full(len(classes), NO_CLASS)
    for tried in (0, 1):
        learnt = half != tried
        table = contingency(clusters[learnt], classes[learnt], n_clusters, n_classes)
        meaning = class_of_clusters(table, many_to_one=many_to_one)
        rows = np.flatnonzero(~learnt & (clusters != NOISE))
        guesses[rows] = meaning[clusters[rows]]
    return guesses


def class_figures(guesses: np.ndarray, classes: np.ndarray, names: list[str]) -> list[ClassFigures]:
    """Precision, recall and F1 of each class, in the order of ``names``.

    Args:
        guesses: class number that each item was taken for, shape ``(n,)``, -1: none.
        classes: its class number, shape ``(n,)``.
    """
    n = len(names)
    right = np.bincount(classes[guesses == classes], minlength=n)
    taken = np.bincount(guesses[guesses != NO_CLASS], minlength=n)
    support = np.bincount(classes, minlength=n)
    return [
        ClassFigures(name, _share(r, t), _share(r, s), _share(2 * r, t + s), s)
        for name, r, t, s in zip(
            names, right.tolist(), taken.tolist(), support.tolist(), strict=True
        )
    ]


def _share(count: int, of: int) -> float:
    return count / of if of else 0.0


def _halves(classes: np.ndarray, seed: int) -> np.ndarray:
    """0 or 1 for each item; every class is halved, give or take one."""
    shuffled = np.random.default_rng(seed).permutation(len(classes))
    by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
    half = np.empty(len(classes), np.int64)
    half[by_class] = np.arange(len(classes)) % 2
    return half

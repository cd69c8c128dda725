"""Did it help? Figures of what was learnt, beside those of raw pixels and the starting weights.

Without labels and with; labels are used for scoring only.
"""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.classes import ClassFigures
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.quality import agreement
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.core.progress import Progress, silent
from uvl_plugin.training.monitor import consistency

_MOST_FITTED = 20_000  # training items that clusters and neighbours are taken from
_MOST_PROBED = 5_000  # training items that the linear probe learns from
_MOST_COMPARED = 2_000  # validation items that the silhouette compares, all with all
_SEEDS = 3
_NEIGHBOURS = 20
_PROBE_STEPS = 1_000

FIGURES = {  # what a person reads
    "consistency": "finds itself under augmentation",
    "silhouette": "silhouette of clusters",
    "stability": "agreement between seeds (ARI)",
    "accuracy": "k-means, accuracy",
    "nmi": "k-means, NMI",
    "ari": "k-means, ARI",
    "knn": f"{_NEIGHBOURS} nearest neighbours, accuracy",
    "probe": "linear probe, accuracy",
    "test_accuracy": "k-means on the test part, accuracy",
}


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one space is worth; None where a part is empty or there are no labels.

    All but the test figures are of the validation part; clusters are fitted on the training
    part.

    Attributes:
        space: ``"pixels"``, ``"start"`` or ``"learned"``.
        items, labelled: how many each part has, and how many of these have a label.
        consistency: see :func:`uvl_plugin.training.monitor.consistency`.
        silhouette: of the clusters, -1 to 1, by cosine (P. Rousseeuw, J. Comput. Appl. Math. 20
            (1987), page 56).
        stability: mean adjusted Rand index between the clusters of three seeds.
        accuracy, nmi, ari: agreement of as many clusters as there are classes with the labels,
            see :class:`uvl_plugin.clustering.quality.Agreement`; the accuracy is also the fit of
            the map from clusters to classes.
        knn: accuracy of the commonest class of the 20 nearest training items, by cosine.
        probe: accuracy of logistic regression on the standardised training vectors.
        test_accuracy: accuracy on the test part of that map, which was fitted on the
            validation part.
        classes: the same by class, sorted by name.
        notes: what to know about these figures.
    """

    space: str
    items: dict[str, int]
    labelled: dict[str, int]
    consistency: float | None = None
    silhouette: float | None = None
    stability: float | None = None
    accuracy: float | None = None
    nmi: float | None = None
    ari: float | None = None
    knn: float | None = None
    probe: float | None = None
    test_accuracy: float | None = None
    classes: tuple[ClassFigures, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Every figure as JSON types."""
        return asdict(self)


def measure(
    spaces: Mapping[str, Mapping[str, Embeddings]],
    *,
    labels: Mapping[str, str] | None = None,
    views: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    n_clusters: int = 10,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Figures]:
    """Measures each space.

    Args:
        spaces: by name, the embeddings of each part ("train", "validation", "test"); a part may
            be missing or empty. Pixels should be those of small copies: components are computed
            from the covariance of all their numbers.
        labels: class by id; items without one are left out of the figures that need it.
        views: by name of the space, vectors of two views of the validation images, ``(n, dim)``.
        n_clusters: for the figures without labels.
        seed: of samples and of k-means.
    """
    found = []
    for done, (space, parts) in enumerate(spaces.items()):
        progress(done / len(spaces), f"measuring {space}")
        pair = (views or {}).get(space)
        found.append(_figures(space, parts, labels or {}, pair, n_clusters, seed))
    progress(1.0, "measured")
    return found


def table(found: list[Figures]) -> str:
    """The figures side by side, one column a space, as text."""
    rows = [
        (text, [getattr(figures, name) for figures in found])
        for name, text in FIGURES.items()
        if any(getattr(figures, name) is not None for figures in found)
    ]
    width = max((len(text) for text, _ in rows), default=0)
    header = " " * width + "".join(f"{figures.space:>10}" for figures in found)
    return "\n".join(
        [header, *(f"{text:<{width}}" + "".join(map(_cell, values)) for text, values in rows)]
    )


def class_table(figures: Figures) -> str:
    """Precision, recall and F1 of each class on the test part, as text."""
    width = max([len("class"), *(len(one.name) for one in figures.classes)])
    lines = [f"{'class':<{width}} precision    recall        f1   support"]
    for one in figures.classes:
        values = "".join(map(_cell, (one.precision, one.recall, one.f1)))
        lines.append(f"{one.name:<{width}}{values}{one.support:>10}")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return f"{'-' if value is None else f'{value:.3f}':>10}"


def _figures(
    space: str,
    parts: Mapping[str, Embeddings],
    labels: Mapping[str, str],
    views: tuple[np.ndarray, np.ndarray] | None,
    n_clusters: int,
    seed: int,
) -> Figures:
    known = {name: _Known.of(part, labels) for name, part in parts.items()}
    train, validation = parts.get("train"), parts.get("validation")
    found: dict[str, Any] = {}
    if views is not None and len(views[0]):
        found["consistency"] = consistency(*views)
    if train is not None and validation is not None and len(train) and len(validation):
        train = _sample(train, _MOST_FITTED, seed)
        found |= _without_labels(train, validation, n_clusters, seed)
        if len(known["validation"].classes):
            found |= _with_labels(train, known, seed)
    return Figures(
        space=space,
        items={name: len(part) for name, part in parts.items()},
        labelled={name: len(part.classes) for name, part in known.items()},
        **found,
    )


def _without_labels(
    train: Embeddings, validation: Embeddings, n_clusters: int, seed: int
) -> dict[str, float | None]:
    from sklearn.metrics import adjusted_rand_score, silhouette_score

    seeds = [(seed + more) % 2**31 for more in range(_SEEDS)]
    models = [_fitted(train, n_clusters, one) for one in seeds]
    clusters = [model.assign(validation.vectors)[0] for model in models]
    pairs = [adjusted_rand_score(*pair) for pair in combinations(clusters, 2)]
    rows = np.random.default_rng(seed).permutation(len(validation))[:_MOST_COMPARED]
    compared = clusters[0][rows]
    silhouette = None
    if 2 <= len(np.unique(compared)) < len(compared):  # else it is not defined
        prepared = models[0].preparation(validation.vectors[rows])
        silhouette = float(silhouette_score(prepared, compared, metric="cosine"))
    return {"silhouette": silhouette, "stability": float(np.mean(pairs))}


@dataclass(frozen=True)
class _Known:
    """Items that have a label: vectors ``(n, dim)`` and classes ``(n,)``."""

    vectors: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, embeddings: Embeddings, labels: Mapping[str, str]) -> "_Known":
        rows = [row for row, item in enumerate(embeddings.ids) if labels.get(item) is not None]
        classes = [labels[item] for item in embeddings.ids[rows]]
        return cls(embeddings.vectors[rows], np.array(classes, dtype=str))


def _with_labels(train: Embeddings, known: dict[str, _Known], seed: int) -> dict[str, Any]:
    names = np.unique(np.concatenate([part.classes for part in known.values()]))
    validation = known["validation"]
    model = _fitted(train, len(names), seed)
    clusters = model.assign(validation.vectors)[0]
    agreed = agreement(clusters, validation.classes, np.zeros(len(clusters), bool))
    found: dict[str, Any] = {"accuracy": agreed.accuracy, "nmi": agreed.nmi, "ari": agreed.ari}
    if len(known["train"].classes):
        found |= _taught(known["train"], validation, seed)
    if "test" in known and len(known["test"].classes):
        meaning = _meaning(clusters, validation.classes)
        found |= _tested(model, meaning, known["test"])
    return found


def _taught(train: _Known, validation: _Known, seed: int) -> dict[str, Any]:
    """What the labels of the training part say about the validation part."""
    from sklearn.neighbors import KNeighborsClassifier

    rows = np.random.default_rng(seed).permutation(len(train.classes))
    near = rows[:_MOST_FITTED]
    neighbours = KNeighborsClassifier(min(_NEIGHBOURS, len(near)), metric="cosine")
    neighbours.fit(train.vectors[near], train.classes[near])
    found = {"knn": _share_right(neighbours.predict(validation.vectors), validation.classes)}
    few = rows[:_MOST_PROBED]
    if len(np.unique(train.classes[few])) > 1:
        found |= _probed(_Known(train.vectors[few], train.classes[few]), validation)
    return found


def _probed(train: _Known, validation: _Known) -> dict[str, Any]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train.vectors)
    probe = LogisticRegression(max_iter=_PROBE_STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is said in the notes instead
        probe.fit(scaler.transform(train.vectors), train.classes)
    guesses = probe.predict(scaler.transform(validation.vectors))
    found: dict[str, Any] = {"probe": _share_right(guesses, validation.classes)}
    if probe.n_iter_.max() >= _PROBE_STEPS:
        found["notes"] = (f"The linear probe was stopped after {_PROBE_STEPS} steps.",)
    return found


def _meaning(clusters: np.ndarray, classes: np.ndarray) -> dict[int, str]:
    """The class that each cluster stands for, one to one with the most items right (H. Kuhn,
    Naval Res. Logist. Q. 2, 1955, page 83); clusters without any such item stand for none."""
    from scipy.optimize import linear_sum_assignment

    numbers, row = np.unique(clusters, return_inverse=True)
    names, column = np.unique(classes, return_inverse=True)
    counts = np.zeros((len(numbers), len(names)), dtype=np.int64)
    np.add.at(counts, (row, column), 1)
    pairs = zip(*linear_sum_assignment(counts, maximize=True), strict=True)
    return {int(numbers[i]): str(names[j]) for i, j in pairs if counts[i, j]}


def _tested(model: ClusterModel, meaning: dict[int, str], test: _Known) -> dict[str, Any]:
    from sklearn.metrics import precision_recall_fscore_support

    clusters = model.assign(test.vectors)[0]
    taken = np.array([meaning.get(cluster, "") for cluster in clusters.tolist()], dtype=str)
    names = np.unique(test.classes)
    figures = precision_recall_fscore_support(test.classes, taken, labels=names, zero_division=0.0)
    by_class = zip(names, *figures, strict=True)
    return {
        "test_accuracy": _share_right(taken, test.classes),
        "classes": tuple(
            ClassFigures(str(name), float(precision), float(recall), float(f1), int(support))
            for name, precision, recall, f1, support in by_class
        ),
    }


def _share_right(guesses: np.ndarray, classes: np.ndarray) -> float:
    return float(np.mean(guesses == classes))


def _sample(embeddings: Embeddings, most: int, seed: int) -> Embeddings:
    if len(embeddings) <= most:
        return embeddings
    rows = np.random.default_rng(seed).choice(len(embeddings), most, replace=False)
    return Embeddings(embeddings.ids[rows], embeddings.vectors[rows], embeddings.space)


def _fitted(train: Embeddings, n_clusters: int, seed: int) -> ClusterModel:
    return cluster_embeddings(train, KMeans(n_clusters=n_clusters, seed=seed))[1]

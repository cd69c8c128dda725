"""How well clusters agree with labels that the clustering never saw."""

from dataclasses import dataclass, fields

import numpy as np

from uvl_plugin.core.errors import DataError


@dataclass(frozen=True)
class Agreement:
    """Agreement of clusters with labels, each from 0 (or about 0) to 1.

    Attributes:
        accuracy: share of items whose cluster stands for their label when each cluster
            stands for at most one label, chosen best (Hungarian method). Noise stands for none.
        nmi: normalised mutual information, arithmetic mean; noise counts as one cluster
            here and below.
        ami: mutual information adjusted for chance.
        ari: Rand index adjusted for chance.
        purity: share of items that have the commonest label of their cluster.
        v_measure: harmonic mean of homogeneity and completeness.
        n_clusters: clusters found, noise not counted.
        n_classes: different labels.
        n_items: items that have both.
        n_noise: how many of these are noise.
    """

    accuracy: float
    nmi: float
    ami: float
    ari: float
    purity: float
    v_measure: float
    n_clusters: int
    n_classes: int
    n_items: int
    n_noise: int

    def __str__(self) -> str:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return "\n".join(
            f"{name:<11}{value:.3f}" if isinstance(value, float) else f"{name:<11}{value}"
            for name, value in values.items()
        )


def agreement(clusters: np.ndarray, classes: np.ndarray, noise: np.ndarray) -> Agreement:
    """Compares clusters with known classes.

    Args:
        clusters: name or number of each item's cluster, shape ``(n,)``.
        classes: its label, shape ``(n,)``.
        noise: which items are noise, shape ``(n,)``, bool.

    Raises:
        DataError: if there are no items.
    """
    from sklearn import metrics

    if len(clusters) == 0:
        raise DataError(
            "No sample has both a cluster and a label, so there is nothing to compare; take "
            "samples where both fields are filled."
        )
    table = _counts(clusters[~noise], classes[~noise])
    with_noise = _counts(clusters, classes)
    n = len(clusters)
    return Agreement(
        accuracy=_matched(table) / n,
        nmi=float(metrics.normalized_mutual_info_score(classes, clusters)),
        ami=float(metrics.adjusted_mutual_info_score(classes, clusters)),
        ari=float(metrics.adjusted_rand_score(classes, clusters)),
        purity=float(with_noise.max(axis=1).sum() / n),
        v_measure=float(metrics.v_measure_score(classes, clusters)),
        n_clusters=table.shape[0],
        n_classes=with_noise.shape[1],
        n_items=n,
        n_noise=int(noise.sum()),
    )


def _counts(clusters: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Items by cluster and class, shape ``(n_clusters, n_classes)``."""
    rows, row = np.unique(clusters, return_inverse=True)
    columns, column = np.unique(classes, return_inverse=True)
    table = np.zeros((len(rows), len(columns)), dtype=np.int64)
    np.add.at(table, (row, column), 1)
    return table


def _matched(table: np.ndarray) -> int:
    """Most items on a one-to-one match (H. Kuhn, Naval Res. Logist. Q. 2, 1955, page 83)."""
    from scipy.optimize import linear_sum_assignment

    return int(table[linear_sum_assignment(table, maximize=True)].sum())

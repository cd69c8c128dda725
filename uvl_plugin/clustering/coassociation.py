"""Co-association of items over several clusterings, without a matrix of all pairs.

Source: A. Fred, A. Jain, "Combining multiple clusterings using evidence accumulation", IEEE
TPAMI 27 (2005), page 835.
"""

from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.core.embeddings import NOISE

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_FITTED = 10_000  # different rows that k-means learns from: those of the most items
_STARTS = 20


def memberships(runs: np.ndarray) -> "csr_array":
    """Rows whose products are the co-association.

    The product of rows ``i`` and ``j`` is the share of the runs in which both items are in the
    same cluster; noise is with nothing, not even with itself.

    Args:
        runs: cluster of each item in each run, shape ``(n, n_runs)``, any whole numbers, noise
            below 0.

    Returns:
        Shape ``(n, clusters of all runs)``, float64.
    """
    from scipy.sparse import csr_array

    n, n_runs = runs.shape
    columns = np.zeros((n, n_runs), np.int32)
    width = 0
    for run, labels in enumerate(runs.T):
        values, columns[:, run] = np.unique(labels, return_inverse=True)
        columns[:, run] += width
        width += len(values)
    inside = runs >= 0
    starts = np.append(0, np.cumsum(inside.sum(axis=1))).astype(np.int32)
    entries = np.full(starts[-1], 1 / np.sqrt(n_runs))
    return csr_array((entries, columns[inside], starts), shape=(n, width))


def agreements(rows: "csr_array", labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean co-association of each row with the items of its group, itself among them.

    That is the product of the row and the mean row of the group, and so takes time in
    proportion to the rows, not to their pairs.

    Args:
        rows: of :func:`memberships`, shape ``(m, width)``.
        labels: group of each, from 0, shape ``(m,)``.
        counts: items of each row, shape ``(m,)``.

    Returns:
        Shape ``(m,)``, 0 to 1.
    """
    from scipy.sparse import csr_array

    weights = (counts.astype(np.float64), (labels, np.arange(len(labels))))
    sums = (csr_array(weights, shape=(labels.max() + 1, len(labels))) @ rows).toarray()
    means = sums / np.maximum(np.bincount(labels, weights=counts), 1)[:, None]
    owner = np.repeat(np.arange(len(labels)), np.diff(rows.indptr))
    products = rows.data * means[labels[owner], rows.indices]
    return np.minimum(np.bincount(owner, weights=products, minlength=len(labels)), 1.0)


def combined(runs: np.ndarray, n_clusters: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The consensus of several clusterings.

    Args:
        runs: cluster of each item in each run, shape ``(n, n_runs)``, noise below 0. An item that
            is noise in more than half of the runs is noise.
        n_clusters: how many to make; fewer where fewer differ.
        seed: of the starts of k-means.

    Returns:
        Labels, noise -1, and agreements, 0 to 1, 0 for noise: both of shape ``(n,)``.
    """
    labels, strengths = np.full(len(runs), NOISE), np.zeros(len(runs))
    kept = np.flatnonzero((runs < 0).mean(axis=1) <= 0.5)
    if len(kept) == 0:
        return labels, strengths
    distinct, inverse, counts = _distinct(runs[kept])
    rows = memberships(distinct)
    groups = _grouped(rows, counts, n_clusters, seed)
    labels[kept] = groups[inverse]
    strengths[kept] = agreements(rows, groups, counts)[inverse]
    return labels, strengths


def _distinct(runs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different rows in order of appearance, which of them each item has, and how many do.

    Clusters are numbered by their first item, so that nothing hangs on their numbers.
    """
    numbered = np.stack([_by_appearance(run) for run in runs.T], axis=1)
    distinct, first, inverse, counts = np.unique(
        numbered, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first)
    return distinct[order], np.argsort(order)[inverse.ravel()], counts[order]


def _by_appearance(labels: np.ndarray) -> np.ndarray:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.where(labels < 0, NOISE, np.argsort(np.argsort(first))[inverse])


def _grouped(rows: "csr_array", counts: np.ndarray, n_clusters: int, seed: int) -> np.ndarray:
    """Group of each row, ``(m,)``, by k-means in which a row weighs as much as it has items."""
    from sklearn.cluster import KMeans as Algorithm

    order = np.random.default_rng(seed).permutation(len(counts))
    chosen = np.sort(order[np.argsort(-counts[order], kind="stable")][:_FITTED])
    n_clusters = min(n_clusters, len(chosen))
    algorithm = Algorithm(n_clusters, n_init=_STARTS, random_state=seed)
    fitted = algorithm.fit(rows[chosen], sample_weight=counts[chosen].astype(np.float64))
    return fitted.predict(rows).astype(np.int64)

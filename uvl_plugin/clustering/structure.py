"""Structure that is found in a sample of bounded size, and then given to all items."""

import numpy as np

from uvl_plugin.core.embeddings import NOISE
from uvl_plugin.core.progress import Progress, silent

VOTERS = 5  # nearest items of the sample that decide about another
_ROWS = 4096
_TYPICAL, _FAR = 0.99, 2.0  # farther from its neighbours than that many times the typical: alone


def sampled(n: int, most: int, seed: int) -> np.ndarray:
    """At most ``most`` of ``n`` rows, rising, drawn without replacement."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def spread_out(
    vectors: np.ndarray, rows: np.ndarray, labels: np.ndarray, progress: Progress = silent
) -> np.ndarray:
    """Gives items without a cluster that of most of their nearest neighbours that have one.

    An item stays noise if it is alone: farther from those neighbours than twice the distance
    that 99 % of the clustered items keep from theirs.

    Args:
        vectors: of all items, shape ``(n, dim)``, float32.
        rows: of the sample, shape ``(m,)``.
        labels: of the sample, shape ``(m,)``, int64, noise -1.

    Returns:
        Labels of all items, shape ``(n,)``, int64.
    """
    full = np.full(len(vectors), NOISE, np.int64)
    full[rows] = labels
    known, unknown = np.flatnonzero(full != NOISE), np.flatnonzero(full == NOISE)
    if len(known) == 0 or len(unknown) == 0:
        return full
    voters = Voters(vectors[known])
    reach = _FAR * np.quantile(voters.own_distances(), _TYPICAL)
    for start in range(0, len(unknown), _ROWS):
        progress(start / len(unknown), f"joining items to clusters, {start:,} of {len(unknown):,}")
        some = unknown[start : start + _ROWS]
        found, apart = voters.nearest(vectors[some])
        full[some] = np.where(apart.mean(axis=1) <= reach, _commonest(full[known[found]]), NOISE)
    return full


class Voters:
    """Items of the sample, among which neighbours are sought, exactly.

    Args:
        vectors: shape ``(m, dim)``, float32, ``m`` at least 1.
    """

    def __init__(self, vectors: np.ndarray):
        import faiss

        self._vectors = np.ascontiguousarray(vectors)
        self._index = faiss.IndexFlatL2(vectors.shape[1])
        self._index.add(self._vectors)

    def nearest(self, vectors: np.ndarray, k: int = VOTERS) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers of the ``k`` nearest, and their distances, nearest first: both
        ``(n, at most k)``."""
        block = np.ascontiguousarray(vectors)
        squares, found = self._index.search(block, min(k, len(self._vectors)))
        return found, np.sqrt(np.maximum(squares, 0.0))

    def own_distances(self) -> np.ndarray:
        """Mean distance of each of these items to its nearest others, shape ``(m,)``."""
        apart = np.zeros(len(self._vectors), np.float32)
        for start in range(0, len(apart), _ROWS):
            _, found = self.nearest(self._vectors[start : start + _ROWS], VOTERS + 1)
            apart[start : start + _ROWS] = found[:, 1:].sum(axis=1) / VOTERS
        return apart


def _commonest(clusters: np.ndarray) -> np.ndarray:
    """The commonest in each row of ``(n, k)``; of equals the one that comes first."""
    votes = (clusters[:, :, None] == clusters[:, None, :]).sum(axis=2)
    return clusters[np.arange(len(clusters)), votes.argmax(axis=1)]

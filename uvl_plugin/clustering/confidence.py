"""How firmly items belong to their clusters, so that the wrong ones stand out.

Silhouettes (P. Rousseeuw, J. Comput. Appl. Math. 20, 1987, page 53) in two views: by the cosines
of the vectors, which finds items between two clusters, and by the distances in the unfolded
vectors, which finds small groups of another kind inside a cluster.
"""

import numpy as np

from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.embeddings import NOISE

_ROUNDING = 1e-5  # of the size of the numbers
_CELLS = 2**22  # distances that are held at a time


def confidence(
    space: Space, labels: np.ndarray, unfolded_silhouettes: np.ndarray | None = None
) -> np.ndarray:
    """Mean of the two silhouettes, each brought to 0 to 1; noise has 0.

    Cosines of many dimensions differ little, so all of -1 to 1 counts; unfolded groups lie far
    apart, so what is nearer to another group than to its own has 0.

    Args:
        space: the prepared vectors of ``n`` items.
        labels: numbers from 0 without gaps, shape ``(n,)``, noise -1.
        unfolded_silhouettes: of the second view, shape ``(n,)``; None where there is none.

    Returns:
        Shape ``(n,)``, float32, 0 to 1; 1 where there is but one cluster.
    """
    if labels.max(initial=NOISE) < 1:
        return np.where(labels == NOISE, 0.0, 1.0).astype(np.float32)
    found = (1.0 + cosine_silhouettes(space.vectors, labels)) / 2
    if unfolded_silhouettes is not None:
        found = (found + np.maximum(unfolded_silhouettes, 0.0)) / 2
    return np.where(labels == NOISE, 0.0, found).astype(np.float32)


def cosine_silhouettes(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Silhouettes by cosine distance, seen from the middle of the data, shape ``(n,)``; noise 0.

    The mean cosine to a cluster is that to its mean, so time grows with ``n`` only.
    """
    clustered = labels != NOISE
    sizes = np.bincount(labels[clustered])
    if len(sizes) < 2:
        return np.zeros(len(labels), np.float32)
    directions = _directions(vectors, vectors[clustered].mean(axis=0, dtype=np.float64))
    sums = np.zeros((len(sizes), vectors.shape[1]))
    np.add.at(sums, labels[clustered], directions[clustered])
    towards = (sums / sizes[:, None]).T.astype(np.float32)
    found = np.zeros(len(labels), np.float32)
    for rows in _blocks(len(labels), len(sizes)):
        found[rows] = _silhouettes(1.0 - directions[rows] @ towards, labels[rows], sizes)
    return np.where(clustered, found, 0.0)


def euclidean_silhouettes(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Silhouettes by Euclidean distance, shape ``(n,)``; noise 0. Time grows with ``n`` squared."""
    from scipy.spatial.distance import cdist

    clustered = labels != NOISE
    sizes = np.bincount(labels[clustered])
    if len(sizes) < 2:
        return np.zeros(len(labels), np.float32)
    members = np.eye(len(sizes), dtype=np.float32)[labels[clustered]] / sizes
    others = vectors[clustered]
    found = np.zeros(len(labels), np.float32)
    for rows in _blocks(len(labels), len(others)):
        apart = cdist(vectors[rows], others).astype(np.float32) @ members
        found[rows] = _silhouettes(apart, labels[rows], sizes)
    return np.where(clustered, found, 0.0)


def _directions(vectors: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Of length 1; 0 for vectors that differ from the middle by rounding only."""
    apart = vectors - middle.astype(np.float32)
    lengths = np.linalg.norm(apart, axis=1)
    near = lengths <= _ROUNDING * max(float(np.abs(middle).max()), float(lengths.max()))
    return np.where(near[:, None], np.float32(0), unit_length(apart))


def _silhouettes(apart: np.ndarray, labels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """From mean distances to all clusters, shape ``(rows, k)``; an item is 0 away from itself."""
    apart = np.maximum(apart, 0.0)  # rounding
    rows = np.arange(len(labels))
    size = sizes[labels]
    own = apart[rows, labels] * size / np.maximum(size - 1, 1)
    others = apart.copy()
    others[rows, labels] = np.inf
    other = others.min(axis=1)
    larger = np.maximum(np.maximum(own, other), np.finfo(np.float32).tiny)
    return np.where(size > 1, np.clip((other - own) / larger, -1.0, 1.0), 0.0)


def _blocks(n: int, width: int) -> list[slice]:
    height = max(1, _CELLS // width)
    return [slice(start, min(start + height, n)) for start in range(0, n, height)]

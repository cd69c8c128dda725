"""How widely vectors are spread, and whether they are all the same but for rounding."""

import numpy as np

SAME = 1e-5  # share of the spread below which vectors are the same but for rounding


def spread(vectors: np.ndarray) -> float:
    """Root mean square distance of ``(n, dim)`` vectors from their mean."""
    return float(np.sqrt(vectors.var(axis=0, dtype=np.float64).sum()))


def alike(vectors: np.ndarray) -> bool:
    """Whether all vectors are the same: their spread is within the rounding of their length."""
    length = float(np.linalg.norm(vectors.mean(axis=0, dtype=np.float64)))
    return spread(vectors) <= SAME * length or not vectors.any()

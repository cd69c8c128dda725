"""How far apart two items are, for everything that looks at neighbours without clusters."""

import numpy as np

from uvl_plugin.clustering.prepare import Preparation
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.errors import SettingsError

METRICS = ("cosine", "euclidean")
_CELLS = 2**21  # numbers that are subtracted at a time


def space_of(vectors: np.ndarray, metric: str) -> Space:
    """The vectors so that Euclidean distances put them in the order of the metric: for cosine
    of length 1, see :func:`from_squares`.

    A zero vector has no direction: by cosine it is at 0 from other zero vectors and at 0.5 from
    everything else.

    Args:
        vectors: shape ``(n, dim)``, finite; may be a ``np.memmap``.
        metric: ``"cosine"`` or ``"euclidean"``.

    Raises:
        SettingsError: if the metric is another one.
    """
    check_metric(metric)
    if metric == "cosine":
        return Space(Preparation(normalize=True)(vectors))
    return Space(np.ascontiguousarray(vectors, np.float32))


def check_metric(metric: str) -> None:
    """Refuses what is no distance.

    Raises:
        SettingsError: if the metric is neither ``"cosine"`` nor ``"euclidean"``.
    """
    if metric == "dot":
        raise SettingsError(
            "The dot product is no distance (a longer vector can be nearer to an item than the "
            "item itself), so nothing is a duplicate by it; use metric='cosine' or 'euclidean'.",
            "metric",
        )
    if metric not in METRICS:
        raise SettingsError(f"metric must be cosine or euclidean, got {metric!r}.", "metric")


def from_squares(squares: np.ndarray, metric: str) -> np.ndarray:
    """Squared Euclidean distances in a :func:`space_of` to distances of its metric, float32:
    for cosine 1 - cos, 0 to 2, which is half the square where lengths are 1."""
    distances = squares / 2.0 if metric == "cosine" else np.sqrt(squares)
    return distances.astype(np.float32)


def to_square(distance: float, metric: str) -> float:
    """The reverse of :func:`from_squares`, of one distance."""
    return 2.0 * distance if metric == "cosine" else distance * distance


def squares_between(vectors: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances of pairs of rows, without the rounding of products: exactly 0
    for equal vectors.

    Args:
        vectors: shape ``(n, dim)``, float32.
        left, right: rows, both of shape ``(m,)``.

    Returns:
        Shape ``(m,)``, float64.
    """
    found = np.empty(len(left))
    step = max(1, _CELLS // max(1, vectors.shape[1]))
    for start in range(0, len(left), step):
        rows = slice(start, start + step)
        apart = vectors[left[rows]] - vectors[right[rows]]
        found[rows] = np.einsum("ij,ij->i", apart, apart, dtype=np.float64)
    return found

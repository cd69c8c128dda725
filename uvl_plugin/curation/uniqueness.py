"""How unlike all others each item is."""

import numpy as np

from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.progress import Progress, silent
from uvl_plugin.curation.metric import check_metric, space_of, squares_between

_NEIGHBORS = 3


def uniqueness(
    vectors: np.ndarray,
    *,
    metric: str = "cosine",
    k: int = _NEIGHBORS,
    progress: Progress = silent,
) -> np.ndarray:
    """A figure for each item: 0 it has an equal, 0.5 as far from others as the middle one,
    towards 1 the lonelier.

    With ``m`` the geometric mean of the Euclidean distances to the ``k`` nearest others (of
    vectors of length 1 where the metric is cosine), it is ``m / (m + M)``, where ``M`` is the
    median of all ``m`` above 0. So an item with one copy has 0, however odd the two are; a
    greater distance never gives a smaller figure; and as the scale is a median, no few extreme
    items decide it. To tell items that no cluster would take, see
    :func:`~uvl_plugin.curation.outlying.outlying`, which looks at the density around.

    Args:
        vectors: shape ``(n, dim)``, finite, ``n`` at least 0.
        metric: ``"cosine"`` or ``"euclidean"``.
        k: neighbours that count, at least 1; all others where there are fewer.

    Returns:
        Shape ``(n,)``, float32, 0 to 1; 1 for a single item.

    Raises:
        SettingsError: if ``k`` or the metric cannot be.
    """
    check_metric(metric)
    if k < 1:
        raise SettingsError(f"k must be at least 1, got {k}.", "k")
    n = len(vectors)
    if n < 2:
        progress(1.0, "neighbours")
        return np.ones(n, np.float32)
    space = space_of(vectors, metric)
    near = space.neighbors(k, progress).indices
    rows = np.repeat(np.arange(n), near.shape[1])
    squares = squares_between(space.vectors, rows, near.reshape(-1)).reshape(near.shape)
    with np.errstate(divide="ignore"):  # of equal items the logarithm is minus infinity
        means = np.exp(0.5 * np.log(squares).mean(axis=1))
    if not means.any():
        return np.zeros(n, np.float32)
    return (means / (means + np.median(means[means > 0]))).astype(np.float32)

"""Near-duplicates whose vectors are near and whose pixels agree."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.neighbors import nearest_neighbors, neighbors_of
from uvl_plugin.core.progress import Progress, silent
from uvl_plugin.curation.duplicates import Duplicates, mean_square
from uvl_plugin.curation.metric import from_squares, space_of, squares_between, to_square

_NEAREST = 8  # neighbours of each item that may be its copies
_TENTH = 10
_SAMPLE = 1000  # items that are looked at for the reach
_SHARE = 0.5  # of the mean squared distance of all pairs

Alike = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From two arrays of rows, both of shape ``(m,)``, to whether their items agree, ``(m,)``."""


@dataclass(frozen=True)
class Candidates:
    """Pairs of items that may be near-duplicates.

    Attributes:
        left, right: rows, both of shape ``(m,)``, int64; ``left < right``; no pair occurs twice.
        reach: the greatest distance that was looked at, in the metric.
    """

    left: np.ndarray
    right: np.ndarray
    reach: float

    @property
    def rows(self) -> np.ndarray:
        """All items in a pair, each once, increasing."""
        return np.union1d(self.left, self.right)


def candidates(
    vectors: np.ndarray,
    metric: str = "cosine",
    *,
    reach: float | None = None,
    progress: Progress = silent,
) -> Candidates:
    """Each item and those of its eight nearest neighbours that are within reach.

    Args:
        vectors: shape ``(n, dim)``, finite, ``n`` at least 0.
        metric: ``"cosine"`` or ``"euclidean"``.
        reach: in the metric, at least 0; None: the usual distance to the tenth neighbour, or, in
            squares, half of the mean over all pairs if that is more. With MobileNetV2, a small
            ViT and a small CLIP, photographs of half the size are within it, and the nearest
            neighbour of what they were made from.
    """
    space = space_of(vectors, metric)
    k = min(_NEAREST, len(space) - 1)
    if k < 1:
        return Candidates(np.zeros(0, np.int64), np.zeros(0, np.int64), reach or 0.0)
    square = _usual_square(space.vectors) if reach is None else to_square(reach, metric)
    near = nearest_neighbors(space.vectors, k, progress).indices
    own = np.repeat(np.arange(len(space)), k)
    left, right = np.unique(np.sort(np.stack([own, near.ravel()], axis=1), axis=1), axis=0).T
    inside = squares_between(space.vectors, left, right) <= square
    return Candidates(left[inside], right[inside], float(from_squares(np.array(square), metric)))


def _usual_square(vectors: np.ndarray) -> float:
    n = len(vectors)
    rows = np.linspace(0, n - 1, min(n, _SAMPLE)).astype(np.int64)
    tenth = neighbors_of(vectors, rows, min(_TENTH, n - 1)).distances[:, -1]
    return max(float(np.median(tenth)) ** 2, _SHARE * mean_square(vectors))


def confirmed(
    vectors: np.ndarray, found: Candidates, alike: Alike, metric: str = "cosine"
) -> Duplicates:
    """Goes through the rows, keeps each that is still there, and drops all later ones that agree
    with it and hang together with it by pairs that agree.

    Args:
        vectors: shape ``(n, dim)``, of all items.
        found: the candidates that agree.
        alike: is asked about further pairs: an item and the neighbours of its duplicates.
        metric: of the distances.
    """
    n = len(vectors)
    links = _links(found)
    of = np.arange(n)
    there = np.ones(n, bool)
    for row in sorted(links):
        if there[row]:
            there[row] = False
            dropped = _around(row, links, there, alike)
            of[dropped], there[dropped] = row, False
    kept = of == np.arange(n)
    own = np.flatnonzero(~kept)
    distances = np.zeros(n, np.float32)
    squares = squares_between(space_of(vectors, metric).vectors, own, of[own])
    distances[own] = from_squares(squares, metric)
    return Duplicates(kept, of, distances, found.reach)


def _links(found: Candidates) -> dict[int, list[int]]:
    """The other items of its pairs, by the row of each item in one."""
    links: dict[int, list[int]] = {}
    for left, right in zip(found.left.tolist(), found.right.tolist(), strict=True):
        links.setdefault(left, []).append(right)
        links.setdefault(right, []).append(left)
    return links


def _around(row: int, links: dict[int, list[int]], there: np.ndarray, alike: Alike) -> list[int]:
    """What agrees with an item: its own pairs, then those of what was found, and so on."""
    dropped: list[int] = []
    asked = {row}
    edge = [other for other in links[row] if there[other]]
    while edge:
        asked.update(edge)
        same = alike(np.full(len(edge), row), np.array(edge))
        found = [other for other, agrees in zip(edge, same, strict=True) if agrees]
        dropped += found
        beyond = {key for other in found for key in links[other] if there[key]}
        edge = sorted(beyond - asked)
    return dropped

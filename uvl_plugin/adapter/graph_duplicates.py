"""FiftyOne's duplicates and unique items, on the neighbour graph and so at any size."""

from abc import abstractmethod

import numpy as np
from fiftyone.brain.similarity import DuplicatesMixin

from uvl_plugin.clustering.space import Space
from uvl_plugin.core.errors import DataError
from uvl_plugin.curation.duplicates import Duplicates, duplicates_in, usual_threshold_in
from uvl_plugin.curation.farthest import farthest_first
from uvl_plugin.curation.metric import from_squares, space_of

_LEAST = 1e-6  # where a search for a threshold begins
_NARROW = 1e-4  # of a threshold that is too high: then it is settled


class GraphDuplicates(DuplicatesMixin):
    """Replaces the parts of FiftyOne's mixin that ask the database for every id, or compare every
    item with every other one."""

    _neighbors_map: dict[str, list[tuple[str, float]]] | None

    @abstractmethod
    def _matrix(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids ``(n,)`` and vectors ``(n, dim)`` of the current items."""

    @property
    @abstractmethod
    def _metric(self) -> str:
        """Of the distances."""

    def find_duplicates(self, thresh: float | None = None, fraction: float | None = None) -> None:
        """See FiftyOne's ``DuplicatesMixin``. Of several near-duplicates the first one is kept;
        works on the neighbour graph, at any size."""
        if thresh is None and fraction is None:
            raise DataError("Either thresh or fraction is needed.", "thresh")
        ids, matrix = self._matrix()
        if len(ids) < 2:
            self._thresh, self._neighbors_map = thresh, {}
            self._keep(ids, np.ones(len(ids), bool))
            return
        space = space_of(matrix, self._metric)
        if fraction is not None:
            found = _with_share(space, fraction, self._metric)
        elif thresh is not None:
            found = duplicates_in(space, thresh, self._metric)
        self._thresh = float(found.threshold)
        self._keep(ids, found.kept)
        near: dict[str, list[tuple[str, float]]] = {}
        for row in np.flatnonzero(~found.kept):
            pairs = near.setdefault(str(ids[found.of[row]]), [])
            pairs.append((str(ids[row]), float(found.distances[row])))
        self._neighbors_map = {key: sorted(near[key], key=lambda pair: pair[1]) for key in near}

    def find_unique(self, count: int) -> None:
        """See FiftyOne's ``DuplicatesMixin``: the ``count`` items that are least like each other,
        by farthest-first traversal; the threshold is the distance of the nearest two."""
        ids, matrix = self._matrix()
        kept = np.zeros(len(ids), bool)
        picked, *_ = farthest_first(matrix, count, metric=self._metric)
        kept[picked] = True
        self._thresh = _least_distance(matrix[picked], self._metric)
        self._keep(ids, kept)
        self._neighbors_map = None

    def _keep(self, ids: np.ndarray, kept: np.ndarray) -> None:
        self._unique_ids, self._duplicate_ids = ids[kept].tolist(), ids[~kept].tolist()


def _with_share(space: Space, fraction: float, metric: str) -> Duplicates:
    """The near-duplicates at the threshold at which this share of all are duplicates, or at the
    next one below; comes from below, since far fewer pairs are compared there."""
    wanted = min(round(min(max(fraction, 0.0), 1.0) * len(space)), len(space) - 1)
    low = duplicates_in(space, 0.0, metric)
    if low.count >= wanted:
        return low
    high = duplicates_in(space, max(usual_threshold_in(space, metric), _LEAST), metric)
    while high.count < wanted:
        low, high = high, duplicates_in(space, 2.0 * high.threshold, metric)
    top = high
    while top.threshold - low.threshold > _NARROW * high.threshold and low.count < wanted:
        middle = duplicates_in(space, 0.5 * (low.threshold + top.threshold), metric)
        low, top = (middle, top) if middle.count <= wanted else (low, middle)
    return high if high.count == wanted else low


def _least_distance(vectors: np.ndarray, metric: str) -> float | None:
    if len(vectors) < 2:
        return None
    near = space_of(vectors, metric).neighbors(1).distances.min()
    return float(from_squares(np.array(near**2), metric))

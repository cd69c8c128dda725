"""Which shots show the same scene, within one video and across videos."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from uvl_plugin.clustering.agglomerative import Agglomerative
from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import silent
from uvl_plugin.core.settings import Settings, setting

Key = TypeVar("Key", bound=Hashable)

_FRAMES = 64  # of a segment that its vector is made of
_USUAL = 0.5  # distance of different scenes where no boundary tells
_ROWS = 512  # segments that are compared with all others at a time


@dataclass(frozen=True, kw_only=True)
class Scenes(Settings):
    """How segments are told apart; the number of scenes is found."""

    alike: float = setting(
        0.55, ge=0.0, le=2.0,
        help="Segments show one scene if they are nearer than this share of the usual distance of "
        "segments that follow each other.",
    )  # fmt: skip


@dataclass(frozen=True)
class Segment:
    """A run of frames without a boundary.

    Attributes:
        first, last: frame numbers, both included.
        scene: the same number for the same scene, in all videos; 0 has the most frames.
        exemplar: frame number of the one that stands for it, the nearest to its middle.
        strength: how much nearer it is to its scene than to the next one, 0 to 1.
    """

    first: int
    last: int
    scene: int
    exemplar: int
    strength: float


@dataclass(frozen=True)
class _Part:
    first: int
    last: int
    frames: int
    exemplar: int
    middle: np.ndarray


def scenes(
    videos: Iterable[tuple[Key, np.ndarray, np.ndarray, np.ndarray]],
    settings: Scenes,
    seed: int = 0,
) -> dict[Key, list[Segment]]:
    """Cuts videos into segments and gives those that show the same scene the same number.

    Segments cover all numbers from a video's first to its last frame. They are joined by average
    linkage of the distances of the medians of their frames, as directions. What is near enough
    depends on the vectors: on how far apart segments are that follow each other, for these mostly
    differ. The result does not depend on the order of the videos; of each only one vector a
    segment is kept.

    Args:
        videos: key, frame numbers ``(t,)``, vectors ``(t, dim)``, and what
            :func:`~uvl_plugin.curation.boundaries.boundaries` found; read once, one at a time.
        seed: of the small groups that more than 8,000 alike segments make first.

    Returns:
        The segments of each video in the order of their frames; none of a video without frames.

    Raises:
        DataError: if a start is not a frame of its video, or the first one.
    """
    parts = {key: _parts(key, *rest) for key, *rest in videos}
    order = sorted(parts, key=str)
    flat = [part for key in order for part in parts[key]]
    if not flat:
        return {key: [] for key in parts}
    middles = np.stack([part.middle for part in flat])
    follows = np.array([row > 0 for key in order for row in range(len(parts[key]))])
    raw = _joined(middles, settings.alike * _usual(middles, follows), seed)
    labels = _by_size(raw, np.array([part.frames for part in flat]))
    strengths = _strengths(middles, labels)
    made = iter(
        Segment(part.first, part.last, scene, part.exemplar, strength)
        for part, scene, strength in zip(flat, labels.tolist(), strengths.tolist(), strict=True)
    )
    found = {key: [next(made) for _ in parts[key]] for key in order}
    return {key: found[key] for key in parts}


def _parts(
    key: Hashable, numbers: np.ndarray, vectors: np.ndarray, starts: np.ndarray
) -> list[_Part]:
    if len(numbers) == 0:
        return []
    numbers = np.asarray(numbers, np.int64)
    if not np.isin(starts, numbers[1:]).all():
        raise DataError(f"Video {key!r} has boundaries at frames that it does not have.")
    edges = [0, *np.searchsorted(numbers, starts).tolist(), len(numbers)]
    firsts = numbers[edges[:-1]]
    lasts = [*(firsts[1:] - 1).tolist(), int(numbers[-1])]
    found = []
    for first, last, low, high in zip(firsts.tolist(), lasts, edges[:-1], edges[1:], strict=True):
        rows = np.linspace(low, high - 1, min(_FRAMES, high - low)).round().astype(np.int64)
        unit = unit_length(np.asarray(vectors[rows], np.float32))
        middle = unit_length(np.median(unit, axis=0)[None])[0]
        nearest = rows[(unit @ middle).argmax()]
        found.append(_Part(first, last, high - low, int(numbers[nearest]), middle))
    return found


def _usual(middles: np.ndarray, follows: np.ndarray) -> float:
    """Median cosine distance of the segments that follow another one and that one."""
    after = np.flatnonzero(follows)
    if len(after) == 0:
        return _USUAL
    return float(np.median(1.0 - np.einsum("ij,ij->i", middles[after], middles[after - 1])))


def _joined(middles: np.ndarray, most: float, seed: int) -> np.ndarray:
    """Scene of each segment, ``(m,)``, int64: average linkage, cut at the cosine distance ``most``.

    What it joins has a pair that is nearer than that, so each set that such pairs connect is
    joined by itself: exact, and without all distances at once.
    """
    labels = np.zeros(len(middles), np.int64)
    sets = _connected(middles, most)
    for number in range(int(sets.max()) + 1):
        rows = np.flatnonzero(sets == number)
        labels[rows] = labels.max() + 1
        if len(rows) > 1:
            algorithm = Agglomerative(n_clusters=1, linkage="average", seed=seed)
            hierarchy = algorithm.cluster(Space(middles[rows]), silent).hierarchy
            assert hierarchy is not None  # this algorithm has one
            tree = hierarchy.tree
            joins = int(np.sum(tree.heights <= np.sqrt(2.0 * most)))
            labels[rows] += tree.cut(tree.n_leaves - joins)[hierarchy.leaves]
    return labels


def _connected(middles: np.ndarray, most: float) -> np.ndarray:
    """Number of the set of each segment, ``(m,)``: pairs no farther apart than ``most``, and a
    little more for rounding, connect."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    m = len(middles)
    sets = np.arange(m)
    for start in range(0, m, _ROWS):
        rows, others = np.nonzero(middles[start : start + _ROWS] @ middles.T >= 1.0 - most - 1e-5)
        left, right = sets[rows + start], sets[others]
        graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(m, m))
        sets = connected_components(graph, directed=False)[1][sets]
    return np.unique(sets, return_inverse=True)[1]


def _by_size(labels: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The same scenes numbered by their frames, most first, then by their first segment."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.lexsort((first, -np.bincount(inverse, weights=frames))))
    return rank[inverse]


def _strengths(middles: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How much nearer the own scene is than the next, ``(m,)``, 0 to 1; 1 where there is one."""
    n = int(labels.max()) + 1
    if n == 1:
        return np.ones(len(labels))
    sums = np.zeros((n, middles.shape[1]), np.float32)
    np.add.at(sums, labels, middles)
    apart = 1.0 - middles @ unit_length(sums).T
    own = np.take_along_axis(apart, labels[:, None], axis=1)[:, 0]
    np.put_along_axis(apart, labels[:, None], np.inf, axis=1)
    other = apart.min(axis=1)
    return np.clip((other - own) / np.maximum(other, np.finfo(np.float32).tiny), 0.0, 1.0)

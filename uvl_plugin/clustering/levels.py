"""A coarse and a fine level of every clustering, consistent with each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from uvl_plugin.clustering.assign import means_of
from uvl_plugin.clustering.linkage import join
from uvl_plugin.clustering.lloyd import few_threads, lloyd
from uvl_plugin.clustering.seeding import seeds
from uvl_plugin.clustering.space import Hierarchy, Space
from uvl_plugin.clustering.subtrees import Subtrees
from uvl_plugin.core.progress import silent
from uvl_plugin.core.tree import Tree, joined

MOST_COARSE = 100  # the App gives no more than so many categories a colour of their own
_MOST_PARTS, _PART, _SMALLEST = 32, 5, 5  # a cluster of 5 p^2 items has p parts, each of 5 items
_SAMPLE, _STARTS, _ROUNDS, _SEED = 128, 5, 10, 0  # k-means learns from 128 items for each part
_STILL = 1e-4  # a start ends when its spread falls by no more than this share
_ROWS = 8192  # items that look for their part at a time
_AT_ONCE, _GROUP = 3000, 500  # clusters that are joined at once, or in groups of about so many


@dataclass(frozen=True)
class Levels:
    """Two levels of ``n`` items; noise is -1 in both.

    Attributes:
        coarse: shape ``(n,)``, int64: at most :data:`MOST_COARSE` clusters, 0 the largest.
        fine: shape ``(n,)``, int64: each within one coarse cluster; those of coarse cluster 0
            come first, the larger ones first among them, where they were made of it.
        tree: its leaves are the fine clusters, and the coarse ones a cut of it; None where all
            is noise.
    """

    coarse: np.ndarray
    fine: np.ndarray
    tree: Tree | None


def build_levels(space: Space, labels: np.ndarray, hierarchy: Hierarchy | None = None) -> Levels:
    """Both levels of a finished clustering, one of which are its own labels.

    At most 100 clusters are the coarse level, and each is taken apart: along the hierarchy if
    there is one with finer leaves, else by k-means. More than 100 clusters are the fine level,
    and a tree over them is cut where its heights jump most. The tree is that of the hierarchy,
    or Ward's over the means, each with the weight of its items.

    Args:
        space: ``n`` prepared vectors.
        labels: shape ``(n,)``, int64, 0 the largest cluster, noise -1.
        hierarchy: of the algorithm; every cluster is one branch of it.

    Raises:
        DataError: if the hierarchy is not one of these clusters.
    """
    n_clusters = int(labels.max(initial=-1)) + 1
    if n_clusters == 0:
        return Levels(labels, labels, None)
    subtrees = None if hierarchy is None else Subtrees(hierarchy, labels)
    above = subtrees.above if subtrees else _ward_over(space, labels)
    if n_clusters > MOST_COARSE:
        groups = _by_size(above.cut(_n_coarse(above)), np.bincount(labels[labels >= 0]))
        return Levels(np.append(groups, -1)[labels], labels, above)
    if subtrees and subtrees.are_finer:
        fine, trees = _along(subtrees, space, labels)
    else:
        fine, trees = _by_means(space, labels)
    return Levels(labels, fine, joined(trees, above))


def _along(subtrees: Subtrees, space: Space, labels: np.ndarray) -> tuple[np.ndarray, list[Tree]]:
    """Parts of all clusters along the hierarchy, and a tree over those of each.

    Stragglers that split off in smaller numbers than a part has go where the nearest mean is.
    """
    sizes = np.bincount(labels[labels >= 0]).tolist()
    found = [subtrees.below(i, _n_parts(size), _SMALLEST) for i, size in enumerate(sizes)]
    fine = subtrees.parts(np.concatenate([nodes for nodes, _ in found]))
    starts = np.cumsum([0, *(len(nodes) for nodes, _ in found)])
    means = means_of(space.vectors, fine, starts[-1])
    astray = np.flatnonzero((fine < 0) & (labels >= 0))
    for cluster in np.unique(labels[astray]).tolist():
        rows, first = astray[labels[astray] == cluster], starts[cluster]
        fine[rows] = first + _nearest(space.vectors, rows, means[first : starts[cluster + 1]])
    fine, rank = _numbered(fine, starts)
    spans = zip(found, starts, starts[1:], strict=False)
    return fine, [tree.renumbered(rank[a:b] - a) for (_, tree), a, b in spans]


def _by_means(space: Space, labels: np.ndarray) -> tuple[np.ndarray, list[Tree]]:
    """Parts of all clusters by k-means, and Ward's tree over the means of those of each."""
    fine, starts = np.full(len(labels), -1), [0]
    for rows in _members(labels):
        parts, n_parts = _split(space, rows)
        fine[rows] = starts[-1] + parts
        starts.append(starts[-1] + n_parts)
    fine, _ = _numbered(fine, np.array(starts))
    means, sizes = means_of(space.vectors, fine, starts[-1]), np.bincount(fine[fine >= 0])
    spans = pairwise(starts)
    return fine, [ward(means[a:b], sizes[a:b]) for a, b in spans]


def _members(labels: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of each cluster, in their order."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(labels.max() + 2))
    return (order[a:b] for a, b in pairwise(starts))


def _numbered(fine: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The parts of each cluster by size, the largest first: for each item, and for each part."""
    sizes = np.bincount(fine[fine >= 0])
    owner = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    rank = np.argsort(np.lexsort((-sizes, owner)))
    return np.append(rank, -1)[fine], rank


def _by_size(groups: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Numbers groups of clusters anew: the one with the most items is 0."""
    totals = np.bincount(groups, weights=sizes)
    return np.argsort(np.argsort(-totals, kind="stable"))[groups]


def _n_coarse(tree: Tree) -> int:
    """Where to cut: about the root of the number of leaves, there where the heights jump most."""
    root = np.sqrt(tree.n_leaves)
    numbers = np.arange(int(root / 2), min(int(2 * root), MOST_COARSE) + 1)
    undone = tree.heights[-(numbers - 1)]  # the lowest join that a cut into so many undoes
    kept = tree.heights[-numbers]
    jumps = undone / np.maximum(kept, np.finfo(float).tiny)
    return int(numbers[jumps.argmax()])


def _n_parts(size: int) -> int:
    return int(np.clip(np.sqrt(size / _PART), 1, _MOST_PARTS))


def _split(space: Space, rows: np.ndarray) -> tuple[np.ndarray, int]:
    """Part of each item of one cluster, and their number; learnt from a sample of the items."""
    wanted = _n_parts(len(rows))
    if wanted == 1:
        return np.zeros(len(rows), np.int64), 1
    few = min(len(rows), _SAMPLE * wanted)
    sample = np.random.default_rng(_SEED).choice(len(rows), few, replace=False)
    centroids = _k_means(space.vectors[rows[np.sort(sample)]], wanted)
    counts = np.bincount(_nearest(space.vectors, rows, centroids), minlength=len(centroids))
    centroids = centroids[counts >= _SMALLEST]  # what is in too small a part goes to the next one
    return _nearest(space.vectors, rows, centroids), len(centroids)


def _k_means(points: np.ndarray, n_clusters: int) -> np.ndarray:
    """Centroids of the best of some starts, shape ``(n_clusters, dim)``."""
    random, centred = np.random.default_rng(_SEED), points - points.mean(axis=0)
    with few_threads() as each:
        fits = [
            lloyd(
                points,
                points[seeds(centred, n_clusters, random)],
                each,
                spherical=False,
                max_iter=_ROUNDS,
                still=_STILL,
            )
            for _ in range(_STARTS)
        ]
    return min(fits, key=lambda fit: fit.spread).centres


def _nearest(vectors: np.ndarray, rows: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The nearest centroid of the vectors in ``rows``, shape ``(rows,)``, block by block."""
    nearest = np.empty(len(rows), np.int64)
    squares = (centroids**2).sum(axis=1)
    for start in range(0, len(rows), _ROWS):
        block = slice(start, start + _ROWS)
        nearest[block] = (squares - 2.0 * vectors[rows[block]] @ centroids.T).argmin(axis=1)
    return nearest


def _ward_over(space: Space, labels: np.ndarray) -> Tree:
    sizes = np.bincount(labels[labels >= 0])
    return ward(means_of(space.vectors, labels, len(sizes)), sizes)


def ward(means: np.ndarray, sizes: np.ndarray) -> Tree:
    """Ward's tree over weighted points; over more than 3,000, groups are made first and joined.

    Args:
        means: shape ``(m, dim)``.
        sizes: items that each stands for, shape ``(m,)``.
    """
    if len(means) <= _AT_ONCE:
        return join(means, sizes, "ward", silent)
    groups = _nearest(means, np.arange(len(means)), _k_means(means, len(means) // _GROUP))
    pieces = [piece for rows in _members(groups) if len(rows) for piece in _chopped(rows)]
    inner = [ward(means[rows], sizes[rows]) for rows in pieces]
    weights = np.array([sizes[rows].sum() for rows in pieces])
    centres = np.array([np.average(means[rows], axis=0, weights=sizes[rows]) for rows in pieces])
    return joined(inner, ward(centres, weights)).renumbered(np.concatenate(pieces))


def _chopped(rows: np.ndarray) -> list[np.ndarray]:
    """A group in pieces that can be joined at once; nearly always the group itself."""
    return np.array_split(rows, -(-len(rows) // _AT_ONCE))

"""Agglomerative: joins the two nearest groups again and again, and keeps the tree."""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.base import Clusterer, clusterers
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.space import Grouping, Hierarchy, Space
from uvl_plugin.clustering.spread import SAME, alike, spread
from uvl_plugin.core.progress import Progress, part
from uvl_plugin.core.settings import setting
from uvl_plugin.core.tree import Tree

_MOST = 8_000  # items that are joined one by one: their distances take 256 MB
_GROUPS = 2_000  # small groups that are made of more items first
_ROWS = 1024  # whose distances are computed at a time


@clusterers.register
@dataclass(frozen=True, kw_only=True)
class Agglomerative(Clusterer):
    """Joins the two nearest groups until ``n_clusters`` are left.

    The whole tree is kept, so that any other number of clusters is a cut of it. Time and memory
    grow with the square of the items: more than 8,000 are first made into 2,000 small groups with
    k-means, whose centres are then joined, each with the weight of its items. Items that are the
    same are never separated.

    Source: J. Ward, "Hierarchical grouping to optimize an objective function", JASA 58 (1963),
    page 236; the updates of the distances: G. Lance, W. Williams, Computer J. 9 (1967), page 373.
    """

    name, label = "agglomerative", "Agglomerative"
    description = "A tree of groups that join, cut at the number of clusters that is asked for."
    round = False

    n_clusters: int = setting(10, ge=1, le=_GROUPS, help="At how many clusters to cut the tree.")
    linkage: str = setting(
        "ward",
        choices=("ward", "average", "complete"),
        help="Which groups are near: ward: their join spreads least; average: their items are near "
        "on average; complete: their farthest items are near.",
    )
    seed: int = setting(
        0, ge=0, le=2**31 - 1, help="Seed of the small groups that over 8,000 items make first."
    )

    def cluster(self, space: Space, progress: Progress) -> Grouping:
        n = len(space)
        progress(0.0, f"agglomerative, {n} vectors")
        if n <= _MOST:
            leaves, centres = np.arange(n), space.vectors
        else:
            leaves, centres = self._small_groups(space, part(progress, 0.0, 0.5))
        sizes = np.bincount(leaves)
        tree = join(centres, sizes, self.linkage, part(progress, 0.5, 1.0))
        return grouping_of(space.vectors, tree, leaves, self.n_clusters)

    def _small_groups(self, space: Space, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
        """Group of each item, ``(n,)``, and the means of the groups."""
        algorithm = KMeans(
            n_clusters=_GROUPS, spherical=False, n_init=1, max_iter=10, seed=self.seed
        )
        found = algorithm.cluster(space, progress).labels
        _, groups = np.unique(found, return_inverse=True)
        return groups, means_of(space.vectors, groups)


def means_of(vectors: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mean of each group, shape ``(groups, dim)``; no group is empty."""
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(groups.max() + 1))
    return np.stack([vectors[own].mean(axis=0) for own in np.split(order, starts[1:])])


def grouping_of(vectors: np.ndarray, tree: Tree, leaves: np.ndarray, n_clusters: int) -> Grouping:
    """A tree cut at ``n_clusters``, or fewer where leaves are the same but for rounding.

    Args:
        vectors: shape ``(n, dim)``.
        leaves: leaf of each, shape ``(n,)``.
    """
    least = np.inf if alike(vectors) else SAME * spread(vectors)
    distinct = 1 + int(np.sum(tree.heights > least))
    labels = tree.cut(min(n_clusters, distinct))[leaves]
    return Grouping(labels, hierarchy=Hierarchy(leaves, tree))


def join(centres: np.ndarray, sizes: np.ndarray, linkage: str, progress: Progress) -> Tree:
    """Joins weighted points two at a time, always the nearest.

    By chains of nearest neighbours, in time and memory of ``m`` squared: F. Murtagh, Computer
    J. 26 (1983), page 354.

    Args:
        centres: means of the groups to join, shape ``(m, dim)``.
        sizes: how many items each stands for, shape ``(m,)``.
        linkage: ``"ward"``, ``"average"`` or ``"complete"``.

    Returns:
        The tree. Heights are distances; for ward those of two single items whose join adds as
        much to the sum of squares, as in ``scipy.cluster.hierarchy.linkage``.
    """
    m = len(centres)
    apart = _distances(centres, sizes, linkage)
    weights = sizes.astype(np.float64)
    node = np.arange(m)  # what stands in each row now
    merges, heights = np.zeros((m - 1, 2), np.int64), np.zeros(m - 1)
    lowest = np.zeros(2 * m - 1)
    chain: list[int] = []
    for step in range(m - 1):
        if step % 512 == 0:
            progress(step / m, f"joining, {step:,} of {m:,}")
        first, second = _nearest_pair(apart, chain, node)
        found = float(apart[first, second])
        if linkage == "ward":
            found = found**0.5
        height = max(found, lowest[node[first]], lowest[node[second]])  # rounding may lower it
        merges[step], heights[step] = (node[first], node[second]), height
        _update(apart, weights, first, second, linkage)
        node[first], node[second] = m + step, -1
        lowest[m + step] = height
    return _sorted(merges, heights)


def _distances(centres: np.ndarray, sizes: np.ndarray, linkage: str) -> np.ndarray:
    """Between all groups, ``(m, m)``, float32; for ward squared and weighted; to itself infinite."""
    exact = centres.astype(np.float64)  # differences of float32 squares lose what is near
    squares = (exact**2).sum(axis=1)
    apart = np.empty((len(exact), len(exact)), np.float32)
    for start in range(0, len(exact), _ROWS):
        rows = slice(start, start + _ROWS)
        block = np.maximum(squares[rows, None] + squares - 2.0 * exact[rows] @ exact.T, 0.0)
        if linkage == "ward":
            block *= 2.0 * sizes[rows, None] * sizes / (sizes[rows, None] + sizes)
        apart[rows] = block if linkage == "ward" else np.sqrt(block)
    np.fill_diagonal(apart, np.inf)
    return apart


def _nearest_pair(apart: np.ndarray, chain: list[int], node: np.ndarray) -> tuple[int, int]:
    """Two rows each of which is the nearest to the other; follows the chain to its end."""
    if not chain:
        chain.append(int(np.argmax(node >= 0)))
    while True:
        row = apart[chain[-1]]
        nearest = int(row.argmin())
        if len(chain) > 1 and row[chain[-2]] <= row[nearest]:  # of equals the one it came from
            return chain.pop(), chain.pop()
        chain.append(nearest)


def _update(apart: np.ndarray, weights: np.ndarray, first: int, second: int, linkage: str) -> None:
    """Puts the join of two rows into the first and takes the second out."""
    one, two = weights[first], weights[second]
    a, b = apart[first], apart[second]
    if linkage == "complete":
        joined = np.maximum(a, b)
    elif linkage == "average":
        joined = (one * a + two * b) / (one + two)
    else:
        between = apart[first, second]
        joined = (one + weights) * a + (two + weights) * b - weights * between
        joined /= one + two + weights
    weights[first] = one + two
    apart[first] = apart[:, first] = joined
    apart[second] = apart[:, second] = np.inf
    apart[first, first] = np.inf


def _sorted(merges: np.ndarray, heights: np.ndarray) -> Tree:
    """The same joins by height, lowest first."""
    m = len(merges) + 1
    order = np.argsort(heights, kind="stable")  # what was made first stays before what it joins
    number = np.concatenate([np.arange(m), m + np.argsort(order)])
    return Tree(np.sort(number[merges[order]], axis=1), heights[order])

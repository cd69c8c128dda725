"""Graphs over items: shared nearest neighbours, and bridges between parts that no edge joins."""

from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.clustering.neighbors import Neighbors, nearest_neighbors

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_ROWS = 4096  # rows whose shared neighbours are counted at a time


def neighbor_graph(neighbors: Neighbors, weights: np.ndarray) -> "csr_array":
    """A graph with an edge from each item to each of its neighbours and back.

    Args:
        neighbors: of ``n`` items, ``k`` each.
        weights: of the edges, shape ``(n, k)``, above 0.

    Returns:
        Symmetric, shape ``(n, n)``; the larger weight where both have one.
    """
    from scipy.sparse import csr_array

    n, k = neighbors.indices.shape
    starts = np.arange(0, n * k + 1, k) if k else np.zeros(n + 1, np.int64)
    directed = csr_array((weights.ravel(), neighbors.indices.ravel(), starts), shape=(n, n))
    return directed.maximum(directed.T).tocsr()


def shared_neighbor_graph(neighbors: Neighbors) -> "csr_array":
    """Joins neighbours by how many neighbours they share.

    The weight of an edge is the Jaccard index of the two neighbourhoods, each with its own item
    in it: 1 where they are the same, at least ``1 / (2 k + 1)``. Shared neighbours: R. Jarvis,
    E. Patrick, IEEE Trans. Computers C-22 (1973), page 1025.

    Returns:
        Symmetric, shape ``(n, n)``, without loops.
    """
    from scipy.sparse import csr_array, vstack

    n, k = neighbors.indices.shape
    edges = neighbor_graph(neighbors, np.ones((n, k), np.float32))
    own = np.column_stack([np.arange(n), neighbors.indices])
    starts = np.arange(0, own.size + 1, k + 1)
    around = csr_array((np.ones(own.size, np.float32), own.ravel(), starts), shape=(n, n))
    back = around.T.tocsr()
    blocks = []
    for start in range(0, n, _ROWS):
        rows = slice(start, start + _ROWS)
        shared = (around[rows] @ back).multiply(edges[rows]).tocsr()
        shared.data = shared.data / (2 * (k + 1) - shared.data)
        blocks.append(shared)
    return vstack(blocks, format="csr")


def connected(graph: "csr_array", vectors: np.ndarray) -> "csr_array":
    """The same graph with its least weight on :func:`bridges`, so that it is of one part."""
    pairs = bridges(graph, vectors)
    least = graph.data.min(initial=1.0)
    return with_edges(graph, pairs, np.full(len(pairs), least, graph.dtype))


def with_edges(graph: "csr_array", pairs: np.ndarray, weights: np.ndarray) -> "csr_array":
    """The graph with more edges.

    Args:
        graph: symmetric, shape ``(n, n)``.
        pairs: numbers of items, shape ``(edges, 2)``; a pair may come twice, or turned round.
        weights: above 0, shape ``(edges,)``, the same for the same pair.
    """
    from scipy.sparse import coo_array

    pairs, first = np.unique(np.sort(pairs, axis=1), axis=0, return_index=True)
    rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
    both = np.tile(weights[first], 2).astype(graph.dtype)
    return graph.maximum(coo_array((both, (rows, columns)), shape=graph.shape).tocsr()).tocsr()


def bridges(graph: "csr_array", vectors: np.ndarray) -> np.ndarray:
    """Pairs of near items that would join all parts of a graph into one.

    Each part reaches out to the one with the nearest centre, again and again until one is left
    (as in O. Boruvka's minimum spanning tree, with centres in place of all pairs of items).

    Args:
        graph: symmetric, shape ``(n, n)``.
        vectors: shape ``(n, dim)``.

    Returns:
        Numbers of items, shape ``(bridges, 2)``; none where the graph is of one part already.
    """
    from scipy.sparse.csgraph import connected_components

    n_parts, parts = connected_components(graph, directed=False)
    found = [np.empty((0, 2), np.int64)]
    while n_parts > 1:
        found.append(_reached(vectors, parts, n_parts))
        n_parts, parts = _joined(found[-1], parts, n_parts)
    return np.concatenate(found)


def _joined(pairs: np.ndarray, parts: np.ndarray, n_parts: int) -> tuple[int, np.ndarray]:
    """Parts that are left when pairs of items join them, and the part of each item then."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = parts[pairs]
    ones = np.ones(len(pairs), np.int8)
    links = coo_array((ones, (ends[:, 0], ends[:, 1])), shape=(n_parts, n_parts))
    left, owner = connected_components(links, directed=False)
    return left, owner[parts]


def _reached(vectors: np.ndarray, parts: np.ndarray, n_parts: int) -> np.ndarray:
    """A pair of items for each part: one of it, one of the part with the nearest centre."""
    order = np.argsort(parts, kind="stable")
    starts = np.searchsorted(parts[order], np.arange(n_parts))
    members = np.split(order, starts[1:])
    centres = np.stack([vectors[own].mean(axis=0) for own in members])
    nearest = nearest_neighbors(centres, 1).indices[:, 0]
    pairs = np.empty((n_parts, 2), np.int64)
    for part, (own, other) in enumerate(zip(members, nearest, strict=True)):
        first = own[_nearest(vectors[own], centres[other])]
        second = members[other][_nearest(vectors[members[other]], vectors[first])]
        pairs[part] = own[_nearest(vectors[own], vectors[second])], second
    return pairs


def _nearest(vectors: np.ndarray, point: np.ndarray) -> int:
    return int(((vectors - point) ** 2).sum(axis=1).argmin())

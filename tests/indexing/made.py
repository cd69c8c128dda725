"""Vectors and indexes that the tests of this folder make."""

import numpy as np

from uvl_plugin.indexing.index import VectorIndex


def clustered(n: int, dim: int = 16, *, seed: int = 0, n_groups: int = 40) -> np.ndarray:
    """Vectors in groups that overlap, shape ``(n, dim)``, float32; the same groups for each
    seed."""
    centres = np.random.default_rng(0).normal(size=(n_groups, dim))
    draw = np.random.default_rng([1, seed])
    return (centres[np.arange(n) % n_groups] + 0.7 * draw.normal(size=(n, dim))).astype(np.float32)


def names(n: int, start: int = 0) -> np.ndarray:
    """Ids like those of a database, shape ``(n,)``."""
    return np.array([f"{number:024x}" for number in range(start, start + n)])


def made(folder, vectors: np.ndarray, ids: np.ndarray | None = None, **options) -> VectorIndex:
    """An index of some vectors, in two pages."""
    ids, half = names(len(vectors)) if ids is None else ids, len(vectors) // 2
    pages = [(ids[:half], vectors[:half], None), (ids[half:], vectors[half:], None)]
    return VectorIndex.create(folder, pages, **options)


def content(index: VectorIndex) -> dict[str, bytes]:
    """The bytes of each vector, by its id."""
    snapshot = index.snapshot()
    return {
        name: vector.tobytes()
        for name, vector in zip(snapshot.ids().tolist(), snapshot.vectors(), strict=True)
    }


def distances_by_hand(metric: str, vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """The distances in double precision, by their definitions."""
    vectors, query = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "euclidean":
        return np.linalg.norm(vectors - query, axis=1)
    if metric == "dotproduct":
        return -vectors @ query
    return 1 - vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)

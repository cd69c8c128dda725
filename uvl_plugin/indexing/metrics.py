"""How far two vectors are apart, and how nearness is ranked without computing distances."""

import numpy as np

from uvl_plugin.core.errors import SettingsError

METRICS = ("cosine", "dotproduct", "euclidean")


def check_metric(metric: str) -> None:
    """Raises :class:`SettingsError` unless there is such a metric."""
    if metric not in METRICS:
        raise SettingsError(f"metric must be {', '.join(METRICS)}, got {metric!r}.", "metric")


def lengths(vectors: np.ndarray) -> np.ndarray:
    """Euclidean length of each vector, shape ``(n,)``, float32."""
    wide = np.asarray(vectors, np.float32)
    return np.sqrt(np.einsum("ij,ij->i", wide, wide))


def distances(metric: str, vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Distance of each vector to the query, shape ``(n,)``, float32; less is nearer.

    ``"cosine"``: 1 - cos, 0 to 2, and 1 where a vector is all zeros. ``"dotproduct"``: the negative
    product. ``"euclidean"``: not squared. Equal vectors have equal distances, to the last bit,
    whatever they are computed together with.

    Args:
        vectors: shape ``(n, dim)``.
        query: shape ``(dim,)``.
    """
    vectors, query = np.asarray(vectors, np.float32), np.asarray(query, np.float32)
    if metric == "euclidean":
        return lengths(vectors - query)
    products = np.einsum("ij,j->i", vectors, query)
    if metric == "dotproduct":
        return -products
    both = lengths(vectors) * np.float32(np.linalg.norm(query))
    cosines = np.divide(products, both, out=np.zeros_like(products), where=both > 0)
    return np.clip(1.0 - cosines, 0.0, 2.0)


def nearness(metric: str, products: np.ndarray, own_lengths: np.ndarray) -> np.ndarray:
    """Ranks as the metric does, more is nearer; changes ``products`` in place.

    Args:
        products: of each vector with each query, shape ``(n, n_queries)``, float32.
        own_lengths: of the vectors, shape ``(n,)``.
    """
    if metric == "cosine":
        products /= np.where(own_lengths > 0, own_lengths, np.inf)[:, None]
    elif metric == "euclidean":
        products -= (0.5 * own_lengths**2)[:, None]
    return products


def prepared(metric: str, vectors: np.ndarray, own_lengths: np.ndarray) -> np.ndarray:
    """Vectors as a structure of FAISS takes them: float32, of length 1 for cosine."""
    vectors = np.ascontiguousarray(vectors, np.float32)
    if metric != "cosine":
        return vectors
    return vectors / np.where(own_lengths > 0, own_lengths, 1.0)[:, None].astype(np.float32)

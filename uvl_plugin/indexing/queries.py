"""Questions to an index beyond the nearest of one vector: within a distance, of all, to several."""

from collections.abc import Callable, Iterator

import numpy as np

from uvl_plugin.core.errors import SettingsError
from uvl_plugin.indexing.snapshot import Snapshot

AGGREGATIONS: dict[str, Callable] = {
    "post-mean": np.add,  # the sum ranks as the mean does
    "post-min": np.minimum,
    "post-max": np.maximum,
}
_FIRST = 64  # neighbours that are looked at for those within a distance; then four times as many
_BATCH = 1024  # vectors that ask at a time


def aggregated(
    snapshot: Snapshot,
    queries: np.ndarray,
    how: str,
    k: int,
    *,
    among: np.ndarray | None = None,
    farthest: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest vectors to several queries at once, by the mean, least or greatest distance.

    Exact: the distance of every vector to every query is computed.

    Args:
        queries: shape ``(n_queries, dim)``.
        how: of :data:`AGGREGATIONS`.
        k, among, farthest: as in :meth:`~uvl_plugin.indexing.snapshot.Snapshot.search`.

    Returns:
        Rows and distances, of shape ``(at most k,)``.
    """
    if how not in AGGREGATIONS:
        raise SettingsError(
            f"aggregation must be mean or one of {', '.join(AGGREGATIONS)}, got {how!r}.",
            "aggregation",
        )
    everything = len(snapshot) if among is None else len(among)
    total: np.ndarray | None = None
    for query in queries:
        rows, apart = snapshot.search(query[None], everything, among=among)
        order = np.argsort(rows[0])
        rows, apart = rows[0][order], apart[0][order]
        total = apart if total is None else AGGREGATIONS[how](total, apart)
    assert total is not None
    if how == "post-mean":
        total = total / len(queries)
    best = np.argsort(-total if farthest else total, kind="stable")[:k]
    return rows[best], total[best]


def within(
    snapshot: Snapshot,
    queries: np.ndarray,
    threshold: float,
    *,
    among: np.ndarray | None = None,
    device: str | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows and distances of the vectors that are at most ``threshold`` from each query, nearest
    first."""
    most = len(snapshot) if among is None else len(among)
    for start in range(0, len(queries), _BATCH):
        batch = queries[start : start + _BATCH]
        found: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros(0, np.int64), np.zeros(0))] * len(
            batch
        )
        open_, k = np.arange(len(batch)), min(_FIRST, most)
        while len(open_) and k:
            rows, apart = snapshot.search(batch[open_], k, among=among, device=device)
            inside = apart <= threshold
            for number, row, distance, near in zip(open_, rows, apart, inside, strict=True):
                found[number] = row[near], distance[near]
            open_ = open_[inside.all(axis=1)] if k < most else open_[:0]
            k = min(4 * k, most)
        yield from found


def neighbors_of_all(
    snapshot: Snapshot, rows: np.ndarray, k: int, *, device: str | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The ``k`` nearest others of each of some rows among these rows, rows and distances, nearest
    first."""
    for start in range(0, len(rows), _BATCH):
        some = rows[start : start + _BATCH]
        found, apart = snapshot.search(snapshot.vectors(some), k + 1, among=rows, device=device)
        for own, near, distances in zip(some, found, apart, strict=True):
            others = np.flatnonzero(near != own)[:k]
            yield near[others], distances[others]

"""Lloyd's iterations, exact, over vectors in memory or in a mapped file, on a few threads.

Most distances are never computed: an item that is nearer to its centre than any other centre
can have come stays where it is (G. Hamerly, "Making k-means even faster", SDM 2010, page 130).
One centre that moves far would spoil that bound for all items, so the distances to the fastest
centres are computed instead (compare Y. Ding et al., "Yinyang K-Means", ICML 2015, page 579,
where every group of centres has a bound).
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from uvl_plugin.core.progress import Progress, silent

_TINY = 1e-6  # of the mean squared length: what is less apart than that is rounding
_CELLS = 2**20  # distances that a thread computes at a time, 4 MiB
_ROWS = 1024  # items that a thread has at a time, at most
_FAST = 16  # one centre in so many is too fast for a bound
_FEW = 256  # the distances to so few centres take no longer than that to the own one
_MOST = 0.75  # share of a block of which all is computed rather than part of it copied


@dataclass(frozen=True)
class Fit:
    """Where Lloyd's iterations ended.

    Attributes:
        labels: centre of each item, shape ``(n,)``, int32.
        centres: shape ``(k, dim)``, float32; of length 1 where spherical.
        spread: what k-means makes small: the sum of the squared distances to the centres;
            where spherical, of those of the vectors scaled to length 1, each times its length.
        n_iter: how many there were.
    """

    labels: np.ndarray
    centres: np.ndarray
    spread: float
    n_iter: int


Map = Callable[[Callable, range], Iterator]


@contextmanager
def few_threads() -> Iterator[Map]:
    """A ``map`` over as many threads as NumPy may use; each then computes on its own."""
    from threadpoolctl import threadpool_info, threadpool_limits

    libraries = [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(max(libraries, default=1)) as pool,
    ):
        yield pool.map


def lloyd(
    vectors: np.ndarray,
    centres: np.ndarray,
    each: Map,
    *,
    spherical: bool,
    max_iter: int,
    still: float,
    progress: Progress = silent,
) -> Fit:
    """Runs Lloyd's iterations until next to nothing changes.

    Args:
        vectors: shape ``(n, dim)``, float32; read block by block.
        centres: where to start, shape ``(k, dim)``, float32.
        each: of :func:`few_threads`.
        spherical: compare by direction.
        max_iter: most iterations.
        still: ends when the spread falls by no more than this share.
    """
    run = _Run(vectors, centres, spherical)
    before = np.inf
    for done in range(1, max_iter + 1):
        progress((done - 1) / max_iter, f"k-means, iteration {done}")
        changed = run.assign(each)
        if changed == 0 or before - run.spread() <= still * run.spread():
            break
        before = run.spread()
        run.move()
    else:
        run.assign(each)
    return Fit(run.labels, run.centres, run.spread(), done)


class _Run:
    """Centres, labels and bounds from one iteration to the next."""

    def __init__(self, vectors: np.ndarray, centres: np.ndarray, spherical: bool):
        n, (k, dim) = len(vectors), centres.shape
        self.labels = np.full(n, -1, np.int32)
        self._vectors = vectors
        self._spherical = spherical
        self._origin = np.zeros(dim, np.float32) if spherical else centres.mean(axis=0)
        self._centres = centres - self._origin  # near zero: distances lose fewer digits
        self._lengths = np.empty(n, np.float32)  # of the vectors, from the origin
        self._upper = np.empty(n, np.float32)  # no nearer is the own centre,
        self._lower = np.empty(n, np.float32)  # and no farther any other
        self._moved = np.zeros(k, np.float32)
        self._sums = np.zeros((k, dim))
        self._sizes = np.zeros(k, np.int64)
        self._rows = max(16, min(_ROWS, _CELLS // k))

    @property
    def centres(self) -> np.ndarray:
        return self._centres + self._origin

    def spread(self) -> float:
        """That of the items around the means of their clusters."""
        lengths = np.linalg.norm(self._from_origin(), axis=1)
        if self._spherical:
            return max(0.0, 2.0 * float(self._lengths.sum(dtype=np.float64) - lengths.sum()))
        total = np.einsum("i,i->", self._lengths, self._lengths, dtype=np.float64)
        return max(0.0, float(total - (lengths**2 / np.maximum(self._sizes, 1)).sum()))

    def assign(self, each: Map) -> int:
        """Gives every item to its nearest centre; returns how many changed theirs."""
        centres, by_speed = self._centres, np.argsort(-self._moved, kind="stable")
        self._offsets = np.zeros(len(centres), np.float32)
        if not self._spherical:
            self._offsets = _squares(centres) + 2.0 * (centres @ self._origin)
        self._fast = by_speed[: max(1, len(by_speed) // _FAST)]
        self._place = np.full(len(by_speed), -1)
        self._place[self._fast] = np.arange(len(self._fast))
        self._slow_move = self._moved[by_speed[len(self._fast) :]].max(initial=0.0)
        found = each(self._assign_block, range(0, len(self.labels), self._rows))
        return sum(self._take(*changes) for changes in found)

    def move(self) -> None:
        """Moves every centre to the mean of its items, and one without items to an item that
        is far from its own."""
        sums = self._from_origin()
        scale = np.linalg.norm(sums, axis=1) if self._spherical else self._sizes
        filled = scale > 0
        moved = self._centres.copy()
        moved[filled] = sums[filled] / scale[filled, None]
        empty = np.flatnonzero(self._sizes == 0)
        if len(empty):
            far = self._far(len(empty))
            moved[empty[: len(far)]] = far
        self._moved = np.linalg.norm(moved - self._centres, axis=1)
        self._centres = moved

    def _far(self, most: int) -> np.ndarray:
        """Items that are far from their centres, as centres."""
        far = np.argsort(-self._upper, kind="stable")[:most]
        size = 1.0 if self._spherical else np.mean(self._lengths**2)
        far = far[(self._upper[far] ** 2 > _TINY * size) & (self._lengths[far] > 0)]
        found = self._vectors[far] - self._origin
        return found / self._lengths[far, None] if self._spherical else found

    def _from_origin(self) -> np.ndarray:
        return self._sums - self._sizes[:, None] * self._origin.astype(np.float64)

    def _assign_block(self, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Items of a block that change their centre, and their new ones."""
        rows = np.arange(start, min(start + self._rows, len(self.labels)))
        block = self._vectors[start : start + self._rows]
        if self.labels[start] < 0:
            items, vectors = rows, block
            self._lengths[rows] = np.sqrt(_squares(block - self._origin))
        else:
            items, vectors = self._unsure(rows, block)
        if len(items) == 0:
            return items, items
        nearest, self._upper[items], self._lower[items] = self._two_nearest(items, vectors)
        differs = nearest != self.labels[items]
        return items[differs], nearest[differs]

    def _unsure(self, rows: np.ndarray, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those of the items that may have another nearest centre now, and their vectors."""
        slow = self._lower[rows] - self._slow_move
        self._upper[rows] += self._moved[self.labels[rows]]
        self._lower[rows] -= self._moved[self._fast[0]]
        items, vectors = self._left(rows, block)
        self._lower[items] = np.minimum(slow[items - rows[0]], self._to_fast(items, vectors))
        items, vectors = self._left(items, vectors)
        if len(self._centres) > _FEW:
            self._upper[items] = self._to_own(items, vectors)
            items, vectors = self._left(items, vectors)
        return items, vectors

    def _left(self, items: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those whose bounds overlap; all, where it is most of them and copying is not worth it."""
        left = np.flatnonzero(self._upper[items] > self._lower[items])
        if len(left) > _MOST * len(items):
            return items, vectors
        return items[left], vectors[left]

    def _to_own(self, items: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        own = self.labels[items]
        products = np.einsum("ij,ij->i", vectors, self._centres[own])
        return self._roots(items, self._offsets[own] - 2.0 * products)

    def _to_fast(self, items: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """How far the nearest fast centre is from each item, its own left out."""
        apart = vectors @ (-2.0 * self._centres[self._fast]).T
        apart += self._offsets[self._fast]
        place = self._place[self.labels[items]]
        own = np.flatnonzero(place >= 0)
        apart[own, place[own]] = np.inf
        return self._roots(items, apart.min(axis=1))

    def _two_nearest(
        self, items: np.ndarray, vectors: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The nearest centre of each item, how far it is, and how far the second is."""
        apart = vectors @ (-2.0 * self._centres).T
        apart += self._offsets
        every = np.arange(len(apart))
        nearest = apart.argmin(axis=1)
        first = self._roots(items, apart[every, nearest])
        apart[every, nearest] = np.inf
        return nearest, first, self._roots(items, apart.min(axis=1))

    def _roots(self, items: np.ndarray, apart: np.ndarray) -> np.ndarray:
        """Distances, from -2 (vector x centre) + offset."""
        lengths = self._lengths[items]
        if self._spherical:
            squares = 2.0 + apart / np.maximum(lengths, np.finfo(np.float32).tiny)
        else:
            squares = apart + lengths**2
        return np.sqrt(np.maximum(squares, 0.0))

    def _take(self, items: np.ndarray, labels: np.ndarray) -> int:
        """Gives items to other centres."""
        if len(items):
            vectors = np.asarray(self._vectors[items], np.float64)
            if self.labels[items[0]] >= 0:
                self._add(vectors, self.labels[items], -1)
            self._add(vectors, labels, 1)
            self.labels[items] = labels
        return len(items)

    def _add(self, vectors: np.ndarray, labels: np.ndarray, sign: int) -> None:
        from scipy.sparse import csr_array

        touched, place = np.unique(labels, return_inverse=True)
        entries = (np.full(len(labels), float(sign)), (place, np.arange(len(labels))))
        chosen = csr_array(entries, shape=(len(touched), len(labels)))
        self._sums[touched] += chosen @ vectors
        self._sizes += sign * np.bincount(labels, minlength=len(self._sizes))


def _squares(rows: np.ndarray) -> np.ndarray:
    """Squared length of each row."""
    return np.einsum("ij,ij->i", rows, rows)

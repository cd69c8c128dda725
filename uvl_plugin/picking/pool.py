"""What is picked from: prepared vectors, clusters, and what is labelled already."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from uvl_plugin.clustering.prepare import fit_preparation, unit_length
from uvl_plugin.core.embeddings import NOISE

_COMPONENTS = 48  # principal directions that count; more of them are mostly noise
_CELLS = 2**22  # distances that are held at a time
_NOISE_SAID = "no cluster"


@dataclass(frozen=True, eq=False)
class Pool:
    """``n`` items, some of which are to be picked.

    Attributes:
        vectors: shape ``(n, dim)``, float32, of :func:`prepared`; rows in an order that says
            nothing, such as that of the ids.
        labels: cluster of each, shape ``(n,)``, int64, noise -1; all 0 where there are none.
        names: of the clusters by their number; empty where there are none.
        weights: how much each counts, shape ``(n,)``, above 0: one of m copies 1 / m.
        given: shape ``(n,)``, bool: labelled already, so never picked, and covering others.
        classes: what the given ones are labelled, shape ``(n,)``, int64, -1 where that is not
            known.
        seed: of what pickers do at random.
    """

    vectors: np.ndarray
    labels: np.ndarray
    names: Mapping[int, str] = field(default_factory=dict)
    weights: np.ndarray = field(default_factory=lambda: np.ones(0, np.float32))
    given: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    classes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    seed: int = 0

    def __post_init__(self) -> None:
        for name, usual in (("weights", 1.0), ("given", False), ("classes", -1)):
            if len(getattr(self, name)) != len(self):
                kind = getattr(self, name).dtype
                object.__setattr__(self, name, np.full(len(self), usual, kind))

    def __len__(self) -> int:
        return len(self.vectors)

    def named(self, cluster: int) -> str:
        """What a cluster is called; "" where there are none."""
        return self.names.get(cluster, _NOISE_SAID) if self.names else ""

    def of(self, row: int, said: str) -> str:
        """What was said, with the cluster of an item: "typical of look 03"."""
        cluster = int(self.labels[row])
        if not self.names:
            return said
        return f"{said} {f'of {self.names[cluster]}' if cluster != NOISE else f'in {_NOISE_SAID}'}"

    def squares(self, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Squared distances of some rows to some others, ``(len(rows), len(others))``."""
        left, right = self.vectors[rows], self.vectors[others]
        squares = np.einsum("ij,ij->i", left, left)[:, None] - 2.0 * (left @ right.T)
        return np.maximum(squares + np.einsum("ij,ij->i", right, right), 0.0)

    def nearest(self, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Squared distance of some rows to the nearest of some others, ``(len(rows),)``; infinite
        where there are no others."""
        found = np.full(len(rows), np.inf, np.float32)
        for start, stop in blocks(len(rows), len(others)) if len(others) else ():
            found[start:stop] = self.squares(rows[start:stop], others).min(axis=1)
        return found


def prepared(vectors: np.ndarray) -> np.ndarray:
    """Directions from the middle of the data, in its leading principal components.

    Vectors of a network share most of their direction; how they differ is what is left when
    their mean is taken away, and of that the strongest 48 directions.

    Args:
        vectors: shape ``(n, dim)``, finite.

    Returns:
        Shape ``(n, at most 48)``, float32, rows of length 1; 0 where nothing differs.
    """
    components = min(_COMPONENTS, vectors.shape[1] - 1)
    found = fit_preparation(vectors, normalize=True, components=components)(vectors)
    lengths = np.linalg.norm(found, axis=1)
    found[lengths < 1e-6] = 0.0  # rounding has no direction
    return unit_length(found)


def blocks(n: int, columns: int) -> Iterator[tuple[int, int]]:
    """Start and end of rows whose distances to ``columns`` items are held at a time."""
    step = max(1, _CELLS // max(1, columns))
    for start in range(0, n, step):
        yield start, min(n, start + step)

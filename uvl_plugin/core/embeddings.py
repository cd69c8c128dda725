"""Vectors and clusters of items, keyed by id."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from uvl_plugin.core.errors import DataError
from uvl_plugin.core.tree import Tree

NOISE = -1
_NOISE_WORD = "noise"
_ROWS = 8192  # that are checked at a time


@dataclass(frozen=True)
class Embeddings:
    """Vectors of ``n`` items.

    Attributes:
        ids: unique ids, shape ``(n,)``, strings.
        vectors: shape ``(n, dim)``, float32, finite; may be a ``np.memmap`` of a file, and is
            then never copied whole.
        space: names what made the vectors; vectors of different spaces do not compare.

    Raises:
        DataError: if shapes disagree, an id occurs twice or a number is not finite.
    """

    ids: np.ndarray
    vectors: np.ndarray
    space: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", np.asarray(self.ids, dtype=str))
        object.__setattr__(self, "vectors", np.asarray(self.vectors, dtype=np.float32))
        if self.vectors.ndim != 2 or self.ids.shape != self.vectors.shape[:1]:
            raise DataError(
                f"Embeddings need ids (n,) and vectors (n, dim), got {self.ids.shape} and "
                f"{self.vectors.shape}."
            )
        if len(np.unique(self.ids)) != len(self.ids):
            raise DataError("Embeddings need unique ids, and at least one occurs twice.")
        bad = self._not_finite()
        if len(bad):
            raise DataError(
                f"{len(bad)} of {len(self)} vectors hold NaN or infinity, the first of "
                f"item {self.ids[bad[0]]}; embed these items again."
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        """Length of each vector."""
        return self.vectors.shape[1]

    def _not_finite(self) -> np.ndarray:
        """Rows that hold a number that is not finite."""
        found = [np.zeros(0, np.int64)]
        for start in range(0, len(self), _ROWS):
            finite = np.isfinite(self.vectors[start : start + _ROWS]).all(axis=1)
            found.append(start + np.flatnonzero(~finite))
        return np.concatenate(found)


@dataclass(frozen=True)
class ClusteringResult:
    """Which cluster each item belongs to.

    Attributes:
        ids: shape ``(n,)``, in the order of the embeddings.
        labels: shape ``(n,)``, int64: cluster number, 0 the largest; noise is -1.
        strengths: shape ``(n,)``, float32, 0 to 1: how firmly the item belongs.
        coarse: shape ``(n,)``, int64: at most 100 clusters, each made of whole fine ones.
        fine: shape ``(n,)``, int64; either this or ``coarse`` are the labels.
        tree: how the fine clusters join; None where there are none.
        report: what the algorithm said about its work, JSON types.
        n_missing: items that were asked for but have no vector, and so no cluster.
    """

    ids: np.ndarray
    labels: np.ndarray
    strengths: np.ndarray
    coarse: np.ndarray
    fine: np.ndarray
    tree: Tree | None
    report: dict[str, Any] = field(default_factory=dict)
    n_missing: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_clusters(self) -> int:
        """How many clusters there are, noise not counted."""
        return int(self.labels.max(initial=NOISE)) + 1

    @property
    def n_noise(self) -> int:
        """How many items belong to no cluster."""
        return int(np.sum(self.labels == NOISE))

    @property
    def sizes(self) -> list[int]:
        """Items in each cluster, largest first, noise not counted."""
        return np.bincount(self.labels[self.labels != NOISE], minlength=self.n_clusters).tolist()


def cluster_names(run_key: str, n_clusters: int) -> list[str]:
    """What the clusters of a run are called: "first_look 03". Names sort like the numbers."""
    width = max(2, len(str(n_clusters - 1)))
    return [f"{run_key} {number:0{width}d}" for number in range(n_clusters)]


def noise_name(run_key: str) -> str:
    """What the items in no cluster are called; sorts behind the clusters."""
    return f"{run_key} {_NOISE_WORD}"


def is_noise_name(name: str) -> bool:
    """Whether :func:`noise_name` of any run gave this name."""
    return name.rpartition(" ")[2] == _NOISE_WORD

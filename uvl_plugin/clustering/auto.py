"""Automatic: finds the groups where nobody knows how many there are, and says how sure it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from uvl_plugin.clustering.base import Clusterer, clusterers, number_by_size
from uvl_plugin.clustering.confidence import confidence, euclidean_silhouettes
from uvl_plugin.clustering.hdbscan import HDBSCAN
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.one_group import group_evidence
from uvl_plugin.clustering.opinions import Opinions, ask
from uvl_plugin.clustering.space import Grouping, Space
from uvl_plugin.clustering.structure import Voters, sampled, spread_out
from uvl_plugin.clustering.umap_hdbscan import smallest
from uvl_plugin.clustering.unfold import unfold
from uvl_plugin.core.progress import Progress, part, silent
from uvl_plugin.core.settings import setting

_FEW = 300  # items that are looked at as they are: to load UMAP takes longer than all else
_MOST = 5_000  # items among which groups are sought
_COMPARED = 800  # items that are compared with items without groups
_ASKED = 1_500  # items on which the rules are asked for the number of groups
_NEIGHBORS, _DIMENSIONS = 20, 10  # of UMAP; with 15 the number of dense groups varies more
_NO_GROUPS = "The items are one cloud: k-means finds no more in it than in one without groups."


@clusterers.register
@dataclass(frozen=True, kw_only=True)
class Auto(Clusterer):
    """Two views of the items: dense groups (UMAP, then HDBSCAN), and k-means for a range of
    numbers. Five rules say how many groups there are, and the best supported number is taken.

    Where there are as many dense groups, they are the clusters; else k-means makes so many of
    the unfolded vectors. Items without structure are one cluster. Groups are sought among at
    most 5,000 items; the others join the cluster of their nearest neighbours.
    """

    name, label = "auto", "Automatic"
    description = "Finds how many groups there are and says how sure it is: the first to try."
    round = False

    n_clusters: int | None = setting(
        None, ge=1, le=1000, help="How many clusters to make; empty: as many as there are groups."
    )
    detail: int = setting(
        0, ge=-3, le=3, help="Below 0: fewer, coarser clusters than found; above 0: more, finer."
    )
    seed: int = setting(0, ge=0, le=2**31 - 1, help="Seed of UMAP, k-means and all that is drawn.")

    def cluster(self, space: Space, progress: Progress) -> Grouping:
        progress(0.0, "is there more than one group?")
        n = len(space)
        if self.n_clusters == 1 or n < 2 or not np.ptp(space.vectors, axis=0).any():
            return _one_group(n, "All items are one cluster.", 1.0)
        rows = sampled(n, _MOST, self.seed)
        sample = space if len(rows) == n else Space(space.vectors[rows])
        if self.n_clusters is None:
            some = sample.vectors[sampled(len(sample), _COMPARED, self.seed)]
            evidence = group_evidence(some, self.seed, part(progress, 0.0, 0.2))
            if not evidence.groups:
                return _one_group(n, _NO_GROUPS, 1.0 - max(0.0, evidence.strength))
        unfolded, dense = self._dense(sample, part(progress, 0.2, 0.6))
        k, report = self._number(sample, dense, part(progress, 0.6, 0.8))
        found = dense if k == _count(dense) else self._divided(unfolded, k)
        report["view"] = "density" if found is dense else "centroid"
        labels = number_by_size(spread_out(space.vectors, rows, found, part(progress, 0.8, 0.95)))
        progress(0.95, "confidence")
        second = _of_sample(space, rows, euclidean_silhouettes(unfolded, labels[rows]))
        return Grouping(labels, confidence(space, labels, second), report=report)

    def _dense(self, sample: Space, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
        """The unfolded sample, and its dense groups, noise -1."""
        unfolded = sample.vectors
        if len(sample) > _FEW:
            unfolded = unfold(sample, _NEIGHBORS, _DIMENSIONS, self.seed, part(progress, 0.0, 0.8))
        algorithm = HDBSCAN(min_cluster_size=smallest(len(sample)))
        found = algorithm.cluster(Space(unfolded), part(progress, 0.8, 1.0))
        return unfolded, np.asarray(found.labels, np.int64)

    def _number(
        self, sample: Space, dense: np.ndarray, progress: Progress
    ) -> tuple[int, dict[str, Any]]:
        """How many clusters to make, and what the rules said."""
        if self.n_clusters is not None:
            said = f"{self.n_clusters} clusters, as asked for."
            return self.n_clusters, {"n_clusters": self.n_clusters, "sentence": said}
        asked = sample.vectors[sampled(len(sample), _ASKED, self.seed)]
        opinions = ask(asked, _count(dense), self.seed, progress)
        return self._decided(opinions)

    def _decided(self, opinions: Opinions) -> tuple[int, dict[str, Any]]:
        chosen = opinions.chosen()
        k = opinions.moved(chosen, self.detail)
        coarser, finer = opinions.candidates(chosen)
        said = opinions.sentence(chosen)
        if k != chosen:
            said += f" Made {k}, because {'finer' if k > chosen else 'coarser'} was asked for."
        return k, {
            "n_clusters": k,
            "supported": chosen,
            "opinions": opinions.numbers,
            "sureness": round(opinions.sureness(chosen), 3),
            "sentence": said,
            "coarser": coarser,
            "finer": finer,
        }

    def _divided(self, unfolded: np.ndarray, k: int) -> np.ndarray:
        algorithm = KMeans(n_clusters=k, spherical=False, seed=self.seed)
        found = algorithm.cluster(Space(unfolded), silent)
        return np.asarray(found.labels, np.int64)


def _count(labels: np.ndarray) -> int:
    return int(labels.max(initial=-1)) + 1


def _of_sample(space: Space, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values of the sample for all items: of the others the mean over their neighbours in it."""
    full = np.zeros(len(space), np.float32)
    full[rows] = values
    others = np.setdiff1d(np.arange(len(space)), rows)
    voters = Voters(space.vectors[rows])
    for some in np.array_split(others, len(others) // 4096 + 1):
        full[some] = values[voters.nearest(space.vectors[some])[0]].mean(axis=1)
    return full


def _one_group(n: int, sentence: str, sureness: float) -> Grouping:
    report = {"n_clusters": 1, "supported": 1, "opinions": {}, "view": "none", "coarser": [],
              "finer": [], "sureness": round(sureness, 3), "sentence": sentence}  # fmt: skip
    return Grouping(np.zeros(n, np.int64), np.ones(n, np.float32), report=report)

"""Consensus: what several algorithms and seeds agree on, and how far they do."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from uvl_plugin.clustering.base import Clusterer, clusterers
from uvl_plugin.clustering.coassociation import combined
from uvl_plugin.clustering.space import Grouping, Space
from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.progress import Progress, part
from uvl_plugin.core.registry import UnknownNameError
from uvl_plugin.core.settings import setting


@clusterers.register
@dataclass(frozen=True, kw_only=True)
class Consensus(Clusterer):
    """Puts items together that most runs put together: evidence accumulation.

    The co-association of two items is the share of the runs in which they are in one cluster.
    It is the product of two rows that say to which clusters an item belongs, and k-means on
    these rows makes the groups. Average linkage, as in the paper, now and then made a cluster of a
    single item: flowers .59 against .67, digits .84 against .87. The strength of an item is
    its mean co-association with its cluster: the agreement. An item that is noise in more than half
    of the runs is noise.

    Source: A. Fred, A. Jain, "Combining multiple clusterings using evidence accumulation", IEEE
    TPAMI 27 (2005), page 835; k-means on the rows: J. Wu et al., "K-means-based consensus
    clustering: a unified view", IEEE TKDE 27 (2015), page 155.
    """

    name, label = "consensus", "Consensus"
    description = "What several algorithms and seeds agree on; the agreement is the confidence."
    round = False

    algorithms: str = setting(
        "kmeans, spectral, gaussian_mixture",
        help="Names of the algorithms, with commas between them; all with their default settings.",
    )
    seeds: int = setting(
        3, ge=1, le=100, help="Runs of each algorithm; one without a seed runs once."
    )
    n_clusters: int | None = setting(
        10,
        ge=1,
        le=1000,
        help="How many clusters to make, in each run too. Empty: the median of the runs, for "
        "algorithms that find it.",
    )
    seed: int = setting(0, ge=0, le=2**31 - 1, help="Seed of the first run of each algorithm.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self._names():
            raise SettingsError(
                "Consensus.algorithms names no algorithm; give some, such as 'kmeans, spectral'.",
                "algorithms",
            )
        for name in self._names():
            self._check(name)
        self.members()  # raises where one of them cannot have so many clusters

    def cluster(self, space: Space, progress: Progress) -> Grouping:
        members = self.members()
        found = []
        for number, member in enumerate(members):
            stage = part(progress, 0.9 * number / len(members), 0.9 * (number + 1) / len(members))
            stage(0.0, f"{member.label}, run {number + 1} of {len(members)}")
            found.append(member.cluster(space, stage).labels)
        runs = np.stack(found, axis=1)
        progress(0.9, "agreement of the runs")
        n_clusters = self.n_clusters or max(1, int(np.median([_count(run) for run in found])))
        labels, strengths = combined(runs, n_clusters, self.seed)
        report = {
            "runs": [_run(member, own, labels) for member, own in zip(members, found, strict=True)],
            "agreement": float(strengths.mean()),
            "number_from": "settings" if self.n_clusters else "median of the runs",
        }
        return Grouping(labels, strengths, report=report)

    def members(self) -> list[Clusterer]:
        """The algorithms that are run, each with its seed."""
        made: list[Clusterer] = []
        for cls in (clusterers[name] for name in self._names()):
            known = {spec.name for spec in cls.specs()}
            given: dict[str, Any] = {}
            if "n_clusters" in known and self.n_clusters is not None:
                given["n_clusters"] = self.n_clusters
            if "seed" in known:
                seeds = [(self.seed + number) % 2**31 for number in range(self.seeds)]
                made.extend(cls.from_dict({**given, "seed": seed}) for seed in seeds)
            else:
                made.append(cls.from_dict(given))
        return made

    def _names(self) -> list[str]:
        names = [name.strip() for name in self.algorithms.split(",")]
        return list(dict.fromkeys(name for name in names if name))

    def _check(self, name: str) -> None:
        if name == self.name:
            raise SettingsError(
                "Consensus.algorithms names 'consensus' itself; name other algorithms.",
                "algorithms",
            )
        try:
            clusterers[name]
        except UnknownNameError as error:
            raise SettingsError(f"Consensus.algorithms: {error}", "algorithms") from error


def _run(member: Clusterer, own: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    from sklearn.metrics import adjusted_rand_score

    return {
        "algorithm": member.name,
        "seed": getattr(member, "seed", None),
        "n_clusters": _count(own),
        "agreement": float(adjusted_rand_score(labels, own)),
    }


def _count(labels: np.ndarray) -> int:
    """How many clusters there are, noise left out."""
    return len(np.unique(labels[labels >= 0]))

"""Whether clusters come again: with other seeds, and on other draws of the items."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from uvl_plugin.clustering.base import Clusterer
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.embeddings import NOISE
from uvl_plugin.core.progress import Progress, silent

Rerun = Callable[[Space, int], np.ndarray]  # prepared vectors and a seed to labels, noise -1
MOST = 20_000  # items of a re-run
_SEEDS = 3
_BOOTSTRAPS = 5


@dataclass(frozen=True)
class Stability:
    """How far re-runs agree with the clusters.

    Attributes:
        seeds: adjusted Rand index with each re-run on the same items with another seed; empty
            where the algorithm has no seed.
        bootstraps: the same on as many items drawn with repetition, each taken once, that is on
            about 63 % of them (A. Ben-Hur et al., Pac. Symp. Biocomput. 2002, page 6). Noise
            counts as one cluster in both.
        recovered: by cluster, the mean Jaccard index with the most similar cluster of each
            bootstrap, 0 to 1: 0.75 and more is stable, below 0.6 not to be trusted
            (C. Hennig, Comput. Stat. Data Anal. 52, 2007, page 258); None where no item was drawn.
        n_items: that took part: all, or a sample of so many.
    """

    seeds: tuple[float, ...]
    bootstraps: tuple[float, ...]
    recovered: tuple[float | None, ...]
    n_items: int


def seeded(algorithm: Clusterer) -> Rerun:
    """The algorithm as a callable that takes a seed."""

    def rerun(space: Space, seed: int) -> np.ndarray:
        changes: dict[str, Any] = {"seed": seed} if _has_seed(algorithm) else {}
        chosen = replace(algorithm, **changes)
        return np.asarray(chosen.cluster(space, silent).labels)

    return rerun


def stability(
    vectors: np.ndarray,
    labels: np.ndarray,
    rerun: Clusterer | Rerun,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Stability:
    """Repeats a clustering three times with other seeds and five times on other draws.

    Args:
        vectors: prepared, shape ``(n, dim)``, ``n`` at least 1, sorted by id, so that the draws
            do not depend on the order of the items.
        labels: shape ``(n,)``, clusters from 0, noise -1.
        rerun: the algorithm; or a callable from a space and a seed to labels.
        seed: of the draws and the re-runs. Of more than 20,000 items a sample is taken.
    """
    random = np.random.default_rng(seed)
    everything = np.arange(len(labels))
    if len(labels) > MOST:
        everything = np.sort(random.choice(len(labels), MOST, replace=False))
    repeats = _SEEDS
    if isinstance(rerun, Clusterer):
        repeats = _SEEDS if _has_seed(rerun) else 0
        rerun = seeded(rerun)
    n = len(everything)
    draws = [everything] * repeats
    draws += [everything[np.unique(random.integers(n, size=n))] for _ in range(_BOOTSTRAPS)]
    found = []
    for done, rows in enumerate(draws):
        progress(done / len(draws), f"clustering again, {done + 1} of {len(draws)}")
        again = (seed + 1 + done) % 2**31
        found.append((labels[rows], rerun(Space(vectors[rows]), again)))
    progress(1.0, "clustered again")
    indices = [_agreement(*pair) for pair in found]
    jaccards = [_jaccard(*pair, int(labels.max(initial=NOISE)) + 1) for pair in found[repeats:]]
    return Stability(
        tuple(indices[:repeats]), tuple(indices[repeats:]), _means(np.stack(jaccards)), n
    )


def _has_seed(algorithm: Clusterer) -> bool:
    return any(item.name == "seed" for item in fields(algorithm))


def _agreement(labels: np.ndarray, again: np.ndarray) -> float:
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(labels, again))


def _jaccard(labels: np.ndarray, again: np.ndarray, n_clusters: int) -> np.ndarray:
    """Greatest Jaccard index of each cluster with one of ``again``, shape ``(n_clusters,)``; NaN
    where none of its items was drawn."""
    sizes = np.bincount(labels[labels != NOISE], minlength=n_clusters)
    best = np.where(sizes > 0, 0.0, np.nan)
    inside = again != NOISE
    names, numbered = np.unique(again[inside], return_inverse=True)
    if len(names) == 0:
        return best
    others = np.bincount(numbered)
    both = labels[inside] != NOISE
    cells = labels[inside][both] * len(names) + numbered[both]
    cells, common = np.unique(cells, return_counts=True)
    mine, theirs = np.divmod(cells, len(names))
    np.maximum.at(best, mine, common / (sizes[mine] + others[theirs] - common))
    return best


def _means(jaccards: np.ndarray) -> tuple[float | None, ...]:
    """Of each column, NaN left out."""
    drawn = np.isfinite(jaccards)
    counts = drawn.sum(axis=0).tolist()
    sums = np.where(drawn, jaccards, 0.0).sum(axis=0).tolist()
    return tuple(
        total / count if count else None for total, count in zip(sums, counts, strict=True)
    )

"""How many groups there are: several rules are asked, because each has its own blind spots.

Two well-known rules are left out because they mislead: the modularity of Leiden's groups at
resolution 1 and the BIC of Gaussians with a diagonal covariance made 7 to 10 of two classes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from uvl_plugin.clustering.sweep import MOST, Sweep, means, nearest, numbers_of, sweep
from uvl_plugin.core.progress import Progress, part, silent

DENSE = "density"
_PAIRS = 3  # of halves that are compared
_EQUAL = 0.01  # difference of Rand indices that says nothing
_NEAR = 0.2  # share by which numbers may differ and still support each other; or 1
_STEP = 1.5  # to the next coarser or finer number, where no rule names one
_DIFFERENT = 1.1  # that far apart at least are the numbers that a person can choose from
_WORDS = ("no", "one", "two", "three", "four", "five")
_ORDINALS = ("", "first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True)
class Opinions:
    """What the rules say.

    Attributes:
        numbers: how many groups there are, by the name of the rule.
        peaks: numbers at which the silhouette is better than at those beside it.
    """

    numbers: dict[str, int]
    peaks: tuple[int, ...] = ()

    def chosen(self) -> int:
        """The number that the rules support best: that of the dense groups where the median of
        all rules is within 20 % of it, else the median.

        The median, because single rules are far off now and then, to both sides.
        """
        middle = max(1, round(median(self.numbers.values())))
        dense = self.numbers.get(DENSE, 0)
        return dense if abs(dense - middle) <= max(1.0, _NEAR * dense) and dense else middle

    def sureness(self, chosen: int) -> float:
        """Mean support of ``chosen``, 0 to 1: a rule with that number gives 1, one with half or
        twice as many nothing."""
        return float(
            np.mean([max(0.0, 1.0 - abs(math.log2(k / chosen))) for k in self.numbers.values()])
        )

    def candidates(self, chosen: int) -> tuple[list[int], list[int]]:
        """Coarser and finer numbers that a rule supports, the nearest to ``chosen`` first."""
        named = sorted({*self.numbers.values(), *self.peaks})
        coarser = _apart([k for k in reversed(named) if 1 < k < chosen], chosen)
        finer = _apart([k for k in named if chosen < k < MOST], chosen)
        return coarser, finer

    def moved(self, chosen: int, detail: int) -> int:
        """The number ``detail`` steps finer, or coarser below 0; beyond the supported numbers each
        step is half as many again, or two thirds."""
        coarser, finer = self.candidates(chosen)
        k = chosen
        for step in range(abs(detail)):
            if detail > 0:
                k = finer[step] if step < len(finer) else math.ceil(k * _STEP)
            else:
                k = coarser[step] if step < len(coarser) else max(1, math.floor(k / _STEP))
        return k

    def sentence(self, chosen: int) -> str:
        """For a person: "Four of five rules say 10; the fifth says 11."."""
        ranked = sorted(self.numbers.values())
        n, agree = len(ranked), ranked.count(chosen)
        others = ", ".join(str(k) for k in ranked if k != chosen)
        if agree == n:
            return f"All {_WORDS[n]} rules say {chosen}."
        if agree == n - 1:
            rules = f"{_WORDS[agree].capitalize()} of {_WORDS[n]} rules say {chosen}"
            return f"{rules}; the {_ORDINALS[n]} says {others}."
        if agree > 1:
            return (
                f"{_WORDS[agree].capitalize()} of {_WORDS[n]} rules say {chosen}, others {others}."
            )
        if self.numbers.get(DENSE) == chosen:
            return f"There are {chosen} dense groups; the other rules say {others}."
        return f"The rules do not agree ({', '.join(map(str, ranked))}); {chosen} is in the middle."


def _apart(numbers: list[int], chosen: int) -> list[int]:
    """Those that differ clearly from the one before."""
    kept = [chosen]
    for k in numbers:
        if max(k, kept[-1]) >= _DIFFERENT * min(k, kept[-1]):
            kept.append(k)
    return kept[1:]


def ask(vectors: np.ndarray, dense: int | None, seed: int, progress: Progress = silent) -> Opinions:
    """Asks all rules.

    Args:
        vectors: shape ``(n, dim)``, float32, a few thousand at most.
        dense: how many dense groups were found; None where there was no look-out for them.
        seed: of the halves that are compared.
    """
    found: dict[str, int] = {} if dense is None else {DENSE: max(1, dense)}
    numbers = numbers_of(len(vectors))
    if not numbers:
        return Opinions(found or {DENSE: 1})
    progress(0.0, "k-means for a range of numbers")
    runs = sweep(vectors, numbers)
    progress(0.2, "silhouettes")
    curve = silhouettes(runs)
    found["silhouette"] = numbers[int(curve.argmax())]
    found["Davies-Bouldin"] = numbers[int(davies_bouldin(runs).argmin())]
    found["Calinski-Harabasz"] = numbers[int(calinski_harabasz(runs).argmax())]
    alike = stability(runs, seed, part(progress, 0.4, 1.0))
    best = np.flatnonzero(alike >= alike.max() - _EQUAL)  # of equally stable ones the finest
    found["stability"] = numbers[int(best[-1])]
    inner = range(1, len(numbers) - 1)
    peaks = tuple(numbers[i] for i in inner if curve[i - 1] < curve[i] > curve[i + 1])
    return Opinions(found, peaks)


def silhouettes(runs: Sweep) -> np.ndarray:
    """Mean silhouette for each number (P. Rousseeuw, J. Comput. Appl. Math. 20, 1987, page 53)."""
    from scipy.spatial.distance import cdist

    apart = cdist(runs.vectors, runs.vectors).astype(np.float32)
    return np.array([_silhouette(apart, labels) for labels in runs.labels])


def _silhouette(apart: np.ndarray, labels: np.ndarray) -> float:
    rows = np.arange(len(labels))
    members = np.eye(labels.max() + 1, dtype=np.float32)[labels]
    sizes = members.sum(axis=0)
    sums = apart @ members
    own = sums[rows, labels] / np.maximum(sizes[labels] - 1, 1)
    to_others = sums / sizes
    to_others[rows, labels] = np.inf
    other = to_others.min(axis=1)
    larger = np.maximum(np.maximum(own, other), np.finfo(np.float32).tiny)
    return float(np.where(sizes[labels] > 1, (other - own) / larger, 0.0).mean())


def davies_bouldin(runs: Sweep) -> np.ndarray:
    """For each number how alike neighbouring clusters are; low is good (D. Davies, D. Bouldin,
    IEEE Trans. PAMI 1, 1979, page 224)."""
    from sklearn.metrics import davies_bouldin_score

    return np.array([_score(davies_bouldin_score, runs, labels, np.inf) for labels in runs.labels])


def calinski_harabasz(runs: Sweep) -> np.ndarray:
    """For each number the spread between clusters to that within; high is good (T. Calinski,
    J. Harabasz, Commun. Stat. 3, 1974, page 1)."""
    from sklearn.metrics import calinski_harabasz_score

    return np.array([_score(calinski_harabasz_score, runs, labels, 0.0) for labels in runs.labels])


def _score(score: Callable[..., float], runs: Sweep, labels: np.ndarray, worst: float) -> float:
    """Where equal items left but one cluster there is no score."""
    return score(runs.vectors, labels) if labels.any() else worst


def stability(runs: Sweep, seed: int, progress: Progress = silent) -> np.ndarray:
    """For each number, how alike the centroids of two halves of the items divide all of them:
    adjusted Rand index, mean of some pairs of halves (U. von Luxburg, "Clustering stability: an
    overview", Found. Trends Mach. Learn. 2, 2010, section 2)."""
    from sklearn.metrics import adjusted_rand_score

    random, n = np.random.default_rng(seed), len(runs.vectors)
    alike = np.zeros(len(runs.numbers))
    for turn in range(_PAIRS):
        progress(turn / _PAIRS, f"stability of k-means, {turn + 1} of {_PAIRS}")
        order = random.permutation(n)
        first, second = (_divided(rows, runs) for rows in np.array_split(order, 2))
        alike += [adjusted_rand_score(*pair) for pair in zip(first, second, strict=True)]
    return alike / _PAIRS


def _divided(rows: np.ndarray, runs: Sweep) -> list[np.ndarray]:
    """All items by their nearest centroid, for each number, where the centroids are those of
    the rows."""
    half = runs.vectors[np.sort(rows)]
    return [
        nearest(runs.vectors, means(half, labels)) for labels in sweep(half, runs.numbers).labels
    ]

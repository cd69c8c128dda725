"""Whether new items still fit the clusters: how many are far from all, which clusters changed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.core.embeddings import NOISE
from uvl_plugin.core.errors import DataError

_BEYOND = 0.01  # share of the members of a part that lie beyond its radius
_RARE = 0.01  # how often chance may raise an alarm where nothing has changed
_MORE = 1.5  # times the share before; what changed less is not told, however certain it is
_FAR = 0.02  # so many more items far away than were expected, of all, raise an alarm
_MOVED = 0.25  # as much of all items that went from some clusters to others


@dataclass(frozen=True)
class ClusterShare:
    """How common a cluster was and is, among the items that are in reach of one.

    Attributes:
        cluster: number.
        before, now: share of the items, 0 to 1.
        p: how probable so large a difference is by chance (Fisher's exact test), 0 to 1.
        change: ``"grown"``, ``"thinned"`` or ``""``: beyond chance, and by half at least.
    """

    cluster: int
    before: float
    now: float
    p: float
    change: str


@dataclass(frozen=True)
class Drift:
    """How new items differ from those that the clusters were made of.

    Attributes:
        n: new items.
        far: share that is beyond the radius of the nearest part of a cluster.
        far_expected: share that would be without any change.
        far_p: how probable so many far ones are by chance, 0 to 1.
        clusters: every cluster that exists, by number.
        total_variation: half the sum of the differences of the shares, 0 to 1.
        recluster: whether the clusters should be found anew.
        advice: one sentence that says so, with the reason.
    """

    n: int
    far: float
    far_expected: float
    far_p: float
    clusters: tuple[ClusterShare, ...]
    total_variation: float
    recluster: bool
    advice: str

    @property
    def grown(self) -> tuple[int, ...]:
        """Clusters that have become more common."""
        return tuple(each.cluster for each in self.clusters if each.change == "grown")

    @property
    def thinned(self) -> tuple[int, ...]:
        """Clusters that have become rarer."""
        return tuple(each.cluster for each in self.clusters if each.change == "thinned")

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [
            f"cluster {each.cluster}: {each.before:.1%} -> {each.now:.1%} {each.change}".rstrip()
            for each in self.clusters
        ]
        return "\n".join([self.advice, *lines])


def drift(model: ClusterModel, old_sizes: Mapping[int, int], prepared: np.ndarray) -> Drift:
    """Compares new items with those that the clusters were made of.

    The tests take the new items for independent of each other; frames of one video are not.

    Args:
        model: the clusters.
        old_sizes: items of each cluster; noise under -1, as it is far from clusters too.
        prepared: new vectors, prepared by the model, shape ``(n, kept)``.

    Raises:
        DataError: if there are no clusters, no old or no new items.
    """
    model.check()
    if len(prepared) == 0:
        raise DataError("There are no new items, so nothing can have changed.")
    if sum(old_sizes.values()) == 0:
        raise DataError("The clusters have no items, so there is nothing to compare with.")
    sizes = {number: size for number, size in old_sizes.items() if size and number != NOISE}
    numbers = np.union1d(model.owners[model.owners != NOISE], list(sizes)).astype(int)
    old = np.array([sizes.get(number, 0) for number in numbers.tolist()])
    parts, distances = model.nearest(prepared)
    members = _members(model, numbers, old)
    far = distances > _reach(model, members)[parts]
    labels = model.owners[parts[~far]]
    new = np.bincount(np.searchsorted(numbers, labels[labels != NOISE]), minlength=len(numbers))
    noise = old_sizes.get(NOISE, 0) / sum(old_sizes.values())
    expected, p = _chance(int(far.sum()), parts, members, noise)
    return _judged(_shares(numbers, old, new), far, expected, p)


def _members(model: ClusterModel, numbers: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """About how many items each part was made of, shape ``(parts,)``; 0: a part of noise."""
    n_parts = np.bincount(model.owners + 1, minlength=numbers.max(initial=0) + 2)  # noise at 0
    of_owner = np.zeros(len(n_parts))
    of_owner[numbers + 1] = sizes / np.maximum(n_parts[numbers + 1], 1)
    return of_owner[model.owners + 1]


def _reach(model: ClusterModel, members: np.ndarray) -> np.ndarray:
    """Beyond which distance from a part a new item is far, shape ``(parts,)``.

    A mean of m items lies nearer to them than to another item of their kind: squared distances
    are as 1 - 1/m to 1 + 1/m, so the radius of small parts is widened; 1 - cosine is half a
    squared distance. A part of noise reaches everywhere, as items go there by a person's wish.
    """
    m = np.maximum(members, 2.0)
    wider = (m + 1) / (m - 1)
    reach = model.radii * (wider if model.metric == "cosine" else np.sqrt(wider))
    return np.where(model.owners == NOISE, np.inf, reach)


def _chance(
    n_far: int, parts: np.ndarray, members: np.ndarray, noise: float
) -> tuple[float, float]:
    """Expected share of far items where nothing has changed, and how probable ``n_far`` are.

    Of m + 1 items alike, the last lies beyond the h-th of the others with probability
    1 - h/(m + 1), and the radius is at h = 1 + 0.99 (m - 1). The share beyond a given radius is
    then spread like a beta distribution (H. David, H. Nagaraja, Order Statistics, 3rd edition,
    2003, chapter 2) and the count like a beta-binomial one.

    Args:
        parts: nearest part of each new item, shape ``(n,)``.
        members: items that each part was made of, shape ``(parts,)``; 0: nothing is far.
        noise: share of the old items that belonged to no cluster.
    """
    from scipy.stats import betabinom

    n, m = len(parts), np.maximum(members, 1.0)
    beyond = np.where(members > 0, (1 + _BEYOND * (m - 1)) / (m + 1), 0.0)
    weights = (1 - noise) * np.bincount(parts, minlength=len(m)) / n
    expected = float(noise + weights @ beyond)
    variance = float(weights**2 @ (beyond * (1 - beyond) / (m + 2)))
    if not 0 < expected < 1:
        return expected, float(n_far <= expected * n)
    total = min(expected * (1 - expected) / max(variance, 1e-12) - 1, 1e6)
    chance = betabinom(n, expected * total, (1 - expected) * total).sf(n_far - 1)
    return expected, float(np.clip(chance, 0.0, 1.0))


def _shares(numbers: np.ndarray, old: np.ndarray, new: np.ndarray) -> tuple[ClusterShare, ...]:
    """Each cluster before and now; R. Fisher, J. R. Stat. Soc. 98 (1935), page 39."""
    from scipy.stats import hypergeom

    n_old, n_new = old.sum(), new.sum()
    chance = hypergeom(n_old + n_new, old + new, n_new)
    tails = np.minimum(chance.cdf(new), chance.sf(new - 1))
    p = np.minimum(2 * tails, 1.0)
    before, now = old / max(n_old, 1), new / max(n_new, 1)
    certain = p * len(numbers) < _RARE  # each cluster is one more chance to be wrong
    change = np.where(certain & (now >= _MORE * before), "grown", "")
    change = np.where(certain & (before >= _MORE * now), "thinned", change)
    columns = (numbers, before, now, p, change)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return tuple(ClusterShare(*row) for row in rows)


def _judged(
    shares: tuple[ClusterShare, ...], beyond: np.ndarray, expected: float, p: float
) -> Drift:
    n, far = len(beyond), float(beyond.mean())
    away = p < _RARE and far >= expected + _FAR
    changed = [each for each in shares if each.change]
    moved = sum(abs(each.now - each.before) for each in changed) / 2
    if away:
        advice = (
            f"Re-cluster: {far:.1%} of {n:,} new items are far from every cluster, {expected:.1%} "
            "were to be expected."
        )
    elif moved >= _MOVED:
        advice = (
            f"Re-cluster: {len(changed)} of {len(shares)} clusters have grown or thinned out, and "
            f"{moved:.0%} of the items with them."
        )
    else:
        told = f", though {len(changed)} of {len(shares)} have grown or thinned out"
        advice = (
            f"The clusters still fit: {far:.1%} of {n:,} new items are far from all of them, "
            f"{expected:.1%} were to be expected{told if changed else ''}."
        )
    return Drift(
        n=n,
        far=far,
        far_expected=expected,
        far_p=p,
        clusters=shares,
        total_variation=sum(abs(each.now - each.before) for each in shares) / 2,
        recluster=bool(away or moved >= _MOVED),
        advice=advice,
    )

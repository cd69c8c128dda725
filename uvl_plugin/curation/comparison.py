"""What became of the clusters of one run in another."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from uvl_plugin.core.embeddings import NOISE
from uvl_plugin.core.errors import DataError
from uvl_plugin.curation.edited import Edited
from uvl_plugin.curation.identity import SAME, on_common, overlaps

_PIECE = 0.1  # share of a cluster that makes a piece of it worth telling
_TOLD = 10  # of each kind, in the text

_Parts = dict[int, list[tuple[int, float]]]  # pieces of each cluster and their shares


@dataclass(frozen=True)
class Same:
    """A cluster that both runs have.

    Attributes:
        overlap: items in both clusters as share of those in either, above 0.5 to 1.
    """

    first: str
    second: str
    overlap: float

    def __str__(self) -> str:
        return f"{self.first} = {self.second} ({self.overlap:.0%})"


@dataclass(frozen=True)
class Pieces:
    """One cluster, and those that it was split into or merged from, the largest first.

    Attributes:
        pieces: name of each, and its share of the items of the cluster.
    """

    cluster: str
    pieces: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        told = ", ".join(f"{name} ({share:.0%})" for name, share in self.pieces)
        return f"{self.cluster}: {told}"


@dataclass(frozen=True)
class Comparison:
    """How the clusters of two runs agree, by the items that are in both.

    A cluster of the first run is the same, split, in a merged one, or gone; one of the second
    is the same, a piece of a split one, merged, or new. Those without common items are left out.

    Attributes:
        n_common: items in both runs.
        n_only_first, n_only_second: items in one of them.
        ari: Rand index adjusted for chance; noise counts as one cluster here and below.
        nmi: normalised mutual information, arithmetic mean, 0 to 1.
        same: clusters that share more than half of their items.
        split: clusters of the first run that two or more of the second were made of.
        merged: clusters of the second run that two or more of the first went into.
        gone: clusters of the first run that are none of these, such as those that are noise now.
        new: clusters of the second run that are none of these.
        table: name in the first run, name in the second ("noise" for noise), and how many
            items have both; pairs without items are left out.
    """

    n_common: int
    n_only_first: int
    n_only_second: int
    ari: float
    nmi: float
    same: tuple[Same, ...]
    split: tuple[Pieces, ...]
    merged: tuple[Pieces, ...]
    gone: tuple[str, ...]
    new: tuple[str, ...]
    table: tuple[tuple[str, str, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        only = f"{self.n_only_first:,} only in the first, {self.n_only_second:,} only in the second"
        lines = [
            f"{self.n_common:,} items in both runs, {only}",
            f"ARI {self.ari:.3f}, NMI {self.nmi:.3f}",
            *_told("same", self.same),
            *_told("split", self.split),
            *_told("merged", self.merged),
            *_told("gone", self.gone),
            *_told("new", self.new),
        ]
        return "\n".join(lines)


def compare(first: Edited, second: Edited) -> Comparison:
    """Compares two runs by the items that both have.

    Raises:
        DataError: if they have no item in common.
    """
    from sklearn import metrics

    old, new = on_common(first.raw.ids, first.labels, second.raw.ids, second.labels)
    if len(old) == 0:
        raise DataError("The two runs have no item in common, so there is nothing to compare.")
    fates = _Fates(old, new)
    names, new_names = {**first.names, NOISE: "noise"}, {**second.names, NOISE: "noise"}
    told = zip(fates.pairs.tolist(), fates.shared.tolist(), strict=True)
    return Comparison(
        n_common=len(old),
        n_only_first=len(first.raw.ids) - len(old),
        n_only_second=len(second.raw.ids) - len(old),
        ari=float(metrics.adjusted_rand_score(old, new)),
        nmi=float(metrics.normalized_mutual_info_score(old, new)),
        same=tuple(Same(names[a], new_names[b], share) for a, b, share in fates.same),
        split=_named(fates.split, names, new_names),
        merged=_named(fates.merged, new_names, names),
        gone=tuple(names[cluster] for cluster in fates.gone),
        new=tuple(new_names[cluster] for cluster in fates.new),
        table=tuple((names[a], new_names[b], count) for (a, b), count in told),
    )


class _Fates:
    """What became of each cluster, as numbers.

    Args:
        old, new: shape ``(n,)``, noise -1.
    """

    def __init__(self, old: np.ndarray, new: np.ndarray):
        self.pairs, self.shared, overlap = overlaps(old, new)
        self._clusters = (self.pairs != NOISE).all(axis=1)
        of_old = self.shared / np.bincount(old + 1)[self.pairs[:, 0] + 1]
        of_new = self.shared / np.bincount(new + 1)[self.pairs[:, 1] + 1]
        self.split = self._pieces(0, of_old, of_new)
        self.merged = self._pieces(1, of_new, of_old)
        told = [{*self.split, *_inside(self.merged)}, {*self.merged, *_inside(self.split)}]
        same = np.flatnonzero(self._clusters & (overlap > SAME))
        self.same = [
            (first, second, share)
            for (first, second), share in zip(
                self.pairs[same].tolist(), overlap[same].tolist(), strict=True
            )
            if first not in told[0] and second not in told[1]
        ]
        told[0].update(first for first, _, _ in self.same)
        told[1].update(second for _, second, _ in self.same)
        self.gone = sorted({*self.pairs[:, 0].tolist()} - told[0] - {NOISE})
        self.new = sorted({*self.pairs[:, 1].tolist()} - told[1] - {NOISE})

    def _pieces(self, side: int, of_whole: np.ndarray, of_piece: np.ndarray) -> _Parts:
        """Clusters of one side in which at least two of the other side mostly lie."""
        found: _Parts = {}
        chosen = self._clusters & (of_whole >= _PIECE) & (of_piece > SAME)
        for pair, share in zip(self.pairs[chosen].tolist(), of_whole[chosen].tolist(), strict=True):
            found.setdefault(pair[side], []).append((pair[1 - side], share))
        return {
            whole: sorted(parts, key=lambda part: (-part[1], part[0]))
            for whole, parts in sorted(found.items())
            if len(parts) > 1
        }


def _inside(found: _Parts) -> set[int]:
    return {piece for parts in found.values() for piece, _ in parts}


def _named(
    found: _Parts, names: Mapping[int, str], of_pieces: Mapping[int, str]
) -> tuple[Pieces, ...]:
    return tuple(
        Pieces(names[whole], tuple((of_pieces[piece], share) for piece, share in parts))
        for whole, parts in found.items()
    )


def _told(kind: str, found: tuple[Any, ...]) -> list[str]:
    """A headline with the count, and the first few."""
    lines = [f"{kind}: {len(found)}", *(f"  {each}" for each in found[:_TOLD])]
    return [*lines, "  ..."] if len(found) > _TOLD else lines

"""Which images are learnt from, which watch the training, and which judge it at the end."""

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.settings import Settings, setting

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Split(Settings):
    """Shares of the parts. The same ids, labels or groups, and seed give the same parts."""

    validation: float = setting(
        0.1, ge=0.0, le=0.8, help="Share of the images that watches the training; not learnt from."
    )
    test: float = setting(
        0.1, ge=0.0, le=0.8, help="Share of the images that is looked at once, at the end."
    )
    seed: int = setting(0, ge=0, le=2**31 - 1, help="Another seed, another split.")
    stratify: str = setting(
        "", help="Label field whose classes get the same shares in every part; empty: none."
    )
    group: str = setting(
        "", help="Field whose equal values stay in one part, such as a video's name; empty: none."
    )
    tag: bool = setting(False, help="Tag the samples with the name of their part.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stratify and self.group:
            raise SettingsError(
                f"Split.stratify and Split.group exclude each other, got '{self.stratify}' and "
                f"'{self.group}'; leave one empty.",
                "group",
            )
        if self.validation + self.test >= 1:
            raise SettingsError(
                "Split.validation and Split.test must leave something to learn from, got "
                f"{self.validation:g} + {self.test:g}; together they must be below 1.",
                "test",
            )

    @property
    def shares(self) -> tuple[float, float, float]:
        """Share of each of :data:`PARTS`; together 1."""
        return 1.0 - self.validation - self.test, self.validation, self.test


def split_ids(
    ids: Sequence[str],
    split: Split,
    *,
    labels: Sequence[Hashable] | None = None,
    groups: Sequence[Hashable] | None = None,
) -> dict[str, list[str]]:
    """Divides items among the parts; the order in which they are given does not matter.

    Part sizes are the shares of ``n``, rounded; with ``groups`` they come near. Every part
    that has a share gets an item where there are as many items as such parts.

    Args:
        ids: ``n`` different ids.
        labels: class of each item, ``(n,)``: in each class the shares hold, to within
            an item and a half; None is a class as well.
        groups: group of each item, ``(n,)``, which is not divided; an item with None is a
            group of its own.

    Returns:
        Ids by the names in :data:`PARTS`, each list sorted; some may be empty.

    Raises:
        DataError: if an id occurs twice, lengths disagree, or there are fewer groups than
            parts.
    """
    for what, values in (("labels", labels), ("groups", groups)):
        if values is not None and len(values) != len(ids):
            raise DataError(
                f"A split needs one of the {what} per id, got {len(values)} of them "
                f"for {len(ids)} ids."
            )
    if len(set(ids)) != len(ids):
        raise DataError(f"A split needs unique ids; {len(ids) - len(set(ids))} occur again.")
    sizes = _sizes(len(ids), split.shares)
    if groups is None:
        parts = _deal(
            _in_order(ids, [None] * len(ids) if labels is None else labels, split.seed), sizes
        )
    else:
        parts = _deal_groups(_grouped(ids, groups, split.seed), sizes)
    return {name: sorted(part) for name, part in zip(PARTS, parts, strict=True)}


def _sizes(n: int, shares: Sequence[float]) -> list[int]:
    """Items of each part by the largest remainders; none that has a share is left empty if
    there are as many items as such parts."""
    exact = [n * share for share in shares]
    sizes = [int(size) for size in exact]
    by_remainder = sorted(range(len(shares)), key=lambda part: sizes[part] - exact[part])
    for part in by_remainder[: n - sum(sizes)]:
        sizes[part] += 1
    wanted = [part for part, share in enumerate(shares) if share > 0]
    for part in wanted:
        if sizes[part] == 0 and n >= len(wanted):
            sizes[sizes.index(max(sizes))] -= 1
            sizes[part] = 1
    return sizes


def _in_order(ids: Sequence[str], labels: Sequence[Hashable], seed: int) -> list[str]:
    """Class after class, each in an order that only the seed and the names decide."""
    places = {label: _place(seed, "label", label) for label in set(labels)}
    pairs = zip(ids, labels, strict=True)
    return [
        name
        for _, _, name in sorted((places[label], _place(seed, name), name) for name, label in pairs)
    ]


def _deal(items: list[str], sizes: list[int]) -> list[list[str]]:
    """Deals one item after the other to the part that is furthest behind its share, so that
    every stretch of the order, such as a class, has the shares too."""
    parts: list[list[str]] = [[] for _ in sizes]
    for dealt, item in enumerate(items, start=1):
        behind = [
            size * dealt - len(part) * len(items) for size, part in zip(sizes, parts, strict=True)
        ]
        parts[behind.index(max(behind))].append(item)
    return parts


def _grouped(ids: Sequence[str], groups: Sequence[Hashable], seed: int) -> list[list[str]]:
    """Ids by group: the largest first, among equals in an order that the seed decides."""
    members: dict[tuple, list[str]] = defaultdict(list)
    for name, group in zip(ids, groups, strict=True):
        members[("item", name) if group is None else ("group", group)].append(name)
    keys = sorted(members, key=lambda key: (-len(members[key]), _place(seed, *key)))
    return [members[key] for key in keys]


def _deal_groups(groups: list[list[str]], sizes: list[int]) -> list[list[str]]:
    """Deals one group after the other to the part that it fills least. Large groups come
    first, while every part has room; a part that is still empty gets one of the last."""
    wanted = [part for part, size in enumerate(sizes) if size > 0]
    if len(groups) < len(wanted):
        names = " and ".join(PARTS[part] for part in wanted)
        raise DataError(
            f"The items are in {len(groups)} group(s), and {names} need one each; name a field "
            "with more values in Split.group, or set a share to 0.",
            "group",
        )
    parts: list[list[str]] = [[] for _ in sizes]
    for left, group in zip(range(len(groups), 0, -1), groups, strict=True):
        empty = [part for part in wanted if not parts[part]]
        fill = {
            part: (len(parts[part]) + len(group)) / sizes[part]
            for part in (empty if left <= len(empty) else wanted)
        }
        parts[min(fill, key=fill.__getitem__)].extend(group)
    return parts


def _place(seed: int, *key: Hashable) -> bytes:
    return hashlib.sha256(repr((seed, *key)).encode()).digest()

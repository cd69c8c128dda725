from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.training.split import PARTS, Split, split_ids

shares = st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.3, 0.45])
splits = st.builds(Split, validation=shares, test=shares, seed=st.integers(0, 99))
kinds = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=60)


def names(n: int) -> list[str]:
    return [f"image {i}" for i in range(n)]


def by_part(parts: dict[str, list[str]], values: list) -> dict[str, Counter]:
    known = dict(zip(names(len(values)), values, strict=True))
    return {part: Counter(known[name] for name in ids) for part, ids in parts.items()}


@given(splits, kinds, st.sampled_from(["labels", "groups", "neither"]), st.randoms())
def test_every_item_is_in_one_part_whatever_the_order(split, values, how, random):
    ids = names(len(values))
    if how == "groups":
        values = ["a", "b", "c", *values[3:]]  # as many groups as parts at least
        ids = names(len(values))
    given = {} if how == "neither" else {how: values}
    parts = split_ids(ids, split, **given)
    assert tuple(parts) == PARTS
    assert sorted(name for part in parts.values() for name in part) == sorted(ids)
    order = random.sample(range(len(ids)), len(ids))
    turned = {} if how == "neither" else {how: [values[i] for i in order]}
    assert split_ids([ids[i] for i in order], split, **turned) == parts


@given(splits, kinds)
def test_the_shares_hold_as_a_whole_and_in_each_class(split, labels):
    n = len(labels)
    parts = split_ids(names(n), split, labels=labels)
    found = by_part(parts, labels)
    for part, share in zip(PARTS, split.shares, strict=True):
        size = len(parts[part])
        if n >= 20:  # below, a part with a share gets its first item at the cost of the others
            assert abs(size - n * share) < 1 + 1e-9
        if n >= len(PARTS):
            assert bool(size) == (share > 0)
        for label, count in Counter(labels).items():
            assert abs(found[part][label] - count * size / n) < 1.5


@given(splits, st.lists(st.integers(1, 12), min_size=3, max_size=12))
def test_groups_stay_whole_and_sizes_come_near(split, group_sizes):
    groups = [group for group, size in enumerate(group_sizes) for _ in range(size)]
    parts = split_ids(names(len(groups)), split, groups=groups)
    found = by_part(parts, groups)
    for group in range(len(group_sizes)):
        assert sum(group in counts for counts in found.values()) == 1
    for part, share in zip(PARTS, split.shares, strict=True):
        assert bool(parts[part]) == (share > 0)
        assert abs(len(parts[part]) - share * len(groups)) <= 2 * max(group_sizes)


def test_one_huge_group_leaves_the_small_ones_to_the_other_parts():
    groups = ["long video"] * 1000 + [f"short {i // 10}" for i in range(200)]
    parts = split_ids(names(1200), Split(), groups=groups)
    assert {part: len(ids) for part, ids in parts.items()} == {
        "train": 1000, "validation": 100, "test": 100,
    }  # fmt: skip


def test_equal_groups_give_exact_shares():
    groups = [i // 7 for i in range(700)]
    parts = split_ids(names(700), Split(), groups=groups)
    assert [len(parts[part]) for part in PARTS] == [560, 70, 70]


def test_items_without_a_group_are_groups_of_their_own():
    parts = split_ids(names(100), Split(), groups=[None] * 100)
    assert [len(parts[part]) for part in PARTS] == [80, 10, 10]


def test_the_seed_decides_and_nothing_else():
    ids = names(200)
    first, again, other = (split_ids(ids, Split(seed=seed)) for seed in (0, 0, 1))
    assert first == again
    kept = set(first["test"]) & set(other["test"])
    assert len(first["test"]) == 20
    assert len(kept) < 10  # 2 are expected by chance
    groups = [i // 4 for i in range(200)]
    assert split_ids(ids, Split(), groups=groups) != split_ids(ids, Split(seed=1), groups=groups)


def test_the_split_of_today_is_that_of_tomorrow():
    """Parts are recorded nowhere but in the seed: another order of dealing would leak."""
    assert split_ids(names(10), Split(validation=0.2, test=0.2)) == {
        "train": ["image 0", "image 1", "image 5", "image 7", "image 8", "image 9"],
        "validation": ["image 2", "image 4"],
        "test": ["image 3", "image 6"],
    }


def test_rare_classes_are_spread_over_the_parts():
    labels = [f"class {i // 2}" for i in range(100)]  # two items each, shares of a tenth
    parts = split_ids(names(100), Split(), labels=labels)
    assert [len(parts[part]) for part in PARTS] == [80, 10, 10]
    assert len(by_part(parts, labels)["validation"]) >= 9


@pytest.mark.parametrize(
    ("n", "sizes"), [(3, [1, 1, 1]), (9, [7, 1, 1]), (16, [13, 2, 1]), (19, [15, 2, 2])]
)
def test_sizes_are_rounded_by_the_largest_remainders(n, sizes):
    parts = split_ids(names(n), Split())
    assert [len(parts[part]) for part in PARTS] == sizes


@pytest.mark.parametrize("n", [0, 1, 2])
def test_tiny_data_are_learnt_from_first(n):
    parts = split_ids(names(n), Split())
    assert [len(parts[part]) for part in PARTS] == [n, 0, 0]


def test_too_few_groups_are_an_error():
    with pytest.raises(DataError, match=r"in 1 group.*train and validation and test need one"):
        split_ids(names(50), Split(), groups=["one video"] * 50)
    parts = split_ids(names(50), Split(validation=0, test=0), groups=["one video"] * 50)
    assert len(parts["train"]) == 50


def test_wrong_lengths_and_repeated_ids_are_errors():
    with pytest.raises(DataError, match="got 1 of them for 2 ids"):
        split_ids(["a", "b"], Split(), labels=["x"])
    with pytest.raises(DataError, match="got 3 of them for 2 ids"):
        split_ids(["a", "b"], Split(), groups=["x"] * 3)
    with pytest.raises(DataError, match="unique ids; 1 occur"):
        split_ids(["a", "a"], Split())


def test_settings_that_exclude_each_other_are_errors():
    with pytest.raises(SettingsError, match="exclude each other") as caught:
        Split(stratify="ground_truth", group="video")
    assert caught.value.argument == "group"
    with pytest.raises(SettingsError, match=r"something to learn from, got 0\.5 \+ 0\.5"):
        Split(validation=0.5, test=0.5)
    assert Split.from_dict(Split(group="video").to_dict()) == Split(group="video")

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from uvl_plugin.core.errors import DataError
from uvl_plugin.curation.comparison import Pieces, Same, compare
from uvl_plugin.curation.edited import Edited, RawClusters


def run_of(labels, prefix, ids=None) -> Edited:
    labels = np.asarray(labels)
    names = tuple(f"{prefix}{number}" for number in range(labels.max(initial=-1) + 1))
    return Edited.of(RawClusters(np.arange(len(labels)) if ids is None else ids, labels, names))


def test_each_cluster_is_told_what_became_of_it():
    #         same        split     merged          gone        to noise
    first = [0] * 10 + [1] * 10 + [2] * 6 + [3] * 4 + [4] * 6 + [5] * 3 + [-1] * 4
    second = [0] * 9 + [-1] + [1] * 6 + [2] * 4 + [3] * 10 + [0, 1, 2, 3, 4, 4] + [-1] * 3 + [4] * 4
    found = compare(run_of(first, "a"), run_of(second, "b"))
    assert found.same == (Same("a0", "b0", 9 / 11),)
    assert found.split == (Pieces("a1", (("b1", 0.6), ("b2", 0.4))),)
    assert found.merged == (Pieces("b3", (("a2", 6 / 11), ("a3", 4 / 11))),)
    assert found.gone == ("a4", "a5")
    assert found.new == ("b4",)
    assert ("a5", "noise", 3) in found.table
    assert sum(count for *_, count in found.table) == len(first)


def test_a_crumb_does_not_make_a_split():
    found = compare(run_of([0] * 20, "a"), run_of([0] * 19 + [1], "b"))
    assert (found.same, found.split) == ((Same("a0", "b0", 0.95),), ())
    assert found.new == ("b1",)


def test_only_items_that_both_have_count():
    first = run_of([0, 0, 1, 1, 1], "a", list("vwxyz"))
    second = run_of([1, 1, 0, 0, 1, 1], "b", list("zyxwop"))
    found = compare(first, second)
    assert (found.n_common, found.n_only_first, found.n_only_second) == (4, 1, 2)
    assert sorted(found.table) == [("a0", "b0", 1), ("a1", "b0", 1), ("a1", "b1", 2)]


def test_runs_of_other_items_do_not_compare():
    with pytest.raises(DataError, match="no item in common"):
        compare(run_of([0], "a", ["x"]), run_of([0], "b", ["y"]))


def test_the_text_says_it_all_and_is_not_long():
    labels = np.arange(100) // 5
    text = str(compare(run_of(labels, "a"), run_of(np.append(labels, 0), "b")))
    assert "100 items in both runs, 0 only in the first, 1 only in the second" in text
    assert "ARI 1.000, NMI 1.000" in text
    assert "same: 20\n  a0 = b0 (100%)\n" in text
    assert "  ...\nsplit: 0" in text
    assert len(text.splitlines()) == 18


labels = arrays(np.int64, 40, elements=st.integers(-1, 4))


@given(labels, labels)
def test_every_cluster_has_a_fate(one, two):
    found = compare(run_of(one, "a"), run_of(two, "b"))
    in_merged = {name for pieces in found.merged for name, _ in pieces.pieces}
    fates = [
        {same.first for same in found.same},
        {each.cluster for each in found.split} | in_merged,
    ]
    assert set.union(*fates, found.gone) == {f"a{number}" for number in set(one) - {-1}}
    assert sum(map(len, fates)) + len(found.gone) == len(set(one) - {-1})
    assert found.ari == pytest.approx(adjusted_rand_score(one, two))
    assert found.nmi == pytest.approx(normalized_mutual_info_score(one, two))
    for name, other, count in found.table:
        both = [
            labels == (-1 if told == "noise" else int(told[1:]))
            for told, labels in ((name, one), (other, two))
        ]
        assert count == np.sum(both[0] & both[1]) > 0


@given(labels, labels)
def test_the_other_way_round_it_is_the_reverse(one, two):
    there = compare(run_of(one, "a"), run_of(two, "b"))
    back = compare(run_of(two, "b"), run_of(one, "a"))
    assert there.split == back.merged
    assert there.merged == back.split
    assert (there.new, there.gone) == (back.gone, back.new)
    assert json.loads(json.dumps(there.to_dict()))["ari"] == pytest.approx(back.ari)


def test_a_run_is_the_same_as_itself():
    run = run_of([0, 0, 1, 2, 2, -1], "a")
    found = compare(run, run)
    assert [each.overlap for each in found.same] == [1, 1, 1]
    assert (found.split, found.merged, found.gone, found.new) == ((), (), (), ())


def test_many_clusters_are_compared_at_once():
    random = np.random.default_rng(0)
    first = random.integers(0, 5000, 100_000)
    found = compare(run_of(first, "a"), run_of(first // 2, "b"))
    assert len(found.merged) == 2500
    assert not found.same

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from uvl_plugin.core.errors import DataError
from uvl_plugin.curation.edited import RawClusters
from uvl_plugin.curation.edits import Recluster, Rename
from uvl_plugin.curation.history import replay
from uvl_plugin.curation.identity import carried_names, matched, on_common


def named(number: int) -> str:
    return f"run {number:02d}"


def by_hand(old, new) -> dict[int, int]:
    found = {}
    for number in set(new) - {-1}:
        for former in set(old) - {-1}:
            one, two = set(np.flatnonzero(new == number)), set(np.flatnonzero(old == former))
            if len(one & two) / len(one | two) > 0.5:
                assert number not in found  # no cluster is the same as two
                found[number] = former
    return found


@given(st.data(), st.integers(0, 25))
def test_the_same_are_those_by_the_definition(data, n):
    labels = arrays(np.int64, n, elements=st.integers(-1, 3))
    old, new = data.draw(labels), data.draw(labels)
    found = matched(old, new)
    assert found == by_hand(old, new)
    assert len(set(found.values())) == len(found)


def test_half_is_not_the_same():
    assert matched(np.array([0, 0, 0, 0]), np.array([0, 0, 1, 1])) == {}
    assert matched(np.array([0, 0, 0, 0, 0]), np.array([0, 0, 1, 1, 1])) == {1: 0}


def test_noise_is_no_cluster():
    assert matched(np.array([-1, -1, 0]), np.array([-1, -1, -1])) == {}


def test_labels_of_other_items_are_refused():
    with pytest.raises(DataError, match="2 old labels cannot be compared with 3 new ones"):
        matched(np.zeros(2, np.int64), np.zeros(3, np.int64))


def test_only_items_that_both_have_count():
    old, new = on_common(
        np.array(["c", "a", "b"]),
        np.array([2, 0, 1]),
        np.array(["d", "b", "c"]),
        np.array([7, 8, 9]),
    )
    assert (old.tolist(), new.tolist()) == ([1, 2], [8, 9])


OLD = replay(
    RawClusters(list("abcdefgh"), [0, 0, 0, 1, 1, 2, 2, -1], map(named, range(3))), (), named
)


def test_names_are_carried_over_and_new_ones_never_repeat():
    ids = np.array(list("hgfedcbaxyz"))
    labels = np.array([3, 2, 2, 1, 3, 0, 0, 0, 2, 2, -1])
    names, following = carried_names(OLD, ids, labels)
    assert names == ("run 00", "run 03", "run 02", "run 04")
    assert following == 5


def test_edited_clusters_keep_what_a_person_called_them():
    edits = (Rename(1, "cats"), Recluster(["a", "b"], [0, 0]), Rename(3, "run 04"))
    old = replay(OLD.raw, edits, named)
    names, following = carried_names(old, old.raw.ids, np.array([2, 2, 3, 1, 1, 0, 0, 4]))
    assert names == ("run 02", "cats", "run 04", "run 00", "run 05")
    assert following == 6


def test_numbers_go_on_from_run_to_run():
    names, following = carried_names(OLD, np.array(["x", "y"]), np.array([0, 1]))
    assert (names, following) == (("run 03", "run 04"), 5)
    raw = RawClusters(["x", "y"], [0, 1], names, next_number=following)
    again = replay(raw, (Recluster(["x"], [0]),), named)
    assert dict(again.names) == {1: "run 04", 5: "run 05"}


def test_all_noise_has_no_names():
    assert carried_names(OLD, OLD.raw.ids, np.full(8, -1)) == ((), 3)


def test_many_clusters_are_matched_at_once():
    random = np.random.default_rng(0)
    old = random.integers(0, 20_000, 200_000)
    shuffled = random.permutation(20_000)
    found = matched(old, shuffled[old])
    assert all(found[shuffled[number]] == number for number in set(old.tolist()))

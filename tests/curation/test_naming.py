import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from uvl_plugin.curation.naming import COARSE, FINE, names_of, other_names

labels_of = arrays(np.int64, 30, elements=st.integers(-1, 4))


def named(labels):
    return {int(number): f"run {number:02d}" for number in set(labels) - {-1}}


def test_names_are_looked_up_and_noise_has_its_own():
    labels = np.array([3, -1, 0, 3])
    found = names_of(labels, {0: "run 00", 3: "tulips"}, "run")
    assert found.tolist() == ["tulips", "run noise", "run 00", "tulips"]


def test_fine_names_begin_with_that_of_their_cluster():
    labels, fine = np.array([0, 0, 0, 1, 1, -1]), np.array([0, 1, 1, 2, 2, -1])
    found = other_names(labels, {0: "tulips", 1: "run 01"}, fine, FINE, "run")
    assert found.tolist() == [
        "tulips.00", "tulips.01", "tulips.01", "run 01.00", "run 01.00", "run noise",
    ]  # fmt: skip


def test_a_merged_cluster_numbers_the_parts_of_both():
    labels, fine = np.array([0, 0, 0, 0]), np.array([0, 1, 4, 7])
    found = other_names(labels, {0: "run 00"}, fine, FINE, "run")
    assert found.tolist() == ["run 00.00", "run 00.01", "run 00.02", "run 00.03"]


def test_a_cluster_has_the_group_of_most_of_its_members():
    labels, coarse = np.array([5, 5, 5, 8, 8, 9]), np.array([2, 2, 0, 0, 0, -1])
    found = other_names(labels, {5: "a", 8: "b", 9: "c"}, coarse, COARSE, "run")
    assert found.tolist() == ["run group 02"] * 3 + ["run group 00"] * 2 + ["c"]


@given(labels_of, labels_of)
def test_fine_clusters_stay_inside_their_cluster_whatever_was_edited(labels, fine):
    names = named(labels)
    found = other_names(labels, names, fine, FINE, "run")
    own = names_of(labels, names, "run")
    parents = dict(zip(found, own, strict=True))
    assert [parents[name] for name in found] == own.tolist()
    pairs = {pair for pair in zip(labels.tolist(), fine.tolist(), strict=True) if pair[0] != -1}
    assert len(set(found) - {"run noise"}) == len(pairs)
    assert ((found == "run noise") == (labels == -1)).all()


@given(labels_of, labels_of)
def test_coarse_clusters_hold_whole_clusters_whatever_was_edited(labels, coarse):
    found = other_names(labels, named(labels), coarse, COARSE, "run")
    assert len(set(zip(labels.tolist(), found, strict=True))) == len(set(labels.tolist()))


@pytest.mark.parametrize("level", [FINE, COARSE])
def test_noise_alone_is_named(level):
    noise = np.full(3, -1)
    assert other_names(noise, {}, noise, level, "run").tolist() == ["run noise"] * 3

"""How many of each cluster."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvl_plugin.core.errors import SettingsError
from uvl_plugin.picking.quotas import check_quotas, shared_out, shares

GROUP = st.tuples(st.integers(0, 50), st.integers(0, 40), st.integers(0, 60))


@given(st.integers(0, 300), st.lists(GROUP, min_size=1, max_size=12))
def test_the_budget_is_given_away_exactly_and_nobody_gets_more_than_its_room(budget, groups):
    wanted, had, room = (np.array(column) for column in zip(*groups, strict=True))
    found = shared_out(budget, wanted.astype(float), had, room)
    assert found.sum() == min(budget, room.sum())
    assert (found >= 0).all()
    assert (found <= room).all()


@given(st.integers(0, 300), st.lists(st.integers(1, 50), min_size=1, max_size=12))
def test_with_room_enough_each_gets_its_share_to_less_than_one(budget, wanted):
    parts = np.array(wanted, float)
    nothing, plenty = np.zeros(len(parts)), np.full(len(parts), 1000)
    found = shared_out(budget, parts, nothing, plenty)
    assert np.abs(found - budget * parts / parts.sum()).max() < 1.0
    larger = parts[:, None] > parts[None, :]
    assert not (larger & (found[:, None] < found[None, :])).any()


def out(budget, wanted, had=None, room=None):
    n = len(wanted)
    had = [0] * n if had is None else had
    room = [100] * n if room is None else room
    return shared_out(budget, np.array(wanted, float), np.array(had), np.array(room)).tolist()


def test_remainders_go_to_the_largest_then_to_the_first():
    assert out(10, [1, 1, 1]) == [4, 3, 3]
    assert out(11, [5, 3, 2]) == [6, 3, 2]
    assert out(1, [2, 3]) == [0, 1]


def test_a_cluster_with_too_few_items_passes_its_part_on():
    assert out(12, [1, 1, 1], room=[2, 100, 100]) == [2, 5, 5]
    assert out(12, [1, 1, 1], room=[2, 3, 4]) == [2, 3, 4]


def test_what_a_cluster_has_already_reduces_its_part():
    assert out(9, [1, 1, 1], had=[3, 0, 0]) == [1, 4, 4]
    assert out(6, [1, 1, 1], had=[50, 0, 0]) == [0, 3, 3]


def test_who_has_no_share_gets_what_nobody_else_can_take():
    assert out(6, [0, 1, 1]) == [0, 3, 3]
    assert out(9, [0, 1, 1], room=[100, 3, 3]) == [3, 3, 3]


def test_shares_by_name():
    groups, strengths = np.array([0, 0, 0, 1]), np.array([1.0, 0.5, 0.9, 0.2])
    assert shares("equal", groups, strengths).tolist() == [1, 1]
    assert shares("size", groups, strengths).tolist() == [3, 1]
    assert shares("uncertainty", groups, strengths) == pytest.approx([0.6, 0.8])
    assert shares("uncertainty", groups, np.ones(4)).tolist() == [3, 1]


def test_unknown_quotas_and_quotas_without_clusters_are_refused():
    assert check_quotas(None, clusters=False) == "free"
    with pytest.raises(SettingsError, match="quotas must be one of free, equal, size, uncertainty"):
        check_quotas("best", clusters=True)
    with pytest.raises(SettingsError, match="The quotas 'size' are of clusters"):
        check_quotas("size", clusters=False)

"""What every picker promises; a new one is tested the moment it is registered."""

import numpy as np
import pytest

from tests.picking.conftest import EACH, GROUPS
from uvl_plugin.core.errors import SettingsError
from uvl_plugin.picking.base import pickers
from uvl_plugin.picking.pick import Rules, pick
from uvl_plugin.picking.pool import Pool, prepared

N = GROUPS * EACH
NAMES = pickers.names()


def test_the_registry_has_all():
    assert {"coverage", "typical", "boundary", "diverse", "outliers"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("quotas", ["free", "equal"])
def test_the_budget_is_met_by_items_that_are_not_given(name, quotas, make_pool):
    given = np.arange(N) % 7 == 0
    picks = pick(make_pool(given=given), pickers[name](), 40, Rules(quotas))
    assert len(set(picks.rows.tolist())) == len(picks.rows) == len(picks.reasons) == 40
    assert not given[picks.rows].any()


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_items_does_not_count(name, make_pool):
    order = np.random.default_rng(1).permutation(N)
    one = pick(make_pool(), pickers[name](), 20, Rules("size"))
    other = pick(make_pool(order), pickers[name](), 20, Rules("size"))
    assert order[other.rows].tolist() == one.rows.tolist()
    assert other.reasons == one.reasons


@pytest.mark.parametrize("name", NAMES)
def test_a_beginning_of_the_picks_is_what_a_smaller_budget_gives(name, make_pool):
    few, many = (pick(make_pool(), pickers[name](), budget, Rules()).rows for budget in (7, 30))
    assert few.tolist() == many[:7].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_reasons_name_the_cluster(name, make_pool):
    pool = make_pool()
    picks = pick(pool, pickers[name](), 12, Rules("equal"))
    for row, reason in zip(picks.rows.tolist(), picks.reasons, strict=True):
        own = pool.names.get(int(pool.labels[row]), "no cluster")
        assert own in reason or (own == "no cluster" and "between look" in reason)


@pytest.mark.parametrize("name", NAMES)
def test_one_two_equal_or_no_items_are_no_error(name):
    for vectors in (np.ones((1, 4)), np.eye(2, 4), np.ones((9, 4)), np.zeros((9, 4))):
        n = len(vectors)
        pool = Pool(prepared(vectors.astype(np.float32)), np.zeros(n, np.int64), {0: "look 00"})
        picks = pick(pool, pickers[name](), 5, Rules("equal"))
        assert sorted(picks.rows.tolist())[: min(n, 5)] == sorted(set(picks.rows.tolist()))
        assert len(picks.rows) == min(n, 5)
        assert all(picks.reasons)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_picked_where_all_is_given(name, make_pool):
    picks = pick(make_pool(given=np.ones(N, bool)), pickers[name](), 5, Rules())
    assert len(picks.rows) == 0


def test_only_what_needs_clusters_refuses_to_work_without():
    for entry in pickers:
        if entry.on_clusters:
            with pytest.raises(SettingsError, match="pass the run_key of a clustering"):
                entry().check(clusters=False)
        else:
            entry().check(clusters=False)
        entry().check(clusters=True)

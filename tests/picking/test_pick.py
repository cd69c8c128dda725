"""Quotas, copies, gaps in time and what is labelled already, while picking."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.picking.conftest import EACH, GROUPS
from uvl_plugin.picking.coverage import Coverage
from uvl_plugin.picking.diverse import Diverse
from uvl_plugin.picking.gaps import Gaps
from uvl_plugin.picking.pick import Rules, pick
from uvl_plugin.picking.pool import Pool
from uvl_plugin.picking.typical import Typical

N = GROUPS * EACH


def counts(pool, picks):
    return np.bincount(pool.labels[picks.rows] + 1, minlength=GROUPS + 1).tolist()


def test_each_cluster_and_what_is_in_none_gets_its_quota(make_pool):
    pool = make_pool()
    assert counts(pool, pick(pool, Typical(), 18, Rules("equal"))) == [3] * 6
    assert counts(pool, pick(pool, Typical(), 25, Rules("size"))) == [1, 5, 5, 5, 5, 4]
    every = pick(pool, Typical(), 60, Rules("equal"))
    assert counts(pool, every) == [6, 11, 11, 11, 11, 10]  # only 6 are in none


def test_the_uncertain_cluster_gets_most(make_pool):
    pool = make_pool()
    strengths = np.where(pool.labels == 2, 0.2, 0.9)
    found = counts(pool, pick(pool, Typical(), 20, Rules("uncertainty", strengths)))
    assert found[3] > 3 * max(found[:3] + found[4:])


def test_the_first_picks_are_one_of_each(make_pool):
    pool = make_pool()
    rows = pick(pool, Typical(), 60, Rules("equal")).rows
    assert sorted(pool.labels[rows[:6]].tolist()) == [-1, 0, 1, 2, 3, 4]


def test_labelled_items_reduce_the_quota_of_their_cluster(make_pool):
    pool = make_pool()
    given = (pool.labels == 0) & (np.arange(N) < 50)  # 10 of them
    pool = make_pool(given=given)
    found = counts(pool, pick(pool, Typical(), 20, Rules("equal")))
    assert found[1] == 0
    assert sum(found) == 20


def test_of_copies_at_most_one_is_picked(make_pool):
    pool = make_pool()
    copies = np.arange(N) // 5  # groups of 5
    picks = pick(pool, Diverse(), 50, Rules(copies=copies))
    assert sorted(copies[picks.rows].tolist()) == list(range(N // 5))


def test_copies_of_a_labelled_item_are_not_picked(make_pool):
    given = np.zeros(N, bool)
    given[3] = True
    copies = np.arange(N) // 5
    picks = pick(make_pool(given=given), Diverse(), 50, Rules(copies=copies))
    assert sorted(copies[picks.rows].tolist()) == list(range(1, N // 5))


def test_a_quota_that_copies_leave_unfilled_goes_to_the_others(make_pool):
    pool = make_pool()
    copies = np.where(pool.labels == 0, N, np.arange(N))  # all of look 00 are the same
    found = counts(pool, pick(pool, Typical(), 30, Rules("equal", copies=copies)))
    assert found[1] == 1
    assert sum(found) == 30
    assert min(found[2:]) >= 5


@settings(max_examples=20)
@given(st.floats(0.05, 8.0), st.integers(1, 40), st.sets(st.integers(0, N - 1), max_size=5))
def test_picks_of_one_video_are_a_gap_apart(gap, budget, labelled):
    random = np.random.default_rng(0)
    videos, seconds = random.integers(0, 3, N), random.integers(0, 300, N) / 25
    is_given = np.isin(np.arange(N), list(labelled))
    vectors = random.normal(size=(N, 4)).astype(np.float32)
    pool = Pool(vectors, np.zeros(N, np.int64), given=is_given)
    rows = pick(pool, Diverse(), budget, Rules(gaps=Gaps(videos, seconds, gap))).rows
    every = np.concatenate([rows, np.flatnonzero(is_given)])
    for row in rows.tolist():
        others = every[(videos[every] == videos[row]) & (every != row)]
        assert (np.abs(seconds[others] - seconds[row]) >= gap - 1e-6).all()
    if len(rows) < budget:  # then really nothing is left
        near = np.abs(seconds[:, None] - seconds[every]) < gap
        assert (near & (videos[:, None] == videos[every])).any(axis=1).all()


def test_a_frame_exactly_a_gap_away_can_be_picked():
    gaps = Gaps(np.zeros(31, np.int64), np.arange(31) / 30, 0.1)
    assert gaps.around(6).tolist() == [4, 5, 6, 7, 8]


def test_progress_rises_to_the_end(make_pool):
    reached = []
    pick(make_pool(), Coverage(), 40, Rules(), lambda done, said: reached.append(done))
    assert reached == sorted(reached)
    assert reached[-1] == pytest.approx(1.0)


def test_reasons_count_what_a_pick_stands_for(make_pool):
    picks = pick(make_pool(), Coverage(), 4, Rules())
    stood = [int(reason.split()[2].replace(",", "")) for reason in picks.reasons]
    assert sum(stood) == N

"""The default picker: what stands for all, and what labels leave in doubt."""

import numpy as np
import pytest

from tests.picking.conftest import EACH, GROUPS
from uvl_plugin.core.progress import silent
from uvl_plugin.curation.metric import space_of
from uvl_plugin.picking.coverage import Coverage
from uvl_plugin.picking.covered import distances_to, usual_radius
from uvl_plugin.picking.doubt import doubts
from uvl_plugin.picking.pick import Rules, pick
from uvl_plugin.picking.pool import Pool, prepared

N = GROUPS * EACH


def greedy(pool, budget, weights):
    """What the greedy algorithm picks, by the definition: each pick leaves the least sum."""
    every = np.sqrt(pool.squares(np.arange(len(pool)), np.arange(len(pool))))
    nearest, rows = np.full(len(pool), 2.0), []
    if pool.given.any():
        nearest = every[:, pool.given].min(axis=1)
    for _ in range(budget):
        sums = (weights[:, None] * np.minimum(nearest[:, None], every)).sum(axis=0)
        sums[rows] = np.inf
        sums[pool.given] = np.inf
        rows.append(int(sums.argmin()))
        nearest = np.minimum(nearest, every[:, rows[-1]])
    return rows


@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_greedy_algorithm(make_pool, weighted, monkeypatch):
    monkeypatch.setattr("uvl_plugin.picking.coverage._FRONT", 7)
    weights = np.random.default_rng(3).uniform(0.1, 1, N) if weighted else np.ones(N)
    is_given = np.arange(N) == 17 if weighted else np.zeros(N, bool)
    pool = make_pool(weights=weights.astype(np.float32), given=is_given)
    assert pick(pool, Coverage(), 25, Rules()).rows.tolist() == greedy(pool, 25, weights)


def test_it_finds_every_group_before_it_comes_back_to_one(make_pool):
    pool = make_pool()
    rows = pick(pool, Coverage(), GROUPS, Rules()).rows
    assert sorted((rows % GROUPS).tolist()) == list(range(GROUPS))


def test_few_references_do_nearly_as_well(make_pool):
    pool = make_pool()
    rows = pick(pool, Coverage(references=100), GROUPS, Rules()).rows
    assert sorted((rows % GROUPS).tolist()) == list(range(GROUPS))
    best, found = (
        np.sqrt(pool.nearest(np.arange(N), picked)).sum()
        for picked in (pick(pool, Coverage(), 20, Rules()).rows, rows)
    )
    assert best < found
    twenty = pick(pool, Coverage(references=100), 20, Rules()).rows
    assert np.sqrt(pool.nearest(np.arange(N), twenty)).sum() < 1.1 * best


def test_copies_do_not_draw_picks_to_them():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(60, 6)).astype(np.float32)
    many = np.concatenate([vectors, np.repeat(vectors[7:8], 200, axis=0)])
    copies = np.concatenate([np.arange(60), np.full(200, 7)])
    weights = (1.0 / np.bincount(copies)[copies]).astype(np.float32)
    labels = np.zeros(260, np.int64)
    alone = pick(Pool(vectors, labels[:60]), Coverage(), 10, Rules()).rows
    counted = pick(Pool(many, labels, weights=weights), Coverage(), 10, Rules(copies=copies)).rows
    plain = pick(Pool(many, labels), Coverage(), 10, Rules()).rows
    assert copies[counted].tolist() == alone.tolist()
    assert copies[plain].tolist() != alone.tolist()


def test_doubt_is_near_nothing_beside_a_label_and_whole_between_two():
    line = np.array([[0.0], [1.0], [2.0], [4.0], [3.0]], np.float32)
    classes = np.array([0, -1, -1, 1, 1])
    pool = Pool(line, np.zeros(5, np.int64), given=classes >= 0, classes=classes)
    assert doubts(pool) == pytest.approx([1e-3, 0.5, 0.5, 1e-3, 1e-3])
    for others in (np.array([0, -1, -1, 0, 0]), np.full(5, -1)):
        assert doubts(Pool(line, pool.labels, given=pool.given, classes=others)).tolist() == [1] * 5


def test_known_labels_turn_the_next_picks_to_what_is_in_doubt():
    random = np.random.default_rng(0)
    vectors = random.uniform(-1, 1, size=(600, 2)).astype(np.float32)
    classes = np.full(600, -1)
    for number, side in enumerate((vectors[:, 0] < -0.6, vectors[:, 0] > 0.6)):
        classes[np.flatnonzero(side)[:20]] = number
    pool = Pool(vectors, np.zeros(600, np.int64), given=classes >= 0, classes=classes)
    with_doubt, without = (
        np.abs(vectors[pick(pool, Coverage(doubt=doubt), 15, Rules()).rows, 0]).mean()
        for doubt in (True, False)
    )
    assert with_doubt < 0.8 * without


def test_preparation_takes_away_what_all_share():
    random = np.random.default_rng(0)
    vectors = 10 + random.normal(size=(200, 80))
    found = prepared(vectors.astype(np.float32))
    assert found.shape == (200, 48)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert np.abs(found.mean(axis=0)).max() < 0.1
    assert not prepared(np.ones((5, 4), np.float32)).any()


def test_the_usual_radius_holds_as_many_items_as_there_are_for_each_pick():
    angles = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    circle = space_of(np.stack([np.cos(angles), np.sin(angles)], axis=1), "cosine")
    step = 2 * np.pi / 100
    assert usual_radius(circle, 20) == pytest.approx(1 - np.cos(2 * step), rel=1e-3)
    assert usual_radius(circle, 1000) == pytest.approx(1 - np.cos(step), rel=1e-3)
    assert usual_radius(space_of(np.ones((1, 2)), "cosine"), 5) == 0.0


def test_distances_to_the_nearest_pick():
    space = space_of(np.array([[1, 0], [0, 1], [-1, 0], [1, 1]], np.float32), "cosine")
    assert distances_to(space, np.array([0])) == pytest.approx([0, 1, 2, 1 - 0.5**0.5], abs=1e-6)
    assert distances_to(space, np.array([0, 2])).max() == pytest.approx(1)
    assert np.isinf(distances_to(space, np.zeros(0, np.int64), silent)).all()

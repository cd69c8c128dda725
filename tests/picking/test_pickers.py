"""What the pickers beside the default look for."""

import numpy as np
import pytest

from uvl_plugin.curation.farthest import farthest_first
from uvl_plugin.picking.boundary import Boundary
from uvl_plugin.picking.diverse import Diverse
from uvl_plugin.picking.outliers import Outliers
from uvl_plugin.picking.pick import Rules, pick
from uvl_plugin.picking.pool import Pool, prepared
from uvl_plugin.picking.typical import Typical

NAMES = {0: "look 00", 1: "look 01"}


@pytest.fixture
def two():
    """Two round groups of 60 around (-2, 0) and (2, 0), and row 120, which lies far off."""
    random = np.random.default_rng(0)
    vectors = random.normal(0, 0.5, (121, 2)) + np.where(np.arange(121) < 60, -2, 2)[:, None] * [
        1,
        0,
    ]
    vectors[120] = [2, 9]
    labels = (np.arange(121) >= 60).astype(np.int64)
    return Pool(vectors.astype(np.float32), labels, NAMES)


def test_typical_items_lie_in_the_middle_of_their_group(two):
    picks = pick(two, Typical(), 6, Rules("equal"))
    middles = np.where(two.labels[picks.rows] == 0, -2, 2)
    apart = np.hypot(two.vectors[picks.rows, 0] - middles, two.vectors[picks.rows, 1])
    assert apart.max() < 0.35
    assert sorted(set(picks.reasons)) == ["typical of look 00", "typical of look 01"]


def test_boundary_items_lie_between_the_groups(two):
    picks = pick(two, Boundary(), 4, Rules("equal"))
    inner = np.abs(two.vectors[picks.rows, 0])
    rest = np.delete(np.abs(two.vectors[:, 0]), picks.rows)
    assert inner.max() < 0.7 * np.median(rest)
    assert {*picks.reasons} == {"between look 00 and look 01", "between look 01 and look 00"}


def test_one_cluster_has_no_boundary_and_says_so(two):
    picks = pick(Pool(two.vectors, np.zeros(121, np.int64), {0: "look 00"}), Boundary(), 2, Rules())
    assert picks.reasons == ["one of look 00"] * 2


def test_diverse_items_are_those_of_the_farthest_first_traversal(two):
    rows = pick(two, Diverse(), 12, Rules()).rows
    assert (
        rows.tolist()
        == farthest_first(two.vectors, 12, metric="euclidean", first=int(rows[0]))[0].tolist()
    )
    middle = np.linalg.norm(two.vectors - two.vectors.mean(axis=0), axis=1)
    assert rows[0] == middle.argmin()


def test_diverse_items_are_far_from_labelled_ones_too(two):
    given = two.labels == 1
    pool = Pool(two.vectors, two.labels, NAMES, given=given)
    first = int(pick(pool, Diverse(), 1, Rules()).rows[0])
    apart = np.sqrt(two.squares(np.flatnonzero(~given), np.flatnonzero(given))).min(axis=1)
    assert first == np.flatnonzero(~given)[apart.argmax()]


def test_the_outlier_comes_first(two):
    picks = pick(two, Outliers(), 1, Rules())
    assert picks.rows.tolist() == [120]
    assert picks.reasons == ["unlike its neighbours, one of look 01"]


def test_lengths_of_vectors_do_not_count():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(50, 6)).astype(np.float32)
    stretched = vectors * random.uniform(0.1, 10, (50, 1)).astype(np.float32)
    assert prepared(stretched) == pytest.approx(prepared(vectors), abs=1e-4)

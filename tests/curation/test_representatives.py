import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.prepare import Preparation
from uvl_plugin.core.errors import DataError
from uvl_plugin.curation import representatives
from uvl_plugin.curation.representatives import contrast, members

AS_THEY_ARE = Preparation(normalize=False)


def planted(metric="euclidean", seed=0):
    """Three groups, the first two near each other, and some noise."""
    random = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2, -1], [40, 30, 20, 5])
    centres = np.array([[4, 0, 1], [4, 2.5, 1], [-5, 0, -4], [0, -9, 9]])
    prepared = (centres[labels] + 0.7 * random.normal(size=(95, 3))).astype(np.float32)
    ids = np.array([f"item {number:02}" for number in random.permutation(95)])
    model = ClusterModel.of(AS_THEY_ARE, prepared, labels, labels, metric=metric)
    return prepared, labels, model, ids


def apart_by_hand(a, b, metric) -> float:
    a, b = a.astype(float), b.astype(float)
    if metric == "euclidean":
        return float(np.linalg.norm(a - b))
    return 1.0 - float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("rows", [4096, 8])
def test_medoid_nearest_and_farthest_are_those_found_by_hand(metric, rows, monkeypatch):
    monkeypatch.setattr(representatives, "_ROWS", rows)
    prepared, labels, model, ids = planted(metric)
    found = members(prepared, labels, model, ids, 1, count=4)
    own = np.flatnonzero(labels == 1)
    centre = prepared[own].mean(axis=0)
    distance = {ids[row]: apart_by_hand(prepared[row], centre, metric) for row in own}
    mean = {
        ids[row]: np.mean([apart_by_hand(prepared[row], prepared[other], metric) for other in own])
        for row in own
    }
    by_distance = sorted(distance, key=distance.__getitem__)
    assert found.size == 30
    assert found.medoid == min(mean, key=mean.__getitem__)
    assert [item.id for item in found.nearest] == by_distance[:4]
    assert [item.id for item in found.farthest] == by_distance[:-5:-1]
    for item in (*found.nearest, *found.farthest):
        assert item.value == pytest.approx(distance[item.id], abs=1e-5)


def test_members_at_the_boundary_lie_between_the_clusters():
    prepared, labels, model, ids = planted()
    found = members(prepared, labels, model, ids, 0)
    place = {key: vector for key, vector in zip(ids, prepared, strict=True)}
    values = [item.value for item in found.boundary]
    assert values == sorted(values)
    towards = np.mean([place[item.id][1] for item in found.boundary])
    assert towards > np.quantile(prepared[labels == 0, 1], 0.75)


def test_a_member_that_fits_another_cluster_better_comes_first():
    prepared, labels, model, ids = planted()
    astray = np.flatnonzero(labels == 0)[7]
    prepared[astray] = prepared[labels == 2].mean(axis=0)
    first = members(prepared, labels, model, ids, 0).boundary[0]
    assert first.id == ids[astray]
    own, other = (
        apart_by_hand(prepared[astray], model.centroids[each], "cosine") for each in (0, 2)
    )
    assert first.value == pytest.approx(other - own, abs=1e-4)
    assert first.value < -0.5


def test_many_members_have_the_one_nearest_to_the_mean_as_medoid(monkeypatch):
    monkeypatch.setattr(representatives, "_FEW", 10)
    prepared, labels, model, ids = planted()
    own = np.flatnonzero(labels == 0)
    apart = np.linalg.norm(prepared[own] - prepared[own].mean(axis=0), axis=1)
    assert members(prepared, labels, model, ids, 0).medoid == ids[own[apart.argmin()]]


def test_the_next_cluster_is_the_one_beside_it():
    prepared, labels, model, ids = planted()
    found = contrast(prepared, labels, model, ids, 0, count=5)
    assert (found.other, found.nearest) == (1, 1)
    assert found.share == 1.0
    assert found.distance == pytest.approx(
        apart_by_hand(prepared[labels == 0].mean(0), prepared[labels == 1].mean(0), "euclidean"),
        rel=1e-4,
    )
    own = set(ids[labels == 0]), set(ids[labels == 1])
    place = {key: vector[1] for key, vector in zip(ids, prepared, strict=True)}
    for items, cluster, side in ((found.here, 0, 1), (found.there, 1, -1)):
        assert {item.id for item in items} <= own[cluster]
        leaning = side * np.mean([place[item.id] for item in items])
        assert leaning > np.quantile(side * prepared[labels == cluster, 1], 0.75)


def test_the_share_counts_second_choices():
    prepared = np.array([[1, 0.3], [1, 0.2], [1, 0.1], [1, -0.4], [0, 1], [0, -1]], np.float32)
    labels = np.array([0, 0, 0, 0, 1, 2])
    centroids = np.array([[1, 0], [0, 1], [0, -1]], np.float32)
    model = ClusterModel(AS_THEY_ARE, centroids, np.arange(3), np.ones(3, np.float32), "cosine")
    found = contrast(prepared, labels, model, list("abcdef"), 0)
    assert (found.other, found.share, found.distance) == (1, 0.75, pytest.approx(1.0))
    assert [item.id for item in found.here] == ["a", "b", "c", "d"]
    angle = np.sqrt(1 + 0.3**2)
    assert found.here[0].value == pytest.approx((1 - 0.3) / angle, rel=1e-4)


def test_one_cluster_has_no_contrast_and_no_boundary():
    prepared = np.array([[0, 1], [0, 2], [0, 3]], np.float32)
    labels = np.zeros(3, int)
    model = ClusterModel.of(AS_THEY_ARE, prepared, labels, labels, metric="euclidean")
    found = members(prepared, labels, model, list("abc"), 0)
    assert (found.medoid, found.boundary) == ("b", ())
    assert contrast(prepared, labels, model, list("abc"), 0) is None


def test_a_cluster_of_parts_is_as_far_as_the_nearest_part():
    prepared = np.array([[0, 1], [0, 2], [9, 0], [9.5, 0], [0, -5]], np.float32)
    labels, parts = np.array([0, 0, 0, 0, 1]), np.array([0, 0, 1, 1, 2])
    model = ClusterModel.of(AS_THEY_ARE, prepared, labels, parts, metric="euclidean")
    found = members(prepared, labels, model, list("abcde"), 0, count=2)
    assert [(item.id, item.value) for item in found.nearest] == [("c", 0.25), ("d", 0.25)]
    assert contrast(prepared, labels, model, list("abcde"), 0).distance == 6.5


@settings(max_examples=15)
@given(order=st.permutations(range(95)), cluster=st.integers(0, 2))
def test_the_order_of_items_does_not_matter(order, cluster):
    prepared, labels, model, ids = planted()
    moved = prepared[order], labels[order], model, ids[order]
    prepared = prepared, labels, model, ids
    assert members(*moved, cluster) == members(*prepared, cluster)
    assert contrast(*moved, cluster) == contrast(*prepared, cluster)


def test_equal_members_come_in_the_order_of_their_ids():
    labels = np.array([0, 0, 0, 1])
    prepared = np.array([[1, 1], [1, 1], [1, 1], [-1, 1]], np.float32)
    model = ClusterModel.of(AS_THEY_ARE, prepared, labels, labels, metric="cosine")
    found = members(prepared, labels, model, ["c", "a", "b", "d"], 0, count=2)
    assert found.medoid == "a"
    for items in (found.nearest, found.farthest, found.boundary):
        assert [item.id for item in items] == ["a", "b"]


def test_it_can_be_read_and_kept():
    arguments = planted()
    found, between = members(*arguments, 0, count=2), contrast(*arguments, 0, count=2)
    assert str(found).startswith(f"cluster 0: 40 members, medoid {found.medoid}\n  nearest  item")
    assert "next is cluster 1, the second choice of 100% of the members" in str(between)
    for each in (found, between):
        kept = json.loads(json.dumps(each.to_dict()))
        assert kept == each.to_dict()
        assert kept["cluster"] == 0
    assert found.to_dict()["nearest"][0]["id"] == found.nearest[0].id


@pytest.mark.parametrize("cluster", [-1, 3])
@pytest.mark.parametrize("ask", [members, contrast])
def test_a_cluster_without_members_is_an_error(ask, cluster):
    with pytest.raises(DataError, match=rf"Cluster {cluster} has no members .* one of 0 to 2"):
        ask(*planted(), cluster)


def test_a_cluster_without_a_centre_is_an_error():
    prepared, labels, model, ids = planted()
    labels = np.where(labels == 2, 7, labels)
    with pytest.raises(DataError, match="Cluster 7 has no centre"):
        members(prepared, labels, model, ids, 7)

import json

import numpy as np
import pytest
from scipy.stats import fisher_exact

from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.prepare import Preparation
from uvl_plugin.core.errors import DataError
from uvl_plugin.curation.drift import drift

CENTRES = np.eye(5, 16, dtype=np.float32)
SIZES = (300, 200, 100, 60, 40)


def drawn(sizes, seed, *, noise=0.1) -> tuple[np.ndarray, np.ndarray]:
    """Prepared vectors and the groups that they were drawn from."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    random = np.random.default_rng(seed)
    return (CENTRES[groups] + noise * random.normal(size=(len(groups), 16))).astype("f4"), groups


def model_of(vectors, labels, parts=None, metric="cosine") -> ClusterModel:
    parts = labels if parts is None else parts
    return ClusterModel.of(Preparation(False), vectors, labels, parts, metric=metric)


def sizes_of(labels) -> dict[int, int]:
    return dict(
        zip(*(each.tolist() for each in np.unique(labels, return_counts=True)), strict=True)
    )


OLD, LABELS = drawn(SIZES, 0)
MODEL = model_of(OLD, LABELS)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_items_of_the_same_kind_raise_no_alarm(metric):
    model = model_of(OLD, LABELS, metric=metric)
    found = [
        drift(
            model,
            sizes_of(LABELS),
            drawn(np.random.default_rng(seed).multinomial(150, np.array(SIZES) / 700), seed)[0],
        )
        for seed in range(1, 101)
    ]
    assert sum(each.recluster for each in found) <= 2
    assert sum(bool(each.grown + each.thinned) for each in found) <= 3
    far, expected = (
        np.mean([getattr(each, name) for each in found]) for name in ("far", "far_expected")
    )
    assert far == pytest.approx(expected, abs=0.01)
    for each in found:
        assert each.advice.startswith("Re-cluster" if each.recluster else "The clusters still fit")


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_small_parts_raise_no_alarm(metric):
    """The radius of a part of six is far too small for a seventh item."""
    alarms, far = 0, []
    for seed in range(20):
        vectors, labels = drawn([60] * 5, seed)
        parts = 10 * labels + np.arange(300) % 10
        model = model_of(vectors, labels, parts, metric)
        found = drift(model, sizes_of(labels), drawn([30] * 5, seed + 1000)[0])
        alarms += found.recluster
        far.append(found.far)
    assert alarms == 0
    assert np.mean(far) < 0.15


def test_a_group_that_is_new_raises_an_alarm():
    strange = np.zeros((30, 16), np.float32)
    strange[:, 9] = 1
    found = drift(
        MODEL, sizes_of(LABELS), np.concatenate([drawn([60, 40, 20, 12, 8], 1)[0], strange])
    )
    assert found.recluster
    assert 30 / 170 <= found.far < 0.25
    assert found.far_p < 1e-5
    assert found.advice.startswith("Re-cluster: 22.4% of 170 new items are far from every")


def test_a_single_odd_item_raises_none():
    found = drift(
        MODEL, sizes_of(LABELS), np.concatenate([drawn([5, 3, 2, 0, 0], 1)[0], -CENTRES[:1]])
    )
    assert found.far == pytest.approx(1 / 11)
    assert not found.recluster


def test_clusters_that_grew_and_thinned_out_are_told():
    found = drift(MODEL, sizes_of(LABELS), drawn([60, 20, 30, 60, 5], 1)[0])
    assert (found.grown, found.thinned) == ((3,), (1,))
    assert found.recluster is False
    assert "though 2 of 5 have grown or thinned out" in found.advice
    shifted = drift(MODEL, sizes_of(LABELS), drawn([20, 20, 100, 10, 5], 1)[0])
    assert shifted.recluster
    assert "clusters have grown or thinned out, and" in shifted.advice


def test_a_small_change_is_not_told_however_certain():
    vectors, _ = drawn([4400, 1600, 900, 560, 380], 1)
    found = drift(MODEL, sizes_of(LABELS), vectors)
    assert found.clusters[0].p < 0.001
    assert (found.grown, found.thinned) == ((), ())


def test_shares_and_chances_are_the_formulas():
    found = drift(MODEL, {**sizes_of(LABELS), -1: 0}, drawn([6, 4, 9, 1, 0], 3, noise=0.01)[0])
    assert found.n == 20
    assert found.far == 0
    for each, before, now in zip(found.clusters, SIZES, [6, 4, 9, 1, 0], strict=True):
        assert (each.before, each.now) == (before / 700, now / 20)
        table = [[now, 20 - now], [before, 700 - before]]
        tails = [fisher_exact(table, side).pvalue for side in ("less", "greater")]
        assert each.p == pytest.approx(min(1, 2 * min(tails)))
    moved = sum(abs(each.before - each.now) for each in found.clusters) / 2
    assert found.total_variation == pytest.approx(moved)


def test_what_was_noise_before_may_be_far_again():
    spread = np.random.default_rng(1).normal(size=(300, 16)).astype("f4")
    new = np.concatenate([drawn([60, 40, 20, 12, 8], 1)[0], spread[:60]])
    assert drift(MODEL, sizes_of(LABELS), new).recluster
    found = drift(MODEL, {**sizes_of(LABELS), -1: 300}, new)
    assert not found.recluster
    assert found.far_expected == pytest.approx(0.3 + 0.7 * 0.015, abs=0.01)


def test_a_part_of_noise_is_near_and_no_cluster():
    dissolved = ClusterModel(
        MODEL.preparation, MODEL.centroids, np.array([0, 1, 2, 3, -1]), MODEL.radii, MODEL.metric
    )
    sizes = dict(enumerate(SIZES[:4])) | {-1: 40}
    found = drift(dissolved, sizes, drawn([30, 20, 10, 6, 4], 1)[0])
    assert [each.cluster for each in found.clusters] == [0, 1, 2, 3]
    assert sum(each.now for each in found.clusters) == pytest.approx(1)
    assert not found.recluster


def test_only_clusters_that_exist_are_told_gaps_and_all():
    model = ClusterModel(
        MODEL.preparation, MODEL.centroids, np.array([7, 1, 1, 9, 9]), MODEL.radii, MODEL.metric
    )
    found = drift(model, {7: 300, 1: 300, 9: 100, 4: 0}, drawn([30, 20, 10, 6, 4], 1)[0])
    assert [each.cluster for each in found.clusters] == [1, 7, 9]
    assert found.clusters[0].now == pytest.approx(30 / 70, abs=0.05)


def test_it_can_be_stored_and_read():
    found = drift(MODEL, sizes_of(LABELS), drawn([30, 20, 10, 6, 4], 1)[0])
    stored = json.loads(json.dumps(found.to_dict()))
    assert stored["recluster"] is False
    assert stored["clusters"][4]["before"] == pytest.approx(40 / 700)
    assert str(found).startswith(found.advice + "\ncluster 0: 42.9% -> ")


def test_errors_say_what_is_missing():
    with pytest.raises(DataError, match="no new items"):
        drift(MODEL, sizes_of(LABELS), OLD[:0])
    with pytest.raises(DataError, match="clusters have no items"):
        drift(MODEL, {}, OLD)
    noise = np.full(len(OLD), -1)
    with pytest.raises(DataError, match="found no clusters"):
        drift(model_of(OLD, noise), {-1: 700}, OLD)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import silhouette_score

from uvl_plugin.clustering.one_group import group_evidence
from uvl_plugin.clustering.opinions import DENSE, Opinions, ask, silhouettes, stability
from uvl_plugin.clustering.sweep import numbers_of, sweep

RULES = ("density", "silhouette", "Davies-Bouldin", "Calinski-Harabasz", "stability")


def said(*numbers, peaks=()) -> Opinions:
    return Opinions(dict(zip(RULES, numbers, strict=True)), peaks)


def planted(k, n=300, dim=8, spread=0.15) -> np.ndarray:
    random = np.random.default_rng(k)
    noise = spread * random.normal(size=(n, dim))
    return (random.normal(size=(k, dim))[np.arange(n) % k] + noise).astype(np.float32)


@pytest.mark.parametrize("k", [2, 4, 9])
def test_all_rules_see_clear_groups(k):
    opinions = ask(planted(k), k, seed=0)
    assert opinions.numbers == dict.fromkeys(RULES, k)
    assert opinions.chosen() == k
    assert opinions.sureness(k) == 1
    assert opinions.sentence(k) == f"All five rules say {k}."


@pytest.mark.parametrize(
    ("numbers", "chosen"),
    [
        ((10, 9, 9, 3, 9), 10),  # the dense groups are near the median, and so they are taken
        ((7, 4, 100, 2, 2), 4),  # not near
        ((2, 10, 10, 10, 9), 10),
        ((5, 4, 4, 4, 2), 5),
        ((50, 49, 49, 52, 55), 50),
    ],
)
def test_the_best_supported_number_is_taken(numbers, chosen):
    assert said(*numbers).chosen() == chosen


@pytest.mark.parametrize(
    ("numbers", "chosen", "sentence"),
    [
        ((10, 10, 11, 10, 10), 10, "Four of five rules say 10; the fifth says 11."),
        ((4, 4, 2, 4, 3), 4, "Three of five rules say 4, others 2, 3."),
        ((10, 9, 9, 3, 9), 10, "There are 10 dense groups; the other rules say 3, 9, 9, 9."),
        ((7, 3, 8, 2, 2), 3, "The rules do not agree (2, 2, 3, 7, 8); 3 is in the middle."),
    ],
)
def test_one_sentence_for_a_person(numbers, chosen, sentence):
    assert said(*numbers).chosen() == chosen
    assert said(*numbers).sentence(chosen) == sentence


def test_how_sure():
    assert said(10, 10, 10, 10, 10).sureness(10) == 1
    assert said(10, 10, 10, 10, 20).sureness(10) == pytest.approx(0.8)
    assert said(5, 20, 40, 2, 100).sureness(10) == 0


def test_coarser_and_finer_numbers_have_support_where_there_is_some():
    opinions = said(10, 10, 10, 4, 2, peaks=(6, 10, 17))
    assert opinions.candidates(10) == ([6, 4, 2], [17])
    assert [opinions.moved(10, detail) for detail in range(-3, 4)] == [2, 4, 6, 10, 17, 26, 39]


@given(
    st.lists(st.integers(1, 100), min_size=5, max_size=5), st.sets(st.integers(2, 100), max_size=4)
)
def test_numbers_rise_with_the_detail(numbers, peaks):
    opinions = said(*numbers, peaks=tuple(sorted(peaks)))
    chosen = opinions.chosen()
    moved = [opinions.moved(chosen, detail) for detail in range(-3, 4)]
    assert moved == sorted(moved)
    assert moved[3] == chosen
    assert moved[4] > chosen
    assert moved[0] >= 1
    assert 0 <= opinions.sureness(chosen) <= 1
    assert str(chosen) in opinions.sentence(chosen)


def test_silhouettes_are_scikit_learns():
    vectors = planted(4, n=120, spread=0.8)
    runs = sweep(vectors, [2, 4, 7])
    expected = [silhouette_score(vectors, labels) for labels in runs.labels]
    assert silhouettes(runs) == pytest.approx(expected, abs=1e-5)


def test_halves_agree_on_groups_that_are_there():
    runs = sweep(planted(4), [2, 3, 4, 5, 6])
    alike = stability(runs, seed=0)
    assert alike[2] > 0.99
    assert alike[4] < 0.95


def test_a_sweep_has_as_many_clusters_as_asked():
    runs = sweep(planted(5), [2, 5, 30])
    assert [labels.max() + 1 for labels in runs.labels] == [2, 5, 30]


def test_each_number_is_tried_up_to_fifty():
    assert numbers_of(9) == []
    assert numbers_of(30) == [2, 3, 4, 5, 6]
    tried = numbers_of(10_000)
    assert tried[:49] == list(range(2, 51))
    assert tried[-1] == 100


def test_too_few_items_for_the_rules():
    assert ask(np.zeros((4, 2), np.float32), 0, seed=0).numbers == {DENSE: 1}


@pytest.mark.parametrize("k", [2, 3, 8])
def test_groups_are_told_from_none(k):
    assert group_evidence(planted(k), seed=0).strength > 2


@pytest.mark.parametrize("dim", [2, 8, 64])
def test_a_cloud_has_no_groups(dim):
    random = np.random.default_rng(dim)
    for cloud in (random.normal(size=(300, dim)), random.uniform(size=(300, dim))):
        assert group_evidence(cloud.astype(np.float32), seed=0).strength < 0.8

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from uvl_plugin.clustering.classes import (
    class_figures,
    commonest_classes,
    contingency,
    held_out_guesses,
    matched_classes,
)
from uvl_plugin.clustering.quality import agreement

items = st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 3)), min_size=1, max_size=40)


def columns(pairs) -> tuple[np.ndarray, np.ndarray]:
    clusters, classes = zip(*pairs, strict=True)
    return np.array(clusters), np.array(classes)


@given(items)
def test_the_matched_classes_are_those_of_the_accuracy(pairs):
    clusters, classes = columns(pairs)
    meaning = matched_classes(contingency(clusters, classes, 5, 4))
    right = (clusters != -1) & (meaning[clusters] == classes)
    assert right.mean() == pytest.approx(agreement(clusters, classes, clusters == -1).accuracy)
    given_away = meaning[meaning != -1]
    assert len(set(given_away.tolist())) == len(given_away)


@given(items)
def test_the_commonest_class_is_right_most_often(pairs):
    clusters, classes = columns(pairs)
    meaning = commonest_classes(contingency(clusters, classes, 5, 4))
    for cluster in range(5):
        inside = classes[clusters == cluster]
        counts = np.bincount(inside, minlength=4)
        assert meaning[cluster] == (counts.argmax() if len(inside) else -1)


@given(items, st.booleans(), st.integers(0, 5))
def test_no_item_teaches_the_map_that_it_is_tried_on(pairs, many_to_one, seed):
    clusters, classes = columns(pairs)
    guesses = held_out_guesses(clusters, classes, many_to_one=many_to_one, seed=seed)
    assert (guesses[clusters == -1] == -1).all()
    alone = np.bincount(clusters + 1, minlength=6)[clusters + 1] == 1
    assert (guesses[alone] == -1).all()  # nobody else knows what their cluster stands for


def test_clusters_of_chance_gain_nothing_on_held_out_items():
    random = np.random.default_rng(0)
    clusters, classes = random.integers(100, size=400), random.integers(4, size=400)
    fitted = commonest_classes(contingency(clusters, classes, 100, 4))[clusters]
    assert np.mean(fitted == classes) > 0.45  # four items each: the commonest is often right
    guesses = held_out_guesses(clusters, classes, many_to_one=True, seed=0)
    assert np.mean(guesses == classes) == pytest.approx(0.25, abs=0.07)


def test_clear_clusters_are_as_good_on_held_out_items():
    classes = np.repeat([0, 1, 2], [40, 10, 5])
    for several in (False, True):
        guesses = held_out_guesses(2 - classes, classes, many_to_one=several, seed=3)
        assert guesses.tolist() == classes.tolist()


def test_two_clusters_share_a_class_only_where_they_may():
    classes = np.repeat([0, 1], [40, 40])
    clusters = np.repeat([0, 1, 2], [30, 10, 40])
    taken = {
        several: np.mean(
            held_out_guesses(clusters, classes, many_to_one=several, seed=0) == classes
        )
        for several in (False, True)
    }
    assert taken == {False: 70 / 80, True: 1.0}


@given(items)
def test_class_figures_are_those_of_scikit_learn(pairs):
    guesses, classes = columns(pairs)
    guesses = np.minimum(guesses, 3)
    found = class_figures(guesses, classes, list("abcd"))
    truth = metrics.precision_recall_fscore_support(
        classes, guesses, labels=range(4), zero_division=0.0
    )
    by_class = [(one.precision, one.recall, one.f1, one.support) for one in found]
    assert pytest.approx(np.array(truth)) == np.array(by_class).T
    assert [one.name for one in found] == list("abcd")

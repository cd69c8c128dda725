import math
from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from uvl_plugin.clustering.quality import Agreement, agreement
from uvl_plugin.core.errors import DataError

LETTERS = "abcd"
items = st.lists(
    st.tuples(st.integers(-1, 3), st.sampled_from(LETTERS)), min_size=1, max_size=12
)  # cluster and class of each item


def agree(pairs) -> Agreement:
    clusters, classes = (np.array(column) for column in zip(*pairs, strict=True))
    return agreement(clusters, classes, clusters == -1)


def accuracy_by_hand(pairs) -> float:
    """Tries every way to give each of the clusters 0 to 3 a class of its own."""
    return max(
        sum(chosen[cluster] == name for cluster, name in pairs if cluster != -1)
        for chosen in permutations(LETTERS)
    ) / len(pairs)


def entropy(values) -> float:
    shares = [count / len(values) for count in Counter(values).values()]
    return -sum(share * math.log(share) for share in shares)


def nmi_by_hand(pairs) -> float:
    clusters, classes = zip(*pairs, strict=True)
    mean = (entropy(clusters) + entropy(classes)) / 2
    if mean == 0:
        return 1.0
    return (entropy(clusters) + entropy(classes) - entropy(pairs)) / mean


def ari_by_hand(pairs) -> float:
    """Over all pairs of items: agreements beyond those expected, over the most possible."""
    couples = [(a[0] == b[0], a[1] == b[1]) for a, b in combinations(pairs, 2)]
    both = sum(x and y for x, y in couples)
    first, second = sum(x for x, _ in couples), sum(y for _, y in couples)
    expected = first * second / len(couples) if couples else 0.0
    most = (first + second) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


@given(items)
def test_every_figure_is_the_formula(pairs):
    found = agree(pairs)
    assert found.accuracy == pytest.approx(accuracy_by_hand(pairs))
    assert found.nmi == pytest.approx(nmi_by_hand(pairs), abs=1e-6)
    assert found.v_measure == pytest.approx(nmi_by_hand(pairs), abs=1e-6)  # known to be equal
    assert found.ari == pytest.approx(ari_by_hand(pairs), abs=1e-6)
    clusters, classes = zip(*pairs, strict=True)
    assert found.ami == metrics.adjusted_mutual_info_score(classes, clusters)
    groups = [[name for own, name in pairs if own == cluster] for cluster in set(clusters)]
    commonest = sum(Counter(group).most_common(1)[0][1] for group in groups)
    assert found.purity == pytest.approx(commonest / len(pairs))


@given(items)
def test_items_clusters_classes_and_noise_are_counted(pairs):
    found = agree(pairs)
    clusters, classes = zip(*pairs, strict=True)
    assert found.n_items == len(pairs)
    assert found.n_noise == clusters.count(-1)
    assert found.n_clusters == len(set(clusters) - {-1})
    assert found.n_classes == len(set(classes))


def test_other_names_for_the_same_groups_agree_fully():
    found = agree([(2, "a"), (2, "a"), (0, "b"), (0, "b"), (1, "c")])
    figures = (found.accuracy, found.nmi, found.ami, found.ari, found.purity, found.v_measure)
    assert figures == pytest.approx([1] * 6)


def test_noise_is_wrong_even_where_it_is_one_class():
    assert agree([(-1, "a"), (-1, "a"), (0, "b"), (0, "b")]).accuracy == 0.5
    assert agree([(-1, "a"), (-1, "a")]).accuracy == 0.0


def test_a_class_in_two_clusters_counts_the_larger_only():
    found = agree([(0, "a"), (0, "a"), (1, "a"), (2, "b"), (3, "b")])
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.purity == 1.0


def test_nothing_to_compare_is_an_error():
    nothing = np.array([])
    with pytest.raises(DataError, match="nothing to compare"):
        agreement(nothing, nothing, nothing.astype(bool))


def test_the_text_lists_every_figure():
    lines = str(agree([(0, "a"), (1, "b"), (-1, "b")])).splitlines()
    assert [line.split() for line in lines[:1] + lines[-4:]] == [
        ["accuracy", "0.667"],
        ["n_clusters", "2"],
        ["n_classes", "2"],
        ["n_items", "3"],
        ["n_noise", "1"],
    ]

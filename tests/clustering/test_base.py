"""What every algorithm promises; runs over the registry, and so over new ones too."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import adjusted_rand_score, homogeneity_score

from uvl_plugin.clustering.base import cluster_embeddings, clusterers, number_by_size
from uvl_plugin.clustering.levels import MOST_COARSE
from uvl_plugin.core.embeddings import NOISE, ClusteringResult, Embeddings
from uvl_plugin.core.errors import Cancelled, DataError

every_algorithm = pytest.mark.parametrize("name", clusterers.names())


cheap_algorithm = pytest.mark.parametrize(
    "name",
    ["agglomerative", "birch", "gaussian_mixture", "hdbscan", "kmeans"],
)
small = arrays(
    np.float32, st.tuples(st.integers(1, 30), st.integers(1, 6)), elements=st.integers(-9, 9)
)


def told(name, n_clusters=5):
    """The algorithm with its defaults, told the number of groups where it must know it."""
    cls = clusterers[name]
    known = {spec.name: spec.default for spec in cls.specs()}
    must_know = known.get("n_clusters") is not None
    return cls(n_clusters=n_clusters) if must_know else cls()


def clustered(name, embeddings, progress=lambda fraction, message: None) -> ClusteringResult:
    return cluster_embeddings(embeddings, told(name), progress)[0]


def assert_contract(result, ids):
    assert result.ids.tolist() == list(ids)
    assert result.labels.shape == result.strengths.shape == (len(ids),)
    assert (result.labels.dtype, result.strengths.dtype) == (np.int64, np.float32)
    assert set(result.labels) - {NOISE} == set(range(result.n_clusters))
    assert result.sizes == sorted(result.sizes, reverse=True)
    assert ((result.strengths >= 0) & (result.strengths <= 1)).all()
    assert (result.strengths[result.labels == NOISE] == 0).all()
    json.dumps(result.report)
    assert_levels(result)


def assert_levels(result):
    """Coarse and fine are one clustering, seen from further away and from nearer."""
    noise = result.labels == NOISE
    assert ((result.coarse == NOISE) == noise).all()
    assert ((result.fine == NOISE) == noise).all()
    assert any((level == result.labels).all() for level in (result.coarse, result.fine))
    n_coarse, n_fine = (int(level.max(initial=NOISE)) + 1 for level in (result.coarse, result.fine))
    assert n_coarse <= min(MOST_COARSE, n_fine)
    if n_fine == 0:
        assert result.tree is None
        return
    assert set(result.fine[~noise]) == set(range(n_fine))
    assert result.tree.n_leaves == n_fine
    cut = result.tree.cut(n_coarse)[result.fine[~noise]]
    pairs = set(zip(cut.tolist(), result.coarse[~noise].tolist(), strict=True))
    assert len(pairs) == n_coarse == len(set(result.coarse[~noise]))


@every_algorithm
def test_labels_keep_the_contract(name, blobs):
    before = blobs.embeddings.vectors.copy()
    assert_contract(clustered(name, blobs.embeddings), blobs.embeddings.ids)
    assert (blobs.embeddings.vectors == before).all()


@every_algorithm
def test_planted_groups_are_found(name, blobs):
    result = clustered(name, blobs.embeddings)
    assert adjusted_rand_score(blobs.truth, result.labels) > 0.99
    assert result.n_clusters == len(blobs.sizes)
    inside = result.labels != NOISE
    assert (result.labels[inside] == blobs.truth[inside]).all()  # numbered by size


@every_algorithm
def test_the_same_again_gives_the_same(name, blobs):
    first, second = (clustered(name, blobs.embeddings) for _ in range(2))
    assert (first.labels == second.labels).all()
    assert (first.strengths == second.strengths).all()


@every_algorithm
def test_the_order_of_the_items_does_not_matter(name):
    random = np.random.default_rng(1)  # no groups: nothing tells the algorithm where to start
    embeddings = Embeddings(np.arange(150), random.normal(size=(150, 8)))
    expected = clustered(name, embeddings)
    order = random.permutation(150)
    shuffled = clustered(name, Embeddings(embeddings.ids[order], embeddings.vectors[order]))
    assert (shuffled.labels == expected.labels[order]).all()
    assert (shuffled.strengths == expected.strengths[order]).all()


@every_algorithm
@pytest.mark.parametrize("dim", [1, 3, 96])
@pytest.mark.parametrize("n", [1, 2, 3, 12])
def test_few_items_are_no_error(name, n, dim):
    vectors = np.random.default_rng(n).normal(size=(n, dim))
    assert_contract(clustered(name, Embeddings(np.arange(n), vectors)), np.arange(n).astype(str))


@every_algorithm
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("n", [2, 40])
def test_equal_items_are_no_error_and_stay_together(name, n, value):
    result = clustered(name, Embeddings(np.arange(n), np.full((n, 96), value)))
    assert_contract(result, result.ids)
    assert len(set(result.labels)) == 1


@every_algorithm
def test_a_missing_vector_moves_no_other_label(name, blobs):
    expected = clustered(name, blobs.embeddings).labels
    kept = np.arange(len(expected)) != 100
    ids, vectors = blobs.embeddings.ids[kept], blobs.embeddings.vectors[kept]
    labels = clustered(name, Embeddings(ids, vectors)).labels
    assert np.mean(labels == expected[kept]) > 0.98
    both = (labels != NOISE) & (expected[kept] != NOISE)
    assert (labels == expected[kept])[both].all()


@every_algorithm
def test_an_item_that_is_there_twice_gets_the_same_label_twice(name, blobs):
    ids, vectors = blobs.embeddings.ids, blobs.embeddings.vectors
    twins = Embeddings([*ids, *(f"twin of {one}" for one in ids)], np.tile(vectors, (2, 1)))
    first, second = np.split(clustered(name, twins).labels, 2)
    assert (first == second).all()
    assert homogeneity_score(blobs.truth, first) > 0.95  # a small smallest cluster may split some


@every_algorithm
def test_items_are_assigned_to_the_cluster_that_they_made(name, blobs):
    result, model = cluster_embeddings(blobs.embeddings, told(name))
    assigned, strengths = model.assign(blobs.embeddings.vectors)
    inside = result.labels != NOISE
    assert np.mean(assigned[inside] == result.labels[inside]) >= 0.95
    assert ((strengths >= 0) & (strengths <= 1)).all()


@every_algorithm
@pytest.mark.parametrize("at", [0.0, 0.2])
def test_what_is_cancelled_ends(name, at, blobs):
    def stopped(fraction, message):
        if fraction >= at:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled, match=r"Stopped\."):
        clustered(name, blobs.embeddings, stopped)


@cheap_algorithm
@given(vectors=small, n_clusters=st.integers(1, 8))
def test_any_small_embeddings_keep_the_contract(name, vectors, n_clusters):
    ids = np.arange(len(vectors)).astype(str)
    result, _ = cluster_embeddings(Embeddings(ids, vectors), told(name, n_clusters))
    assert_contract(result, ids)
    if "n_clusters" in {spec.name for spec in clusterers[name].specs()}:
        assert result.n_clusters <= n_clusters


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_number_that_is_none_is_an_error_that_names_the_item(number):
    vectors = np.zeros((5, 3))
    vectors[2, 1] = number
    with pytest.raises(DataError, match="1 of 5 vectors hold NaN or infinity, the first of item c"):
        Embeddings(list("abcde"), vectors)


@every_algorithm
def test_progress_goes_forward_to_the_end(name, blobs):
    seen = []
    clustered(name, blobs.embeddings, lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)


@every_algorithm
def test_no_items_are_an_error_with_a_way_out(name):
    with pytest.raises(DataError, match="There are no vectors to cluster; embed some"):
        clustered(name, Embeddings([], np.zeros((0, 4))))


def test_clusters_are_numbered_by_size_then_by_appearance():
    labels = [7, 3, 3, -1, 9, 9, 9, 5, 7]
    assert number_by_size(labels).tolist() == [1, 2, 2, -1, 0, 0, 0, 3, 1]


@given(arrays(np.int64, st.integers(0, 30), elements=st.integers(-1, 6)))
def test_numbers_keep_the_groups(labels):
    numbered = number_by_size(labels)
    sizes = np.bincount(numbered[numbered >= 0]).tolist()
    assert sizes == sorted(sizes, reverse=True)
    assert 0 not in sizes
    assert ((numbered == NOISE) == (labels == NOISE)).all()
    together = labels[:, None] == labels
    assert ((numbered[:, None] == numbered) == together).all()

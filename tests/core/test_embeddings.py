import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvl_plugin.core.embeddings import (
    ClusteringResult,
    Embeddings,
    cluster_names,
    is_noise_name,
    noise_name,
)
from uvl_plugin.core.errors import DataError


def test_ids_become_text_and_vectors_float32():
    embeddings = Embeddings([7, 8], [[1, 2, 3], [4, 5, 6]], "pixels")
    assert embeddings.ids.tolist() == ["7", "8"]
    assert embeddings.vectors.dtype == np.float32
    assert (len(embeddings), embeddings.dim) == (2, 3)


def test_no_items_are_no_error():
    embeddings = Embeddings([], np.zeros((0, 5)))
    assert (len(embeddings), embeddings.dim) == (0, 5)


@pytest.mark.parametrize(
    ("ids", "vectors"),
    [
        (["a"], [1.0, 2.0]),
        (["a", "b"], [[1.0], [2.0], [3.0]]),
        ([["a"], ["b"]], [[1.0], [2.0]]),
        (["a"], [[[1.0]]]),
    ],
)
def test_shapes_that_disagree_are_refused(ids, vectors):
    with pytest.raises(DataError, match=r"ids \(n,\) and vectors \(n, dim\), got"):
        Embeddings(ids, vectors)


def test_an_id_may_occur_once():
    with pytest.raises(DataError, match="unique ids"):
        Embeddings(["a", "b", "a"], np.eye(3))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_counted_and_named(bad):
    vectors = np.zeros((4, 3))
    vectors[1, 2] = vectors[3, 0] = bad
    with pytest.raises(DataError, match="2 of 4 vectors hold NaN or infinity, the first of item b"):
        Embeddings(["a", "b", "c", "d"], vectors)


def test_all_blocks_are_checked(monkeypatch):
    monkeypatch.setattr("uvl_plugin.core.embeddings._ROWS", 3)
    vectors = np.zeros((8, 2))
    vectors[[4, 7]] = np.nan
    with pytest.raises(DataError, match="2 of 8 vectors .* first of item 4"):
        Embeddings(np.arange(8), vectors)


def test_a_mapped_file_is_not_copied(tmp_path):
    n, dim = 20_000, 128
    np.save(tmp_path / "vectors.npy", np.ones((n, dim), np.float32))
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    ids = np.arange(n).astype(str)
    tracemalloc.start()
    try:
        embeddings = Embeddings(ids, mapped)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.shares_memory(embeddings.vectors, mapped)
    assert peak < 0.4 * mapped.nbytes  # ids, and a block of the numbers that are checked


def test_a_result_counts_its_clusters_and_noise():
    labels = np.array([0, -1, 1, 0, 0, -1, 1])
    result = ClusteringResult(
        np.arange(7).astype(str), labels, np.ones(7, np.float32), labels, labels, None
    )
    assert (len(result), result.n_clusters, result.n_noise) == (7, 2, 2)
    assert result.sizes == [3, 2]


@pytest.mark.parametrize("labels", [[], [-1, -1]])
def test_noise_alone_is_no_cluster(labels):
    labels = np.array(labels, np.int64)
    result = ClusteringResult(
        labels.astype(str), labels, np.zeros(len(labels), np.float32), labels, labels, None
    )
    assert (result.n_clusters, result.n_noise, result.sizes) == (0, len(labels), [])


@given(run_key=st.text(), n_clusters=st.sampled_from([0, 1, 10, 11, 100, 101, 1000, 1001]))
def test_names_sort_as_the_numbers_and_noise_behind(run_key, n_clusters):
    names = [*cluster_names(run_key, n_clusters), noise_name(run_key)]
    assert len(set(names)) == n_clusters + 1
    assert sorted(names) == names


def test_names_say_run_and_number():
    assert cluster_names("first_look", 3) == ["first_look 00", "first_look 01", "first_look 02"]
    assert cluster_names("first_look", 101)[7] == "first_look 007"
    assert noise_name("first_look") == "first_look noise"


@given(run_key=st.text() | st.just("noise"))
def test_noise_is_known_by_its_name(run_key):
    assert is_noise_name(noise_name(run_key))
    assert not any(is_noise_name(name) for name in cluster_names(run_key, 11))

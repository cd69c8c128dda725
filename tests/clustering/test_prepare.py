import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.preprocessing import normalize as sklearn_normalize

from uvl_plugin.clustering import prepare
from uvl_plugin.clustering.prepare import fit_preparation, unit_length
from uvl_plugin.core import scratch

numbers = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)


@pytest.fixture
def vectors():
    random = np.random.default_rng(0)
    mixing = random.normal(size=(20, 20)) * 0.8 ** np.arange(20)[:, None]
    return (random.normal(size=(120, 20)) @ mixing + 3).astype(np.float32)


@pytest.mark.parametrize("rows", [8192, 50])
@pytest.mark.parametrize("normalize", [True, False])
def test_components_are_those_of_scikit_learn_up_to_sign(vectors, normalize, rows, monkeypatch):
    monkeypatch.setattr(prepare, "_ROWS", rows)
    preparation = fit_preparation(vectors, normalize=normalize, components=6)
    reference = PCA(6, svd_solver="full")
    exact = vectors.astype(np.float64)
    expected = reference.fit_transform(sklearn_normalize(exact) if normalize else exact)
    sign = np.sign((preparation.components * reference.components_).sum(axis=1))
    prepared = preparation(vectors)
    assert prepared.dtype == np.float32
    assert prepared == pytest.approx(expected * sign, abs=1e-4 * np.abs(expected).max())


def test_signs_do_not_hang_on_the_order_of_the_rows(vectors):
    order = np.random.default_rng(1).permutation(len(vectors))
    one = fit_preparation(vectors, normalize=True, components=6)
    other = fit_preparation(vectors[order], normalize=True, components=6)
    assert one(vectors) == pytest.approx(other(vectors), abs=1e-5)


@pytest.mark.parametrize("components", [0, 20, 64])
def test_all_components_means_none_are_computed(vectors, components):
    plain = fit_preparation(vectors, normalize=False, components=components)
    assert (plain(vectors) == vectors).all()
    scaled = fit_preparation(vectors, normalize=True, components=components)
    assert scaled(vectors) == pytest.approx(sklearn_normalize(vectors), abs=1e-6)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_fewer_rows_than_components_keep_their_distances(vectors, n):
    preparation = fit_preparation(vectors[:n], normalize=False, components=10)
    prepared = preparation(vectors[:n])
    assert prepared.shape == (n, 10)
    assert pdist(prepared) == pytest.approx(pdist(vectors[:n]), rel=1e-4)


def test_new_vectors_are_prepared_as_the_old_ones(vectors):
    preparation = fit_preparation(vectors, normalize=True, components=4)
    assert preparation(vectors[7:9]) == pytest.approx(preparation(vectors)[7:9], abs=1e-6)


def test_prepared_vectors_go_to_a_mapped_file_where_memory_is_short(vectors, monkeypatch):
    preparation = fit_preparation(vectors, normalize=True, components=4)
    expected = preparation(vectors, np.arange(100)[::-1])
    monkeypatch.setattr(scratch, "free_memory", lambda: 100.0)
    mapped = preparation(vectors, np.arange(100)[::-1])
    assert isinstance(mapped, np.memmap)
    assert (mapped == expected).all()


@given(arrays(np.float32, (3, 4), elements=numbers))
def test_rows_have_length_one(rows):
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    assume(((lengths == 0) | (lengths > 1e-30)).all())
    scaled = unit_length(rows).astype(np.float64)
    assert np.linalg.norm(scaled, axis=1) == pytest.approx(np.sign(lengths), abs=1e-5)
    assert scaled * lengths[:, None] == pytest.approx(rows, rel=1e-5, abs=1e-5 * lengths.max())


def test_zero_vectors_stay_zero_and_harm_no_other(vectors):
    vectors[3] = 0
    assert (unit_length(vectors)[3] == 0).all()
    prepared = fit_preparation(vectors, normalize=True, components=5)(vectors)
    assert np.isfinite(prepared).all()

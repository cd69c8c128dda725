import faiss
import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from uvl_plugin.clustering import neighbor_cache, neighbors
from uvl_plugin.clustering.neighbors import nearest_neighbors, neighbors_of
from uvl_plugin.core.errors import Cancelled


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(neighbor_cache.FOLDER, str(tmp_path))


def clustered(n, dim=16, groups=40):
    random = np.random.default_rng(0)
    centres = 2 * random.normal(size=(groups, dim))
    noise = random.normal(size=(n, dim))
    return (centres[random.integers(groups, size=n)] + noise).astype(np.float32)


def recall(found, vectors, k) -> float:
    """Share of the true neighbours, found slowly, that are among those found."""
    true = NearestNeighbors(n_neighbors=k + 1).fit(vectors).kneighbors(return_distance=False)
    return np.mean([np.isin(row, other).mean() for row, other in zip(true[:, :k], found, strict=1)])


def assert_k_others(found, n, k):
    assert found.indices.shape == found.distances.shape == (n, k)
    assert (found.indices.dtype, found.distances.dtype) == (np.int64, np.float32)
    assert ((found.indices >= 0) & (found.indices < n)).all()
    assert (found.indices != np.arange(n)[:, None]).all()
    ordered = np.sort(found.indices, axis=1)
    assert (ordered[:, 1:] != ordered[:, :-1]).all()
    assert (np.diff(found.distances, axis=1) >= 0).all()


@pytest.fixture
def inverted(monkeypatch):
    """Small numbers of items go through the index too."""
    monkeypatch.setattr(neighbors, "_EXACT", 100)
    monkeypatch.setattr(neighbors, "_LIST", 32)
    monkeypatch.setattr(neighbors, "_PROBED", 2)
    monkeypatch.setattr(neighbors, "_SLOWER", 1)


@pytest.mark.parametrize("rows", [4096, 33])
def test_few_items_get_their_true_neighbours(rows, monkeypatch):
    monkeypatch.setattr(neighbors, "_ROWS", rows)
    vectors = clustered(300)
    found = nearest_neighbors(vectors, 7)
    reference = NearestNeighbors(n_neighbors=7).fit(vectors)
    distances, indices = reference.kneighbors()
    assert_k_others(found, 300, 7)
    assert (found.indices == indices).all()
    assert found.distances == pytest.approx(distances, rel=1e-3)


@pytest.mark.parametrize(("n", "k"), [(1, 0), (2, 1), (3, 2), (20, 19)])
def test_all_the_others_can_be_asked_for(n, k):
    assert_k_others(nearest_neighbors(clustered(n), k), n, k)


def test_the_index_finds_nearly_all_and_the_same_again(inverted):
    vectors = clustered(4000)
    found, again = (nearest_neighbors(vectors, 15) for _ in range(2))
    assert_k_others(found, 4000, 15)
    assert recall(found.indices, vectors, 15) > 0.95
    assert (found.indices == again.indices).all()
    assert (found.distances == again.distances).all()


def test_the_index_looks_farther_where_there_are_no_groups(inverted):
    vectors = np.random.default_rng(0).normal(size=(3000, 24)).astype(np.float32)
    found = nearest_neighbors(vectors, 15)
    assert recall(found.indices, vectors, 15) > 0.95


def test_where_too_much_of_the_index_is_needed_all_are_compared(inverted, monkeypatch):
    monkeypatch.setattr(neighbors, "_SLOWER", 8)
    vectors = np.random.default_rng(0).normal(size=(3000, 24)).astype(np.float32)
    found = nearest_neighbors(vectors, 15)
    true = NearestNeighbors(n_neighbors=15).fit(vectors).kneighbors(return_distance=False)
    assert (found.indices == true).mean() > 0.999  # but for ties by rounding


@pytest.mark.parametrize("n", [60, 2000])
def test_identical_items_have_others_too(n, inverted):
    vectors = clustered(n)
    vectors[: n // 2] = vectors[0]
    assert_k_others(nearest_neighbors(vectors, 12), n, 12)


def test_lists_with_too_few_items_are_no_hole(inverted, monkeypatch):
    monkeypatch.setattr(neighbors, "_RECALL", 0.0)
    monkeypatch.setattr(neighbors, "_PROBED", 2)
    vectors = clustered(500)
    assert_k_others(nearest_neighbors(vectors, 200), 500, 200)


def test_a_graph_is_computed_once(monkeypatch):
    monkeypatch.setattr(neighbors, "_CACHED", 200)
    vectors = clustered(250)
    first = nearest_neighbors(vectors, 15)
    with monkeypatch.context() as patch:
        patch.setattr(faiss, "knn", pytest.fail)
        again = nearest_neighbors(vectors.copy(), 15)
        fewer = nearest_neighbors(vectors, 10)
    assert (again.indices == first.indices).all()
    assert (again.distances == first.distances).all()
    assert (fewer.indices == first.indices[:, :10]).all()
    vectors[3] += 1
    assert not (nearest_neighbors(vectors, 15).distances == first.distances).all()


def test_few_items_leave_nothing_on_disk():
    nearest_neighbors(clustered(100), 5)
    assert not neighbor_cache.folder().exists()


def test_it_can_be_stopped():
    def stop(fraction, message):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        nearest_neighbors(clustered(100), 5, stop)


def test_some_items_get_the_neighbours_that_they_have_among_all():
    vectors, rows = clustered(300), np.array([7, 3, 299])
    found = neighbors_of(vectors, rows, 5)
    every = nearest_neighbors(vectors, 5)
    assert (found.indices == every.indices[rows]).all()
    assert found.distances == pytest.approx(every.distances[rows], rel=1e-3)

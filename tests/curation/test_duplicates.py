import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvl_plugin.clustering import neighbor_cache, neighbors
from uvl_plugin.core.errors import Cancelled, SettingsError
from uvl_plugin.curation import duplicates, pairs
from uvl_plugin.curation.duplicates import groups, near_duplicates, usual_threshold


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv(neighbor_cache.FOLDER, str(tmp_path_factory.mktemp("cache")))


def all_distances(vectors, metric) -> np.ndarray:
    exact = vectors.astype(np.float64)
    if metric == "cosine":
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
        return ((exact[:, None] - exact[None]) ** 2).sum(axis=2) / 2
    return np.sqrt(((exact[:, None] - exact[None]) ** 2).sum(axis=2))


def kept_by_hand(apart, threshold) -> np.ndarray:
    kept = np.ones(len(apart), bool)
    for row in range(len(apart)):
        if kept[row]:
            kept[row + 1 :] &= apart[row, row + 1 :] > threshold
    return kept


def assert_as_by_hand(found, vectors, threshold, metric):
    apart = all_distances(vectors, metric)
    kept = kept_by_hand(apart, threshold)
    assert found.kept.tolist() == kept.tolist()
    every = np.arange(len(vectors))
    assert (found.of[kept] == every[kept]).all()
    assert found.kept[found.of].all()
    nearest = np.where(kept, apart, np.inf).min(axis=1)
    nearest[kept] = 0
    assert found.distances == pytest.approx(nearest, abs=1e-5)
    assert apart[every, found.of] == pytest.approx(nearest, abs=1e-5)
    assert (found.of.dtype, found.distances.dtype) == (np.int64, np.float32)
    assert (found.threshold, found.count) == (threshold, (~kept).sum())


@given(
    st.integers(0, 10**6),
    st.integers(1, 90),
    st.integers(1, 4),
    st.integers(1, 6),
    st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0]),
    st.sampled_from([1, 3, 200]),
)
def test_on_a_grid_it_is_what_a_person_would_do_row_by_row(seed, n, dim, side, threshold, k):
    vectors = np.random.default_rng(seed).integers(0, side, (n, dim)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_NEIGHBORS", k)  # so that rows are crowded, or none are
        patch.setattr(pairs, "_BLOCK", 16)
        patch.setattr(pairs, "_ROWS", 7)
        found = near_duplicates(vectors, threshold, metric="euclidean")
    assert_as_by_hand(found, vectors, threshold, "euclidean")


@given(st.integers(0, 10**6), st.integers(1, 120), st.floats(0.0005, 0.5))
@settings(max_examples=25)
def test_by_cosine_too_and_length_does_not_matter(seed, n, threshold):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(5, 6))
    vectors = centres[random.integers(5, size=n)] + 0.2 * random.normal(size=(n, 6))
    vectors = (vectors * random.uniform(0.1, 50, size=(n, 1))).astype(np.float32)
    apart = all_distances(vectors, "cosine")
    if np.abs(apart - threshold).min() < 1e-6:
        return  # rounding decides
    assert_as_by_hand(near_duplicates(vectors, threshold), vectors, threshold, "cosine")


@pytest.mark.parametrize("threshold", [0.0, 0.01])
def test_thousands_of_equal_items_are_one(threshold):
    vectors = np.tile(np.random.default_rng(0).normal(size=24), (5000, 1)).astype(np.float32)
    found = near_duplicates(vectors, threshold)
    assert found.kept.tolist() == [True] + 4999 * [False]
    assert not found.of.any()
    assert not found.distances.any()


def test_clumps_of_more_than_the_graph_lists():
    random = np.random.default_rng(1)
    centres = random.normal(size=(40, 16))
    vectors = np.repeat(centres, 100, axis=0) + 1e-4 * random.normal(size=(4000, 16))
    order = random.permutation(4000)
    found = near_duplicates(vectors[order].astype(np.float32), 0.01)
    clump = order // 100
    _, first = np.unique(clump, return_index=True)
    assert np.flatnonzero(found.kept).tolist() == sorted(first)
    assert (clump[found.of] == clump).all()


def test_in_a_chain_the_last_is_kept_where_only_the_middle_is_near_both():
    chain = np.array([[0.0], [1.0], [2.0], [3.0]], np.float32)
    found = near_duplicates(chain, 1.0, metric="euclidean")
    assert found.kept.tolist() == [True, False, True, False]
    assert found.of.tolist() == [0, 0, 2, 2]
    turned = near_duplicates(chain[[1, 0, 2, 3]], 1.0, metric="euclidean")
    assert turned.kept.tolist() == [True, False, False, True]
    assert turned.of.tolist() == [0, 0, 0, 3]


def test_the_nearest_kept_item_may_come_later_than_the_one_that_dropped_it():
    vectors = np.array([[0.0], [0.9], [1.1]], np.float32)
    found = near_duplicates(vectors, 1.0, metric="euclidean")
    assert found.kept.tolist() == [True, False, True]
    assert found.of.tolist() == [0, 2, 2]


@pytest.mark.parametrize("n", [0, 1])
def test_none_and_one(n):
    found = near_duplicates(np.ones((n, 3), np.float32), 0.1)
    assert (found.kept.tolist(), found.of.tolist()) == ([True] * n, list(range(n)))
    assert groups(found).tolist() == [-1] * n


def test_two():
    twins = np.array([[1, 2], [2, 4]], np.float32)
    assert near_duplicates(twins, 0.0).of.tolist() == [0, 0]
    assert near_duplicates(twins, 0.0, metric="euclidean").of.tolist() == [0, 1]


def test_zero_vectors_are_equal_to_each_other_and_far_from_the_rest():
    vectors = np.array([[0, 0], [1, 0], [0, 0], [1, 1e-9]], np.float32)
    assert near_duplicates(vectors, 0.4).of.tolist() == [0, 1, 0, 1]


def test_large_numbers_do_not_make_different_items_equal():
    vectors = np.full((300, 64), 1000.0, np.float32)
    vectors[:, 0] += np.arange(300)  # 1 apart, at a length of 8000
    found = near_duplicates(vectors, 0.5, metric="euclidean")
    assert found.kept.all()
    assert near_duplicates(vectors, 1.0, metric="euclidean").kept.tolist() == 150 * [True, False]


def test_nearly_all_are_found_where_the_graph_is_not_exact(monkeypatch):
    monkeypatch.setattr(neighbors, "_CACHED", 100)
    monkeypatch.setattr(neighbors, "_LIST", 32)
    random = np.random.default_rng(2)
    vectors = random.normal(size=(4000, 32))
    vectors[2000:] = vectors[:2000] + 0.05 * random.normal(size=(2000, 32))
    found = near_duplicates(vectors.astype(np.float32), 0.05)
    assert found.kept[:2000].all()
    assert found.kept[2000:].mean() < 0.02
    dropped = np.flatnonzero(~found.kept)
    assert (found.of[dropped] == dropped - 2000).all()


def test_groups_are_numbered_by_size_then_by_row():
    places = np.array([9, 0, 5, 5.1, 0.1, 0.2, 20, 20.1], np.float32)[:, None]
    found = groups(near_duplicates(places, 0.3, metric="euclidean"))
    assert found.tolist() == [-1, 0, 1, 1, 0, 0, 2, 2]


def test_vectors_are_not_touched():
    vectors = np.random.default_rng(3).normal(size=(50, 4)).astype(np.float32)
    vectors.setflags(write=False)
    near_duplicates(vectors, 0.1)
    near_duplicates(vectors, 0.1, metric="euclidean")


@pytest.mark.parametrize("metric", ["dot", "manhattan"])
def test_other_metrics_are_refused(metric):
    with pytest.raises(SettingsError, match="cosine"):
        near_duplicates(np.ones((3, 2), np.float32), 0.1, metric=metric)


@pytest.mark.parametrize("threshold", [-0.1, float("nan"), float("inf")])
def test_a_threshold_is_a_distance(threshold):
    with pytest.raises(SettingsError, match="at least 0"):
        near_duplicates(np.ones((3, 2), np.float32), threshold)


def test_it_can_be_stopped_and_progress_ends_at_1():
    said = []
    vectors = np.random.default_rng(4).normal(size=(600, 4)).astype(np.float32)
    near_duplicates(vectors, 0.1, progress=lambda share, message: said.append(share))
    assert said == sorted(said)
    assert said[-1] == 1.0

    def stop(share, message):
        if share > 0.8:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        near_duplicates(vectors, 0.1, progress=stop)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("dim", [2, 6, 20, 64])
def test_the_usual_threshold_takes_few_items_for_duplicates_in_any_number_of_dimensions(
    dim, metric
):
    for n in (60, 1500):
        vectors = np.random.default_rng(dim).normal(size=(n, dim)).astype(np.float32)
        found = near_duplicates(vectors, usual_threshold(vectors, metric), metric=metric)
        assert found.count <= 0.015 * n


def with_copies(n, bursts, each, seed=0) -> tuple[np.ndarray, np.ndarray]:
    """Items in loose groups, and slightly altered copies of the first ones; which is which."""
    random = np.random.default_rng(seed)
    centres = 2 * random.normal(size=(8, 24))
    different = centres[random.integers(8, size=n)] + random.normal(size=(n, 24))
    item = np.concatenate([np.arange(n), np.repeat(np.arange(bursts), each)])
    vectors = different[item]
    vectors[n:] += 0.05 * random.normal(size=(bursts * each, 24))
    return vectors.astype(np.float32), item


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(("bursts", "each"), [(300, 1), (60, 5), (10, 25)])
def test_the_usual_threshold_finds_copies_and_hardly_anything_else(bursts, each, metric):
    vectors, item = with_copies(600, bursts, each)
    found = near_duplicates(vectors, usual_threshold(vectors, metric), metric=metric)
    assert (~found.kept[600:]).mean() > 0.99
    assert (item[found.of] == item).mean() > 0.99


def test_the_usual_threshold_grows_with_the_vectors_only_if_lengths_count():
    vectors, _ = with_copies(200, 50, 1)
    for scale in (1e-4, 1e4):
        scaled = np.float32(scale) * vectors
        assert usual_threshold(scaled) == pytest.approx(usual_threshold(vectors), rel=1e-3)
        assert usual_threshold(scaled, "euclidean") == pytest.approx(
            scale * usual_threshold(vectors, "euclidean"), rel=1e-3
        )


def test_the_usual_threshold_of_few_and_of_equal_items():
    assert usual_threshold(np.ones((0, 3), np.float32)) == 0
    assert usual_threshold(np.ones((1, 3), np.float32)) == 0
    for n in (2, 3, 5, 12):
        vectors = np.random.default_rng(n).normal(size=(n, 8)).astype(np.float32)
        assert near_duplicates(vectors, usual_threshold(vectors)).kept.all()
    same = np.ones((50, 3), np.float32)
    assert usual_threshold(same) == pytest.approx(0, abs=1e-6)
    assert near_duplicates(same, usual_threshold(same)).count == 49


def test_the_usual_threshold_knows_only_distances():
    with pytest.raises(SettingsError, match="dot product is no distance"):
        usual_threshold(np.ones((3, 2), np.float32), "dot")

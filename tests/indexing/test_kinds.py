"""Every kind of index keeps the same contract, whatever the metric and the precision."""

import numpy as np
import pytest

from tests.indexing.made import clustered, distances_by_hand, made, names
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.registry import UnknownNameError
from uvl_plugin.indexing import segment
from uvl_plugin.indexing.index import PRECISIONS
from uvl_plugin.indexing.kind import index_kinds
from uvl_plugin.indexing.kinds.flat import Flat
from uvl_plugin.indexing.kinds.ivf import IVF
from uvl_plugin.indexing.metrics import METRICS
from uvl_plugin.indexing.scan import scan

N, DIM, K = 2500, 8, 60
QUERIES = clustered(20, DIM, seed=7)
KINDS = index_kinds.names()
STRUCTURED = [name for name in KINDS if name != "flat"]


@pytest.fixture(scope="module", autouse=True)
def structures_of_few():
    """Structures are made and searched from 500 vectors on, and not only from 20,000."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "_SCANNED", 500)
        yield


@pytest.fixture(scope="module")
def index_of(tmp_path_factory):
    """An index of 2,500 vectors of each kind, metric and precision, made once."""
    indexes = {}

    def get(kind, metric="cosine", precision="float32"):
        key = kind, metric, precision
        if key not in indexes:
            folder = tmp_path_factory.mktemp("index")
            indexes[key] = made(
                folder, clustered(N, DIM), kind=kind, metric=metric, precision=precision
            )
        return indexes[key]

    return get


def true_nearest(metric, vectors, query, k):
    return np.argsort(distances_by_hand(metric, vectors, query), kind="stable")[:k]


def recall(snapshot, metric, vectors, rows, allowed=None):
    """Share of the nearest by hand that are among the rows found."""
    allowed = np.arange(len(vectors)) if allowed is None else allowed
    shares = []
    for query, found in zip(QUERIES, rows, strict=True):
        true = allowed[true_nearest(metric, vectors[allowed], query, K)]
        shares.append(np.isin(true, found).mean())
    return np.mean(shares)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
class TestEachKind:
    def test_finds_what_is_near(self, index_of, kind, metric, precision):
        snapshot = index_of(kind, metric, precision).snapshot()
        assert (snapshot.segments[0].structure is None) == (kind == "flat")
        vectors = clustered(N, DIM).astype(precision)
        rows, apart = snapshot.search(QUERIES, K)
        assert rows.shape == apart.shape == (len(QUERIES), K)
        assert rows.dtype == np.int64
        assert apart.dtype == np.float32
        least = 1.0 if kind == "flat" else 0.98
        assert recall(snapshot, metric, vectors, rows) >= least
        for query, near, distances in zip(QUERIES, rows, apart, strict=True):
            expected = distances_by_hand(metric, vectors[near], query)
            np.testing.assert_allclose(distances, expected, rtol=1e-4, atol=1e-5)
            assert (np.diff(distances) >= 0).all()
            assert len(set(near.tolist())) == K

    def test_among_and_farthest(self, index_of, kind, metric, precision):
        snapshot = index_of(kind, metric, precision).snapshot()
        vectors = clustered(N, DIM).astype(precision)
        among = np.random.default_rng(1).permutation(N)[:800]
        rows, _ = snapshot.search(QUERIES, K, among=among)
        assert np.isin(rows, among).all()
        assert recall(snapshot, metric, vectors, rows, np.sort(among)) >= 0.98
        rows, apart = snapshot.search(QUERIES, 10, among=among, farthest=True)
        for query, far, distances in zip(QUERIES, rows, apart, strict=True):
            every = np.sort(distances_by_hand(metric, vectors[among], query))[::-1]
            np.testing.assert_allclose(distances, every[:10], rtol=1e-4, atol=1e-5)
            assert np.isin(far, among).all()

    def test_queries_change_nothing(self, index_of, kind, metric, precision):
        index = index_of(kind, metric, precision)
        snapshot = index.snapshot()
        queries, before = QUERIES.copy(), snapshot.vectors().tobytes()
        first = snapshot.search(queries, K)
        snapshot.search(queries, 5, among=np.arange(40), farthest=True)
        second = snapshot.search(queries, K)
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
        assert snapshot.vectors().tobytes() == before
        assert np.array_equal(snapshot.vectors(), clustered(N, DIM).astype(precision))
        assert np.array_equal(queries, QUERIES)
        index.verify()


@pytest.mark.parametrize("kind", KINDS)
class TestWhateverTheMetric:
    def test_removed_vectors_never_come_back(self, kind, tmp_path):
        index = made(tmp_path, clustered(1500, DIM), kind=kind)
        query = clustered(1500, DIM)[:1]
        near = index.snapshot().search(query, 50)[0][0]
        gone = index.snapshot().ids(near[:40])
        assert index.remove(gone) == 40
        snapshot = index.snapshot()
        for k in (10, 60, 1460):
            for among in (None, near):
                found = snapshot.search(query, k, among=among)[0][0]
                assert not np.isin(snapshot.ids(found), gone).any()
                assert len(found) == min(k, 1460 if among is None else 10)
        assert (snapshot.rows_of(gone) == -1).all()

    def test_what_was_opened_answers_when_its_files_are_gone(self, kind, tmp_path):
        index = made(tmp_path, clustered(1500, DIM), kind=kind)
        snapshot = index.snapshot()
        before = snapshot.search(QUERIES, K)
        index.rebuild([(names(700), clustered(700, DIM, seed=2), None)])
        assert len(index.snapshot()) == 700
        index.delete()
        after = snapshot.search(QUERIES, K)
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        assert np.array_equal(snapshot.vectors(), clustered(1500, DIM))

    def test_the_same_vectors_give_the_same_index(self, kind, index_of, tmp_path):
        import faiss

        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)  # several put vectors into a graph in any order
        try:
            first, second = (
                made(tmp_path / name, clustered(1500, DIM), kind=kind).snapshot() for name in "ab"
            )
        finally:
            faiss.omp_set_num_threads(threads)
        assert [a["files"] for a in self.segments(tmp_path / "a")] == [
            b["files"] for b in self.segments(tmp_path / "b")
        ]
        for one, other in zip(first.search(QUERIES, K), second.search(QUERIES, K), strict=True):
            assert np.array_equal(one, other)

    @staticmethod
    def segments(folder):
        from uvl_plugin.indexing.index import VectorIndex

        return VectorIndex(folder).manifest["segments"]

    @pytest.mark.parametrize("n", [0, 1, 2, 40])
    def test_few_vectors(self, kind, n, tmp_path):
        snapshot = made(tmp_path, clustered(n, DIM), kind=kind).snapshot()
        rows, _ = snapshot.search(QUERIES, K)
        assert rows.shape == (len(QUERIES), n)
        assert len(snapshot) == n

    def test_zeros_and_copies(self, kind, tmp_path):
        vectors = clustered(1500, DIM)
        vectors[100:110], vectors[200] = 0.0, vectors[900]
        snapshot = made(tmp_path, vectors, kind=kind).snapshot()
        rows, apart = snapshot.search(vectors[[900]], 3)
        assert rows[0, :2].tolist() == [200, 900]
        assert apart[0, 0] == apart[0, 1]
        assert 0 <= apart[0, 0] < 1e-6
        _, apart = snapshot.search(np.zeros((1, DIM), np.float32), 3)
        assert (apart == 1).all()
        _, apart = snapshot.search(vectors[:1], 1500)
        assert np.isfinite(apart).all()

    def test_large_numbers(self, kind, tmp_path):
        snapshot = made(
            tmp_path, 1000 * clustered(1500, DIM), kind=kind, metric="euclidean"
        ).snapshot()
        assert snapshot.search(1000 * clustered(1500, DIM)[[7]], 1)[0][0, 0] == 7


@pytest.mark.parametrize("kind", STRUCTURED)
def test_it_looks_as_hard_as_the_recall_needs(kind, tmp_path):
    entry = made(tmp_path, clustered(N, DIM), kind=kind).manifest["segments"][0]
    assert 0.99 <= entry["recall"] <= 1.0
    low = index_kinds[kind](recall=0.6)
    less = made(tmp_path / "low", clustered(N, DIM), kind=low).manifest["segments"][0]
    assert less["effort"] <= entry["effort"]
    assert less["recall"] >= 0.6


@pytest.mark.parametrize("kind", STRUCTURED)
@pytest.mark.parametrize("metric", METRICS)
def test_without_the_exact_vectors_distances_are_near(kind, metric, tmp_path):
    coarse = made(tmp_path, clustered(N, DIM), kind=index_kinds[kind](rerank=False), metric=metric)
    snapshot = coarse.snapshot()
    rows, apart = snapshot.search(QUERIES, K)
    most = 0.4 if kind == "ivf_pq" else 0.03
    for query, near, distances in zip(QUERIES, rows, apart, strict=True):
        expected = distances_by_hand(metric, clustered(N, DIM)[near], query)
        every = distances_by_hand(metric, clustered(N, DIM), query)
        assert np.abs(distances - expected).mean() < most * every.std()


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_it_looks_further_the_fewer_vectors_are_asked_for(kind, tmp_path):
    vectors = clustered(6000, DIM)
    snapshot = made(tmp_path, vectors, kind=index_kinds[kind](recall=0.9)).snapshot()
    among = np.sort(np.random.default_rng(1).permutation(6000)[:600])
    rows, _ = snapshot.search(QUERIES, 30, among=among)
    shares = []
    for query, found in zip(QUERIES, rows, strict=True):
        true = among[true_nearest("cosine", vectors[among], query, 30)]
        shares.append(np.isin(true, found).mean())
    assert np.mean(shares) >= 0.98


def test_ranked_by_hand_where_structures_find_too_few(tmp_path):
    index = made(tmp_path, clustered(N, DIM), kind=IVF(lists=200, recall=0.5))
    snapshot = index.snapshot()
    among = np.random.default_rng(3).permutation(N)[:520]
    rows, _ = snapshot.search(QUERIES, 120, among=among)
    assert rows.shape == (len(QUERIES), 120)
    assert np.isin(rows, among).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("farthest", [False, True])
@pytest.mark.parametrize("block_bytes", [2**10, 2**14, 2**25])
def test_scan_is_exact_in_blocks_of_any_size(metric, farthest, block_bytes, monkeypatch):
    from uvl_plugin.indexing import metrics
    from uvl_plugin.indexing import scan as scanned

    monkeypatch.setattr(scanned, "_BLOCK_BYTES", block_bytes)
    vectors = clustered(700, DIM)
    rows, apart = scan(vectors, metrics.lengths(vectors), QUERIES, 30, metric, farthest=farthest)
    for query, found, distances in zip(QUERIES, rows, apart, strict=True):
        every = distances_by_hand(metric, vectors, query)
        order = np.argsort(-every if farthest else every, kind="stable")[:30]
        assert np.array_equal(found, order)
        np.testing.assert_allclose(distances, every[order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("metric", METRICS)
def test_what_a_device_multiplies_is_the_same(metric, precision, index_of):
    """On the CPU here; on a GPU it is the same code."""
    snapshot, queries = index_of("ivf", metric, precision).snapshot(), clustered(70, DIM, seed=5)
    among = np.arange(0, N, 3)
    for farthest in (False, True):
        rows, apart = snapshot.search(queries, 20, among=among, farthest=farthest, device="cpu")
        every = [distances_by_hand(metric, snapshot.vectors(among), query) for query in queries]
        true = np.sort(every, axis=1)
        expected = true[:, ::-1][:, :20] if farthest else true[:, :20]
        np.testing.assert_allclose(apart, expected, rtol=1e-4, atol=1e-5)
        assert np.isin(rows, among).all()


class TestQuestions:
    @pytest.fixture(scope="class")
    def snapshot(self, tmp_path_factory):
        return made(tmp_path_factory.mktemp("flat"), clustered(300, DIM), kind=Flat()).snapshot()

    def test_k_of_any_size(self, snapshot):
        assert snapshot.search(QUERIES, 0)[0].shape == (20, 0)
        assert snapshot.search(QUERIES, 1000)[0].shape == (20, 300)
        assert snapshot.search(QUERIES[:0], 5)[0].shape == (0, 5)

    def test_among_none_at_all(self, snapshot):
        assert snapshot.search(QUERIES, 5, among=np.zeros(0, np.int64))[0].shape == (20, 0)
        assert snapshot.search(QUERIES, 5, among=[])[0].shape == (20, 0)

    def test_among_the_same_row_twice(self, snapshot):
        assert snapshot.search(QUERIES, 5, among=np.array([3, 3]))[0].tolist() == 20 * [[3]]

    @pytest.mark.parametrize(
        ("queries", "k", "said"),
        [
            (np.full((1, DIM), np.nan), 3, "not finite"),
            (np.ones((1, DIM + 1)), 3, "has 9 numbers, and the vectors of the index have 8"),
            (np.ones(DIM), 3, "shape"),
            (np.ones((1, DIM)), -1, "-1 nearest"),
        ],
    )
    def test_what_cannot_be_asked(self, snapshot, queries, k, said):
        with pytest.raises(DataError, match=said):
            snapshot.search(queries, k)

    @pytest.mark.parametrize("row", [-1, 300])
    def test_rows_that_are_not_there(self, snapshot, row):
        with pytest.raises(DataError, match="rows 0 to 299"):
            snapshot.vectors(np.array([0, row]))


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"kind": "ifv"}, UnknownNameError, "Did you mean 'ivf'"),
        ({"kind": 3}, SettingsError, "kind must be a name"),
        ({"metric": "manhattan"}, SettingsError, "metric must be cosine"),
        ({"precision": "int8"}, SettingsError, "precision must be float32"),
    ],
)
def test_unknown_options_leave_nothing(options, error, said, tmp_path):
    with pytest.raises(error, match=said):
        made(tmp_path / "new", clustered(5, DIM), ids=names(5), **options)
    assert not (tmp_path / "new").exists()

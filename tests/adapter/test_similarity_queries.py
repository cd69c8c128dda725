"""Queries to the backend "faiss", compared with distances worked out by hand."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import uvl_plugin as uvl
from tests.adapter.similar import (
    N,
    add_vectors,
    by_id,
    distances,
    made,
    ranked,
    similarity,
    vectors_of,
)
from uvl_plugin.adapter.similarity_faiss import FaissSimilarityConfig, FaissSimilarityIndex

METRICS = ("cosine", "dotproduct", "euclidean")
AGGREGATIONS = {"post-mean": np.mean, "post-min": np.min, "post-max": np.max}


@pytest.fixture(scope="module")
def images():
    with made(N) as dataset:
        yield add_vectors(dataset)


@pytest.fixture
def dataset(images):
    yield images
    images.delete_brain_runs()


@pytest.mark.parametrize("metric", METRICS)
def test_a_query_by_id_or_vector_is_sorted_by_the_metric(dataset, metric):
    vectors = by_id(dataset)
    similarity(dataset, metric=metric)
    some_id = dataset.skip(3).first().id
    for query, vector in (
        (some_id, vectors[some_id]),
        (vectors_of(1, 5)[0], vectors_of(1, 5)[0]),
        (vectors_of(1, 5)[0].tolist(), vectors_of(1, 5)[0]),
    ):
        expected, _ = ranked(vectors, vector, metric)
        found = dataset.sort_by_similarity(query, k=7, brain_key="sim")
        assert found.values("id") == expected[:7]
        found = dataset.sort_by_similarity(query, k=7, reverse=True, brain_key="sim")
        assert found.values("id") == expected[::-1][:7]


@pytest.mark.parametrize("k", [0, 1, N, N + 5, None])
def test_as_many_are_found_as_asked_for(dataset, k):
    index = similarity(dataset)
    query = vectors_of(1, 5)[0]
    expected, _ = ranked(by_id(dataset), query)
    assert index.sort_by_similarity(query, k=k).values("id") == expected[:k]


@pytest.mark.parametrize("by_ids", [True, False])
def test_several_queries_are_averaged_before_the_search(dataset, by_ids):
    vectors = by_id(dataset)
    similarity(dataset)
    ids = dataset.values("id")[4:9]
    rows = np.array([vectors[key] for key in ids])
    found = dataset.sort_by_similarity(ids if by_ids else rows, k=9, brain_key="sim")
    assert found.values("id") == ranked(vectors, rows.mean(axis=0))[0][:9]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("how", AGGREGATIONS)
@pytest.mark.parametrize("reverse", [False, True])
def test_distances_to_several_queries_are_put_together(dataset, metric, how, reverse):
    vectors = by_id(dataset)
    index = similarity(dataset, metric=metric)
    assert set(index.config.supported_aggregations) == {"mean", *AGGREGATIONS}
    ids = dataset.values("id")[4:9]
    apart = [distances(metric, list(vectors.values()), vectors[key]) for key in ids]
    total = AGGREGATIONS[how](apart, axis=0)
    order = np.argsort(-total if reverse else total, kind="stable")[:8]
    samples, labels, found = index._kneighbors(
        query=ids, k=8, reverse=reverse, aggregation=how, return_dists=True
    )
    assert labels is None
    assert found == pytest.approx(total[order], abs=1e-5)
    if not (how == "post-min" and not reverse):  # there the queries themselves are equal, at 0
        assert samples == [list(vectors)[row] for row in order]
    shown = index.sort_by_similarity(ids, k=8, reverse=reverse, aggregation=how)
    assert shown.values("id") == samples


def test_answers_have_the_shape_that_fiftyone_wants(dataset):
    index, vectors = similarity(dataset), by_id(dataset)
    ids = dataset.values("id")
    one = index._kneighbors(query=ids[0], k=3)
    assert one == (ranked(vectors, vectors[ids[0]])[0][:3], None)
    for query in (ids[:2], np.array([vectors[key] for key in ids[:2]])):
        samples, labels, apart = index._kneighbors(query=query, k=3, return_dists=True)
        assert labels is None
        for number in (0, 1):
            expected, far = ranked(vectors, vectors[ids[number]])
            assert samples[number] == expected[:3]
            assert apart[number] == pytest.approx(far[:3], abs=1e-5)


def test_where_all_items_ask_they_leave_themselves_out(dataset):
    index, vectors = similarity(dataset, metric="euclidean"), by_id(dataset)
    view = dataset.match(_even())
    for samples in (dataset, view):
        index.use_view(samples)
        ids = samples.values("id")
        for k in (1, 4, None):
            rows, apart = index._kneighbors(k=k, return_dists=True)
            for own, near, far in zip(ids, rows, apart, strict=True):
                others = [key for key in ids if key != own]
                expected, expected_far = ranked(vectors, vectors[own], "euclidean", others)
                assert [ids[row] for row in near] == expected[:k]
                assert far == pytest.approx(expected_far[:k], abs=1e-5)
        rows = index._radius_neighbors(thresh=3.0)
        matrix = np.array([vectors[key] for key in ids])
        for row, near in enumerate(rows):
            inside = np.flatnonzero(distances("euclidean", matrix, matrix[row]) <= 3.0)
            assert sorted(near) == [other for other in inside if other != row]


def test_all_within_a_distance_are_found(dataset, monkeypatch):
    monkeypatch.setattr("uvl_plugin.indexing.queries._FIRST", 2)  # so that it must look further
    index, vectors = similarity(dataset), by_id(dataset)
    ids = dataset.values("id")
    expected, far = ranked(vectors, vectors[ids[3]])
    n_near = int(np.count_nonzero(far <= 0.6))
    assert 4 < n_near < N
    assert index._radius_neighbors(query=ids[3], thresh=0.6) == (expected[:n_near], None)
    samples, _, apart = index._radius_neighbors(query=ids[3:5], thresh=0.6, return_dists=True)
    assert samples[0] == expected[:n_near]
    assert apart[0] == pytest.approx(far[:n_near], abs=1e-5)
    assert samples[1] == [
        key for key, d in zip(*ranked(vectors, vectors[ids[4]]), strict=True) if d <= 0.6
    ]


def test_distances_are_written_to_a_field(dataset):
    vectors = by_id(dataset)
    similarity(dataset)
    query = dataset.first().id
    found = dataset.sort_by_similarity(query, k=6, dist_field="far", brain_key="sim")
    expected, far = ranked(vectors, vectors[query])
    assert found.values("id") == expected[:6]
    assert found.values("far") == pytest.approx(far[:6], abs=1e-5)
    assert dataset.count("far") == 6


def test_queries_never_change_a_vector(dataset):
    """FiftyOne's built-in backend centres its own."""
    similarity(dataset)
    index = dataset.load_brain_results("sim")
    before = {key: row.tobytes() for key, row in by_id(dataset).items()}
    query = dataset.first().id
    for _ in range(2):
        dataset.sort_by_similarity(query, k=5, brain_key="sim")
        index._kneighbors(k=2)
        index.find_duplicates(thresh=0.1)
        index.find_unique(3)
    found, ids, _ = index.get_embeddings()
    assert {key: row.tobytes() for key, row in zip(ids.tolist(), found, strict=True)} == before
    found[:] = 0  # what is given is the caller's own
    assert index.get_embeddings(sample_ids=query)[0].tobytes() == before[query]


def test_wrong_questions_are_answered_with_what_is_wrong(dataset):
    index = similarity(dataset)
    ids = dataset.values("id")
    with pytest.raises(ValueError, match="'ffffffffffffffffffffffff'.* do not exist in this index"):
        index.sort_by_similarity([ids[0], "f" * 24])
    with pytest.raises(uvl.DataError, match="A query has 3 numbers, and .* have 6"):
        index.sort_by_similarity(np.ones(3), k=1)
    with pytest.raises(uvl.SettingsError, match="mean or one of post-mean, post-min, post-max"):
        index.sort_by_similarity(ids[:2], aggregation="median")
    with pytest.raises(uvl.DataError, match="cannot be aggregated"):
        index._kneighbors(k=1, aggregation="mean")
    with pytest.raises(uvl.DataError, match="A distance is needed"):
        index._radius_neighbors(query=ids[0])
    with pytest.raises(ValueError, match="does not support prompts"):
        index.sort_by_similarity("a cat", k=1)
    with pytest.raises(uvl.DataError, match="not finite"):
        index.sort_by_similarity(np.full(6, np.nan), k=1)


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        ({"metric": "manhattan"}, uvl.SettingsError, "metric must be cosine, dotproduct, euclid"),
        ({"precision": "int8"}, uvl.SettingsError, "precision must be one of .*float16"),
        ({"kind": "flatt"}, uvl.UVLError, "'flatt'. Did you mean 'flat'"),
        ({"kind": 3}, uvl.SettingsError, "kind must be a name"),
        ({"kind": "ivf", "settings": {"recall": 2}}, uvl.SettingsError, "IVF.recall must be"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_made(dataset, wrong, error, match):
    with pytest.raises(error, match=match):
        similarity(dataset, **wrong)
    assert dataset.list_brain_runs() == []


@pytest.mark.parametrize(
    "asked",
    [{"kind": uvl.IVF(recall=0.97)}, {"kind": "ivf", "settings": {"recall": 0.97}}],
    ids=["as object", "by name"],
)
def test_a_kind_and_its_settings_are_kept(dataset, asked):
    similarity(dataset, precision="float16", **asked)
    dataset.clear_cache()
    config = dataset.get_brain_info("sim").config
    assert (config.kind, config.settings["recall"]) == ("ivf", 0.97)
    told = dataset.load_brain_results("sim").description
    assert (told["kind"], told["precision"], told["size"]) == ("ivf", "float16", N)
    assert told["settings"]["recall"] == 0.97
    assert told["why"] == "asked for"


def test_half_precision_finds_the_same_nearest(dataset):
    index, vectors = similarity(dataset, precision="float16"), by_id(dataset)
    query = dataset.first().id
    rounded = {key: row.astype(np.float16).astype(np.float32) for key, row in vectors.items()}
    assert (
        index.sort_by_similarity(query, k=9).values("id")
        == (ranked(rounded, rounded[query])[0][:9])
    )
    assert index.get_embeddings()[0].dtype == np.float32


def test_it_is_registered_as_a_backend_of_fiftyone(dataset):
    assert similarity(dataset).config.method == "faiss"
    config = FaissSimilarityConfig()
    assert (config.type, config.max_k, config.supports_least_similarity) == (
        "similarity", None, True,
    )  # fmt: skip
    assert isinstance(dataset.load_brain_results("sim"), FaissSimilarityIndex)
    assert dataset.list_brain_runs(type="similarity", method="faiss") == ["sim"]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    metric=st.sampled_from(METRICS),
    k=st.integers(1, N + 2),
    chosen=st.sets(st.integers(0, N - 1), min_size=1),
    reverse=st.booleans(),
    seed=st.integers(0, 9),
)
def test_any_query_in_any_view_is_the_one_by_hand(dataset, metric, k, chosen, reverse, seed):
    vectors, ids = by_id(dataset), dataset.values("id")
    among = [ids[row] for row in sorted(chosen)]
    query = vectors_of(1, 100 + seed)[0]
    with similarity(dataset, brain_key=None, metric=metric) as index:
        index.use_view(dataset.select(among))
        found = index.sort_by_similarity(query, k=k, reverse=reverse).values("id")
    expected, _ = ranked(vectors, query, metric, among)
    assert found == (expected[::-1] if reverse else expected)[:k]


def _even():
    from fiftyone import ViewField as F

    return F("parity") == "even"

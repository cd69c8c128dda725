"""FiftyOne's near-duplicates, leaky splits and uniqueness on indexes of the backend "faiss"."""

import fiftyone.brain as fob
import numpy as np
import pytest
from fiftyone import ViewField as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import uvl_plugin as uvl
from tests.adapter.similar import add_objects, by_id, distances, made, similarity, vectors_of
from uvl_plugin.adapter import graph_duplicates

N, DIM = 30, 6
OBJECTS = "boxes.detections"


@pytest.fixture(scope="module")
def images():
    """Every third has a near copy behind it; the vectors are centred, as those are that the
    built-in backend compares."""
    with made(N) as dataset:
        rows = vectors_of(N, 1)
        rows[1::3] = rows[0::3] + np.random.default_rng(2).normal(size=(10, DIM)) * 0.01
        dataset.set_values("emb", list((rows - rows.mean(axis=0)).astype(np.float32)))
        dataset.set_values("split", ["ab"[number % 2] for number in range(N)])
        add_objects(dataset)
        yield dataset


@pytest.fixture
def dataset(images):
    yield images
    images.delete_brain_runs()
    images.clear_cache()


def by_hand(ids, rows, threshold, metric):
    """Keeps each that is still there, drops what comes later within the threshold."""
    apart = np.array([distances(metric, rows, row) for row in rows]).reshape(len(ids), len(ids))
    kept = np.ones(len(ids), bool)
    for row in range(len(ids)):
        if kept[row]:
            kept[row + 1 :] &= apart[row, row + 1 :] > threshold
    near = {}
    for row in np.flatnonzero(~kept):
        nearest = np.flatnonzero(kept)[apart[row, kept].argmin()]
        near.setdefault(ids[nearest], []).append((ids[row], apart[row, nearest]))
    return [key for key, keep in zip(ids, kept, strict=True) if keep], near


def check(index, ids, rows, threshold, metric):
    unique, near = by_hand(ids, rows, threshold, metric)
    assert index.unique_ids == unique
    assert index.duplicate_ids == [key for key in ids if key not in unique]
    assert index.neighbors_map.keys() == near.keys()
    for key, pairs in near.items():
        found = dict(index.neighbors_map[key])
        assert found == pytest.approx(dict(pairs), abs=1e-4)
        assert list(found.values()) == sorted(found.values())


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    metric=st.sampled_from(["cosine", "euclidean"]),
    threshold=st.sampled_from([0.0, 0.001, 0.0502, 0.21, 0.7, 1.3]),
    chosen=st.sets(st.integers(0, N - 1)) | st.sets(st.integers(0, N - 1), min_size=N - 5),
)
def test_near_duplicates_in_a_view_are_those_by_hand(dataset, metric, threshold, chosen):
    vectors, every = by_id(dataset), dataset.values("id")
    ids = [every[row] for row in sorted(chosen)]
    index = similarity(dataset, brain_key=None, metric=metric)
    index.use_view(dataset.select(ids))
    index.find_duplicates(thresh=threshold)
    assert index.thresh == threshold
    check(index, ids, np.array([vectors[key] for key in ids]), threshold, metric)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_built_in_backend_finds_the_same(dataset, metric):
    """But for the distances that it gives: it centres its vectors again, and not the query."""
    index = similarity(dataset, metric=metric)
    builtin = fob.compute_similarity(dataset, embeddings="emb", metric=metric)
    for each in (index, builtin):
        each.find_duplicates(thresh=0.05)
    assert set(index.unique_ids) == set(builtin.unique_ids)
    assert set(index.duplicate_ids) == set(builtin.duplicate_ids)
    for fraction in (0.0, 0.2, 0.5):
        for each in (index, builtin):
            each.find_duplicates(fraction=fraction)
        assert set(index.duplicate_ids) == set(builtin.duplicate_ids)
        index.find_duplicates(thresh=index.thresh)
        assert len(index.duplicate_ids) == round(fraction * N)
    index.find_duplicates(fraction=1.0)
    assert len(index.unique_ids) == 1  # of which the others are duplicates


def test_the_views_of_duplicates_and_of_unique_items(dataset):
    index = similarity(dataset)
    index.find_duplicates(thresh=0.02)
    ids = dataset.values("id")
    assert len(index.duplicate_ids) == 10
    shown = index.duplicates_view(type_field="kind", id_field="of", dist_field="far")
    assert shown.count_values("kind") == {"nearest": 10, "duplicate": 10}
    first, second = list(shown.limit(2))
    assert (first.id, second.of) == (first.of, first.id)
    assert 0 == first.far < second.far <= 0.02
    fars = shown.match(F("kind") == "duplicate").values("far")
    assert fars == sorted(fars)
    assert index.duplicates_view(sort_by="count", reverse=True).values("id")[0] in ids[::3]
    assert index.unique_view().values("id") == [key for key in ids if key in index.unique_ids]
    index.find_unique(4)
    assert len(index.unique_view()) == 4
    with pytest.raises(ValueError, match="must first call `find_duplicates"):
        index.duplicates_view()


def test_unique_items_are_far_apart(dataset):
    """By Gonzalez, at least half as far as any others can be; here as far as the built-in's."""
    index, vectors = similarity(dataset, metric="euclidean"), by_id(dataset)
    builtin = fob.compute_similarity(dataset, embeddings="emb", metric="euclidean")
    for count in (2, 5, 12):
        least = []
        for each in (index, builtin):
            each.find_unique(count)
            rows = np.array([vectors[key] for key in each.unique_ids])
            apart = np.array([distances("euclidean", rows, row) for row in rows])
            least.append(apart[np.triu_indices(count, 1)].min())
        assert len(index.unique_ids) == count
        assert len(index.duplicate_ids) == N - count
        assert index.thresh == pytest.approx(least[0], abs=1e-4)
        assert least[0] >= 0.5 * least[1]
    for count, expected in ((0, 0), (N, N), (N + 9, N)):
        index.find_unique(count)
        assert len(index.unique_ids) == expected


def test_objects_have_duplicates_too(dataset):
    index = similarity(dataset, patches_field="boxes")
    vectors = by_id(dataset, f"{OBJECTS}.emb")
    index.find_duplicates(thresh=0.05)
    check(index, list(vectors), np.array(list(vectors.values())), 0.05, "cosine")
    assert index.duplicate_ids
    shown = index.duplicates_view(type_field="kind")
    assert set(index.duplicate_ids) < set(shown.values("id")) <= set(vectors)
    assert set(index.unique_view().values("id")) == set(index.unique_ids)
    view = dataset.filter_labels("boxes", F("label") == "b")
    with index.use_view(view):
        index.find_duplicates(thresh=0.05)
        ids = view.values(f"{OBJECTS}.id", unwind=True)
        check(index, ids, np.array([vectors[key] for key in ids]), 0.05, "cosine")


def test_duplicates_are_drawn(dataset, monkeypatch):
    index = similarity(dataset)
    index.find_duplicates(thresh=0.02)
    points = fob.compute_visualization(dataset, points=np.random.default_rng(0).normal(size=(N, 2)))
    assert index.visualize_duplicates(points, backend="matplotlib") is not None
    index.find_unique(4)
    assert index.visualize_unique(points, backend="matplotlib") is not None
    seen = {}
    monkeypatch.setattr(
        "fiftyone.brain.similarity._plot_distances_plotly",
        lambda dists, metric, thresh, *args: seen.update(dists=dists, thresh=thresh),
    )
    index.plot_distances()
    rows = np.array(list(by_id(dataset).values()))
    apart = np.array([distances("cosine", rows, row) for row in rows])
    np.fill_diagonal(apart, np.inf)
    assert seen["dists"] == pytest.approx(apart.min(axis=1), abs=1e-5)
    assert seen["thresh"] == index.thresh


def test_fiftyones_near_duplicates(dataset):
    similarity(dataset)
    for index in ("sim", dataset.load_brain_results("sim")):
        found = fob.compute_near_duplicates(dataset, threshold=0.02, similarity_index=index)
        assert len(found.duplicate_ids) == 10
        assert type(found).__name__ == "FaissSimilarityIndex"


def test_fiftyones_leaky_splits(dataset, monkeypatch):
    similarity(dataset)
    calls = []
    find = graph_duplicates.GraphDuplicates.find_duplicates
    monkeypatch.setattr(
        graph_duplicates.GraphDuplicates,
        "find_duplicates",
        lambda *args, **kwargs: calls.append(1) or find(*args, **kwargs),
    )
    leaks = fob.compute_leaky_splits(
        dataset, splits="split", threshold=0.02, similarity_index="sim"
    )
    ids = dataset.values("id")  # each copy is in the other split than what it is a copy of
    pairs = {key for row in range(0, N, 3) for key in ids[row : row + 2]}
    assert set(leaks.leaks_view().values("id")) == pairs
    assert set(leaks.leaks_for_sample(ids[0]).values("id")) == set(ids[:2])
    assert len(leaks.no_leaks_view(dataset)) == N - 20
    leaks.find_leaks(0.02)
    assert len(calls) == 1


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # FiftyOne's groups of one
def test_fiftyones_uniqueness_and_representativeness(dataset):
    similarity(dataset, metric="euclidean")
    rows = np.array(list(by_id(dataset).values()))
    fob.compute_uniqueness(dataset, uniqueness_field="u", similarity_index="sim", progress=False)
    apart = np.sort([distances("euclidean", rows, row) for row in rows], axis=1)[:, 1:4]
    expected = (apart * [0.6, 0.3, 0.1]).mean(axis=1)
    assert dataset.values("u") == pytest.approx(expected / expected.max(), abs=1e-4)
    fob.compute_representativeness(
        dataset, representativeness_field="r", similarity_index="sim", progress=False
    )
    fob.compute_representativeness(
        dataset, representativeness_field="r2", embeddings="emb", progress=False
    )
    assert dataset.values("r") == pytest.approx(dataset.values("r2"), abs=1e-5, nan_ok=True)
    assert np.isfinite(dataset.values("r")).sum() >= 10


def test_fiftyones_map_of_an_index(dataset):
    similarity(dataset)
    one = fob.compute_visualization(dataset, similarity_index="sim", method="pca", progress=False)
    two = fob.compute_visualization(dataset, embeddings="emb", method="pca", progress=False)
    assert np.abs(one.points) == pytest.approx(np.abs(two.points), abs=1e-3)


def test_what_is_no_question_is_refused(dataset):
    index = similarity(dataset, brain_key=None, metric="dotproduct")
    with pytest.raises(uvl.DataError, match="Either thresh or fraction is needed"):
        index.find_duplicates()
    for ask in (lambda: index.find_duplicates(thresh=0.1), lambda: index.find_unique(3)):
        with pytest.raises(uvl.SettingsError, match="cosine or euclidean"):
            ask()

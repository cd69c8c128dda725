"""What the backend "faiss" finds inside views: of images, of objects in them, of groups."""

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F

import uvl_plugin as uvl
from tests.adapter.similar import (
    N,
    add_objects,
    add_vectors,
    by_id,
    made,
    ranked,
    similarity,
    vectors_of,
)
from uvl_plugin.adapter.index_source import IndexSource

OBJECTS = "boxes.detections"


@pytest.fixture(scope="module")
def images():
    with made(N) as dataset:
        add_vectors(dataset)
        add_objects(dataset)
        singles = [fo.Detection(label="s") if i % 2 else None for i in range(N)]
        dataset.set_values("main", singles)
        dataset.add_sample_field("main.emb", fo.VectorField)
        ids = dataset.exists("main").values("id")
        dataset.set_values(
            "main.emb", dict(zip(ids, vectors_of(len(ids), 9), strict=True)), key_field="id"
        )
        yield dataset


@pytest.fixture
def dataset(images):
    yield images
    images.delete_brain_runs()
    images.clear_cache()


VIEWS = {
    "match": lambda dataset: dataset.match(F("parity") == "even"),
    "take": lambda dataset: dataset.take(9, seed=1),
    "limit": lambda dataset: dataset.skip(3).limit(5),
    "select, twice named": lambda dataset: dataset.select(dataset.values("id")[3:6] * 2),
    "sorted": lambda dataset: dataset.sort_by("filepath", reverse=True).limit(12),
    "labels": lambda dataset: dataset.filter_labels("boxes", F("label") == "b"),
    "empty": lambda dataset: dataset.match(F("parity") == "neither"),
}


@pytest.mark.parametrize("name", VIEWS)
def test_only_what_the_view_shows_is_found(dataset, name):
    similarity(dataset)
    view, vectors = VIEWS[name](dataset), by_id(dataset)
    asks = dataset.last()  # which need not be in the view
    expected, _ = ranked(vectors, vectors[asks.id], among=view.values("id"))
    assert view.sort_by_similarity(asks.id, k=4, brain_key="sim").values("id") == expected[:4]
    index = dataset.load_brain_results("sim")
    with index.use_view(view):
        assert index.view == view
        assert index.index_size == len(view)
        assert index.current_sample_ids.tolist() == view.values("id")
        assert index.values("parity") == view.values("parity")
        found = index.sort_by_similarity(vectors[asks.id], k=None)
        assert found.values("id") == expected
    assert index.index_size == index.total_index_size == N
    assert not index.has_view


def test_views_follow_each_other_and_the_index_stays_whole(dataset):
    index, vectors = similarity(dataset), by_id(dataset)
    even, query = VIEWS["match"](dataset), dataset.first().id
    first = dataset.sort_by_similarity(query, k=8, brain_key="sim")
    second = first.match(F("parity") == "even").sort_by_similarity(query, k=3, brain_key="sim")
    among = [key for key in ranked(vectors, vectors[query])[0][:8] if key in even.values("id")]
    assert second.values("id") == among[:3]
    index.use_view(even)
    assert index.index_size == N // 2
    index.clear_view()
    assert index.index_size == N


def test_the_whole_dataset_is_searched_without_a_list_of_its_ids(dataset, monkeypatch):
    """Which takes longer than the search."""
    similarity(dataset)
    dataset.clear_cache()

    def fail(*args, **kwargs):
        raise AssertionError("ids were listed")

    monkeypatch.setattr(IndexSource, "ids_in", fail)
    for samples in (dataset, dataset.view()):
        assert len(samples.sort_by_similarity(dataset.first().id, k=3, brain_key="sim")) == 3
    with pytest.raises(AssertionError, match="ids were listed"):
        dataset.limit(9).sort_by_similarity(dataset.first().id, k=3, brain_key="sim")


def test_samples_that_were_deleted_are_in_the_index_until_it_is_brought_up_to_date(make_dataset):
    few = add_vectors(make_dataset([f"{number}.png" for number in range(5)]))
    index = similarity(few)
    gone, *left = few.values("id")
    few.delete_samples([gone])
    assert index.index_size == 5
    assert len(few.sort_by_similarity(left[0], brain_key="sim")) == 4
    assert index.use_view(few.limit(9)).index_size == 4
    index.sync()
    index.clear_view()
    assert index.sample_ids.tolist() == left


def test_items_that_the_index_does_not_have(dataset, caplog):
    vectors, ids = by_id(dataset), dataset.values("id")
    index = similarity(dataset, embeddings=False, brain_key=None)
    index.add_to_index(np.array([vectors[key] for key in ids[3:]]), ids[3:])
    view = dataset.limit(10)
    assert index.use_view(view).missing_size == 3
    assert index.index_size == 7
    assert index.use_view(dataset.skip(3)).missing_size is None
    index.use_view(view, allow_missing=False)
    with pytest.raises(ValueError, match=r"3 items of the view are not in the index, and 30 "):
        _ = index.index_size
    index.use_view(view, warn_missing=True)
    with caplog.at_level("WARNING"):
        assert index.index_size == 7
    assert "3 items of the view are not in the index" in caplog.text
    assert index.use_view(dataset.skip(3), allow_missing=False).index_size == N - 3


@pytest.mark.parametrize(("field", "labels"), [("boxes", OBJECTS), ("main", "main")])
def test_objects_are_found_among_objects(dataset, field, labels):
    index = similarity(dataset, patches_field=field)
    vectors = by_id(dataset.exists("main") if field == "main" else dataset, f"{labels}.emb")
    owners = owner_of_each(dataset, labels)
    assert index.total_index_size == index.index_size == len(vectors)
    assert set(index.label_ids) == set(vectors)
    assert [owners[key] for key in index.label_ids] == index.sample_ids.tolist()
    query = list(vectors)[4]
    expected, far = ranked(vectors, vectors[query])
    samples, ids, apart = index._kneighbors(query=query, k=6, return_dists=True)
    assert (samples, ids) == ([owners[key] for key in expected[:6]], expected[:6])
    assert apart == pytest.approx(far[:6], abs=1e-5)


def owner_of_each(dataset, labels):
    samples, rows = dataset.values(["id", f"{labels}.id"])
    pairs = zip(samples, rows, strict=True)
    return {
        key: sample for sample, row in pairs if row
        for key in (row if isinstance(row, list) else [row])
    }  # fmt: skip


def test_a_view_of_objects_is_sorted(dataset):
    similarity(dataset, patches_field="boxes")
    vectors = by_id(dataset, f"{OBJECTS}.emb")
    query = list(vectors)[4]
    expected, far = ranked(vectors, vectors[query])
    patches = dataset.to_patches("boxes")
    found = patches.sort_by_similarity(query, k=6, dist_field="far", brain_key="sim")
    assert found.values("id") == expected[:6]
    assert found.values("boxes.id") == expected[:6]
    assert found.values("far") == pytest.approx(far[:6], abs=1e-5)


def test_samples_are_sorted_by_their_nearest_object(dataset):
    similarity(dataset, patches_field="boxes")
    vectors, owners = by_id(dataset, f"{OBJECTS}.emb"), owner_of_each(dataset, OBJECTS)
    query = list(vectors)[4]
    expected = ranked(vectors, vectors[query])[0][:10]
    found = dataset.sort_by_similarity(query, k=10, brain_key="sim")
    assert found.values("id") == list(dict.fromkeys(owners[key] for key in expected))
    assert set(found.values(f"{OBJECTS}.id", unwind=True)) == set(expected)


def test_only_the_objects_of_a_view_are_found(dataset):
    similarity(dataset, patches_field="boxes")
    vectors = by_id(dataset, f"{OBJECTS}.emb")
    query = next(iter(vectors))
    view = dataset.filter_labels("boxes", F("label") == "b")
    among = view.values(f"{OBJECTS}.id", unwind=True)
    assert 5 < len(among) < len(vectors)
    expected = ranked(vectors, vectors[query], among=among)[0]
    shown = view.to_patches("boxes").sort_by_similarity(query, k=5, brain_key="sim")
    assert shown.values("id") == expected[:5]
    index = dataset.load_brain_results("sim")
    index.use_view(view)
    assert index.index_size == len(among)
    assert index.current_label_ids.tolist() == among
    assert index._kneighbors(query=query, k=5)[1] == expected[:5]
    index.use_view(dataset.to_patches("boxes"))
    assert not index.has_view


def test_an_index_of_images_in_a_view_of_objects(dataset):
    """Each image once, although it is behind several objects."""
    index, vectors = similarity(dataset), by_id(dataset)
    patches = dataset.limit(9).to_patches("boxes")
    index.use_view(patches)
    assert index.index_size == len(set(patches.values("sample_id")))
    query = dataset.first().id
    among = list(dict.fromkeys(patches.values("sample_id")))
    assert (
        index._kneighbors(query=query, k=3)[0]
        == ranked(vectors, vectors[query], among=among)[0][:3]
    )


@pytest.fixture
def groups():
    """6 groups of two images and a file that is not one, with a vector each."""
    dataset = fo.Dataset()
    dataset.add_group_field("group", default="left")
    samples = []
    for number in range(6):
        group = fo.Group()
        for name, ending in (("left", "png"), ("right", "png"), ("cloud", "pcd")):
            path = f"{name}{number}.{ending}"
            samples.append(fo.Sample(filepath=path, group=group.element(name), number=number))
    dataset.add_samples(samples, progress=False)
    flat = dataset.select_group_slices(_allow_mixed=True)
    dataset.add_sample_field("emb", fo.VectorField)
    rows = dict(zip(flat.values("id"), vectors_of(18, 3), strict=True))
    flat.set_values("emb", rows, key_field="id")
    yield dataset
    dataset.delete()


def test_the_index_of_a_grouped_dataset_holds_every_slice(groups):
    index = similarity(groups)
    flat = groups.select_group_slices(_allow_mixed=True)
    vectors = by_id(flat)
    assert set(index.sample_ids) == set(flat.values("id"))
    query = vectors_of(1, 5)[0]
    expected, _ = ranked(vectors, query)
    assert index._kneighbors(query=query, k=18)[0] == expected
    assert flat.sort_by_similarity(query, k=5, brain_key="sim").values("id") == expected[:5]
    assert (index.sync().n_added, index.sync().n_removed) == (0, 0)


def pinned(view, name):
    view.group_slice = name
    return view


SHOWN = {
    "dataset": lambda groups: groups,
    "dataset, other slice": lambda groups: pinned(groups.view(), "right"),
    "match": lambda groups: groups.match(F("number") < 4),
    "match, other slice": lambda groups: pinned(groups.match(F("number") < 4), "right"),
    "one slice": lambda groups: groups.select_group_slices("right"),
    "two slices": lambda groups: groups.select_group_slices(["left", "right"]),
}


@pytest.mark.parametrize("view", SHOWN)
def test_as_many_of_the_shown_slices_are_found_as_asked_for(groups, view):
    vectors = by_id(groups.select_group_slices(_allow_mixed=True))
    similarity(groups)
    samples = SHOWN[view](groups)
    query = vectors_of(1, 5)[0]
    expected, _ = ranked(vectors, query, among=samples.values("id"))
    for k in (0, 3, 9, None):
        found = samples.sort_by_similarity(query, k=k, brain_key="sim")
        assert found.values("id") == expected[:k]


def test_a_switch_of_the_slice_is_followed(groups):
    vectors = by_id(groups.select_group_slices(_allow_mixed=True))
    index = similarity(groups)
    for name in ("left", "right", "left"):
        groups.group_slice = name
        query = groups.first().id
        expected, _ = ranked(vectors, vectors[query], among=groups.values("id"))
        found = groups.sort_by_similarity(query, k=4, brain_key="sim")
        assert found.values("id") == expected[:4]
        assert index.sort_by_similarity(query, k=4).values("id") == expected[:4]


def test_vectors_are_added_to_any_slice_and_its_field(groups):
    index = similarity(groups)
    sample = groups.select_group_slices("right").first()
    index.add_to_index(np.ones((1, 6)), [sample.id])
    flat = groups.select_group_slices(_allow_mixed=True)
    assert by_id(flat)[sample.id].tolist() == [1.0] * 6
    index.remove_from_index([sample.id])
    assert sample.id not in by_id(flat)
    assert index.total_index_size == 17


def test_the_unfitting_kind_of_ids_is_named(dataset):
    index = similarity(dataset, brain_key=None)
    with pytest.raises(uvl.DataError, match="of samples and knows no labels"):
        index.get_embeddings(label_ids=["f" * 24])
    objects = similarity(dataset, patches_field="boxes", brain_key=None)
    with pytest.raises(uvl.DataError, match="labels in 'boxes': their ids are needed"):
        objects.add_to_index(np.ones((1, 6)), dataset.values("id")[:1])

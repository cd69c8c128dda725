"""Indexes of the backend "faiss" are brought up to date with the field they are made from."""

import fiftyone as fo
import pytest

import uvl_plugin as uvl
from tests.adapter.similar import (
    add_objects,
    add_vectors,
    by_id,
    content,
    same,
    similarity,
    vectors_of,
)
from uvl_plugin.adapter import index_source
from uvl_plugin.adapter.similarity_faiss import FaissSimilarityIndex

FEW = 12
OBJECTS = "boxes.detections"


@pytest.fixture
def dataset(make_dataset):
    return add_vectors(make_dataset([f"{number}.png" for number in range(FEW)]))


@pytest.fixture
def few_at_a_time(monkeypatch):
    monkeypatch.setattr("uvl_plugin.adapter.vectors._PAGE", 3)
    monkeypatch.setattr(f"{FaissSimilarityIndex.__module__}._PAGES", 2)


@pytest.mark.usefixtures("few_at_a_time")
@pytest.mark.parametrize("patches_field", [None, "boxes"])
def test_sync_brings_in_what_came_and_takes_out_what_went(dataset, patches_field):
    path = f"{OBJECTS}.emb" if patches_field else "emb"
    add_objects(dataset)
    index = similarity(dataset, patches_field=patches_field)
    before = index.total_index_size
    did = index.sync()
    assert (did.n_added, did.n_removed, did.rebuilt) == (0, 0, False)
    dataset.delete_samples(dataset.values("id")[2:4])
    n_left = len(by_id(dataset, path))
    other = fo.Dataset()
    other.add_samples([fo.Sample(filepath=f"new{i}.png") for i in range(9)], progress=False)
    add_objects(add_vectors(other))
    n_new = len(by_id(other, path))
    dataset.add_collection(other)
    other.delete()
    seen = []
    did = index.sync(lambda fraction, message: seen.append(fraction))
    assert (did.n_added, did.n_removed, did.rebuilt) == (n_new, before - n_left, False)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert same(content(index), by_id(dataset, path))
    cleared = dataset.values("id")[:2]
    dataset.set_values("emb", dict.fromkeys(cleared), key_field="id")
    assert index.sync().n_removed == (0 if patches_field else 2)
    assert same(content(index), by_id(dataset, path))


def test_vectors_of_another_network_are_all_read_again(dataset):
    made_by(dataset, "one")
    index = similarity(dataset)
    dataset.set_values("emb", list(vectors_of(FEW, 8, dim=9)))
    made_by(dataset, "another")
    did = index.sync()
    assert (did.n_added, did.n_removed, did.rebuilt) == (FEW, FEW, True)
    assert same(content(index), by_id(dataset))
    assert not index.sync().rebuilt


def made_by(dataset, space):
    """As uvl.embed notes which network the vectors of a field are of."""
    field = dataset.get_field("emb")
    field.info = {"uvl": {"space": space}}
    field.save()


@pytest.mark.parametrize("patches_field", [None, "boxes"])
def test_nothing_is_left_where_all_samples_were_deleted(dataset, patches_field):
    add_objects(dataset)
    index = similarity(dataset, patches_field=patches_field)
    before = index.total_index_size
    dataset.delete_samples(dataset.values("id"))
    assert (index.sync().n_removed, index.total_index_size) == (before, 0)


def test_without_a_field_sync_only_takes_out_what_was_deleted(dataset):
    index = similarity(dataset, embeddings=vectors_of(FEW, 5))
    gone = dataset.values("id")[:2]
    dataset.delete_samples(gone)
    assert index.sync() == type(index.sync())(0, 2)
    assert index.sample_ids.tolist() == dataset.values("id")


def test_a_field_that_was_deleted_leaves_the_index_as_it_is(dataset):
    index = similarity(dataset)
    dataset.delete_sample_field("emb")
    did = index.sync()
    assert (did.n_added, did.n_removed) == (0, 0)
    assert dataset.sort_by_similarity(dataset.first().id, k=2, brain_key="sim")
    with pytest.raises(uvl.DataError, match="'sim' was not made from a field .*; delete the brain"):
        index.rebuild()


def test_rebuild_reads_the_field_again(dataset):
    index = similarity(dataset)
    new = vectors_of(FEW, 8)
    dataset.set_values("emb", list(new))
    assert index.sync().n_added == 0  # whether values changed is not looked at
    index.rebuild()
    assert same(content(index), by_id(dataset))


def test_an_index_is_built_page_by_page(dataset, monkeypatch, few_at_a_time):
    sizes = []
    read = index_source.vectors.pages

    def watched(*args):
        for ids, page in read(*args):
            sizes.append(len(ids))
            yield ids, page

    monkeypatch.setattr(index_source.vectors, "pages", watched)
    index = similarity(dataset)
    assert sizes == [3] * (FEW // 3)
    assert same(content(index), by_id(dataset))


def test_two_indexes_of_one_field_do_not_know_of_each_other(dataset):
    one, two = similarity(dataset), similarity(dataset, brain_key="two", metric="euclidean")
    one.remove_from_index(sample_ids=dataset.values("id")[:3])
    assert (one.total_index_size, two.total_index_size) == (FEW - 3, FEW)
    assert two.sync().n_removed == 3

"""Vectors come to and leave indexes of the backend "faiss", and the fields they are made from."""

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest

import uvl_plugin as uvl
from tests.adapter.similar import (
    DIM,
    add_objects,
    add_vectors,
    by_id,
    content,
    ranked,
    same,
    similarity,
    vectors_of,
)

FEW = 12
OBJECTS = "boxes.detections"


@pytest.fixture
def dataset(make_dataset):
    return add_vectors(make_dataset([f"{number}.png" for number in range(FEW)]))


@pytest.mark.parametrize("patches_field", [None, "boxes"])
def test_an_index_of_a_field_holds_all_that_is_in_it(dataset, patches_field):
    add_objects(dataset)
    index = similarity(dataset.limit(2), patches_field=patches_field)  # a view means all
    assert not index.is_external
    assert same(content(index), by_id(dataset, "emb" if not patches_field else f"{OBJECTS}.emb"))
    assert index.config.embeddings_field == "emb"


def test_vectors_that_are_given_are_kept_in_the_files_alone(dataset):
    rows = vectors_of(FEW, 5)
    index = similarity(dataset, embeddings=rows)
    assert index.is_external
    assert same(content(index), dict(zip(dataset.values("id"), rows, strict=True)))
    assert dataset.get_field_schema(ftype=fo.VectorField).keys() == {"emb"}
    dataset.clear_cache()
    assert same(content(dataset.load_brain_results("sim")), content(index))
    size = len(dataset.load_brain_results("sim").serialize())
    assert size == 1  # in the database there is only the name of the class


def test_a_view_that_is_given_vectors_has_only_these(dataset):
    view = dataset.skip(8)
    index = similarity(view, embeddings=vectors_of(4, 5))
    assert index.sample_ids.tolist() == view.values("id")


def test_samples_without_a_vector_are_left_out(dataset):
    dataset.set_values("emb", dict.fromkeys(dataset.values("id")[:3]), key_field="id")
    index = similarity(dataset)
    assert index.sample_ids.tolist() == dataset.values("id")[3:]
    assert index.use_view(dataset.view().limit(5)).missing_size == 3


def test_a_field_that_is_not_there_yet_is_made_with_the_first_vectors(make_dataset, digit_files):
    dataset = make_dataset([path for path, _ in digit_files[:FEW]])
    index = similarity(dataset, embeddings="fresh", model=Plain())
    assert same(content(index), by_id(dataset, "fresh"))
    assert isinstance(dataset.get_field("fresh"), fo.VectorField)
    assert (index.sync().n_added, index.sync().n_removed, index.sync().rebuilt) == (0, 0, False)


class Plain(fo.Model):
    """The first numbers of each picture."""

    media_type = "image"
    has_embeddings = True
    ragged_batches = False
    transforms = None
    preprocess = True

    def embed(self, picture):
        return np.float32(picture.ravel()[100 : 100 + DIM])


def test_added_vectors_are_found_and_are_in_the_field(dataset):
    index = similarity(dataset)
    held = dataset.first()  # a sample in Python's memory
    new = vectors_of(2, 5).astype(np.float64)
    ids = [held.id, dataset.last().id]
    index.add_to_index(new, ids)
    assert index.total_index_size == FEW
    assert np.array_equal(held["emb"], new[0])
    assert same(content(index), by_id(dataset))
    assert dataset.sort_by_similarity(new[1], k=1, brain_key="sim").values("id") == ids[1:]


@pytest.mark.parametrize("patches_field", [None, "boxes"])
def test_the_first_vectors_of_an_empty_index(dataset, patches_field):
    add_objects(dataset)
    index = similarity(dataset, embeddings=False, patches_field=patches_field)
    assert (index.total_index_size, index.index_size) == (0, 0)
    assert index.get_embeddings()[0].shape[0] == 0
    assert index.sort_by_similarity(np.ones(DIM), k=3).values("id") == []
    index.find_duplicates(thresh=0.1)
    assert index.unique_ids == index.duplicate_ids == []
    vectors = by_id(dataset, f"{OBJECTS}.emb" if patches_field else "emb")
    add(index, dataset, vectors)
    assert same(content(index), vectors)
    query = vectors_of(1, 5)[0]
    assert ids_of(index._kneighbors(query=query, k=4)) == ranked(vectors, query)[0][:4]


def add(index, dataset, vectors, **kwargs):
    """Adds vectors by the id of a sample, or of an object in one."""
    owners = {
        key: sample for sample, keys in zip(*dataset.values(["id", f"{OBJECTS}.id"]), strict=True)
        for key in keys or ()
    }  # fmt: skip
    labels = None if index.config.patches_field is None else list(vectors)
    samples = [owners.get(key, key) for key in vectors]
    index.add_to_index(np.array(list(vectors.values())), samples, labels, **kwargs)


def ids_of(answer):
    samples, labels = answer
    return samples if labels is None else labels


@pytest.mark.parametrize("embeddings", ["emb", False])
@pytest.mark.parametrize("patches_field", [None, "boxes"])
def test_existing_vectors_are_replaced_kept_or_refused(dataset, patches_field, embeddings, caplog):
    add_objects(dataset)
    path = f"{OBJECTS}.emb" if patches_field else "emb"
    index = similarity(dataset, embeddings=embeddings, patches_field=patches_field)
    vectors = by_id(dataset, path)
    add(index, dataset, vectors)
    old, absent, *_ = vectors
    change = {old: vectors_of(1, 5)[0], absent: vectors_of(1, 6)[0]}
    index.remove_from_index(
        **({"label_ids": [absent]} if patches_field else {"sample_ids": [absent]})
    )
    with pytest.raises(ValueError, match=rf"1 ids \(such as '{old}'\) are in the index already"):
        add(index, dataset, change, overwrite=False, allow_existing=False)
    assert absent not in content(index)
    with caplog.at_level("WARNING"):
        add(index, dataset, change, overwrite=False, warn_existing=True)
    assert "are in the index already; they are ignored" in caplog.text
    assert same(content(index), vectors | {absent: change[absent]})
    add(index, dataset, change)
    assert same(content(index), vectors | change)
    if embeddings:
        assert same(content(index), by_id(dataset, path))


@pytest.mark.parametrize("embeddings", ["emb", False])
def test_removed_vectors_leave_the_field_too(dataset, embeddings, caplog):
    vectors = by_id(dataset)
    index = similarity(dataset, embeddings=embeddings)
    add(index, add_objects(dataset), vectors)
    ids, unknown = list(vectors)[:2], "f" * 24
    with pytest.raises(ValueError, match=rf"1 ids \(such as '{unknown}'\) are not in the index"):
        index.remove_from_index(sample_ids=[*ids, unknown], allow_missing=False)
    assert index.total_index_size == FEW
    with caplog.at_level("WARNING"):
        index.remove_from_index(sample_ids=[*ids, unknown], warn_missing=True)
    assert "are not in the index; they are ignored" in caplog.text
    index.remove_from_index()  # nothing was named
    kept = {key: row for key, row in vectors.items() if key not in ids}
    assert same(content(index), kept)
    assert same({k: r.tolist() for k, r in by_id(dataset).items()}, kept if embeddings else vectors)
    index.remove_from_index(sample_ids=np.array(list(kept)))
    assert index.total_index_size == 0


def test_samples_name_all_their_objects(dataset):
    add_objects(dataset)
    index = similarity(dataset, patches_field="boxes")
    sample = dataset.skip(3).first()
    own = [box.id for box in sample.boxes.detections]
    vectors, samples, labels = index.get_embeddings(sample_ids=sample.id)
    assert (labels.tolist(), set(samples)) == (own, {sample.id})
    assert vectors.shape == (3, DIM)
    index.remove_from_index(sample_ids=[sample.id])
    assert not set(own) & set(index.label_ids)
    assert dataset[sample.id].boxes.detections[0].emb is None
    assert same(content(index), by_id(dataset, f"{OBJECTS}.emb"))


@pytest.mark.parametrize("patches_field", [None, "boxes"])
def test_what_was_deleted_from_the_dataset_can_be_removed(dataset, patches_field):
    add_objects(dataset)
    index = similarity(dataset, patches_field=patches_field)
    sample = dataset.skip(3).first().id
    dataset.delete_samples([sample])
    index.remove_from_index(sample_ids=[sample])
    assert sample not in index.sample_ids
    assert same(content(index), by_id(dataset, f"{OBJECTS}.emb" if patches_field else "emb"))


@pytest.mark.parametrize("patches_field", [None, "boxes"])
def test_vectors_are_given_in_the_order_that_was_asked_for(dataset, patches_field, caplog):
    add_objects(dataset)
    index = similarity(dataset, patches_field=patches_field)
    builtin = fob.compute_similarity(dataset, embeddings="emb", patches_field=patches_field)
    vectors = by_id(dataset, f"{OBJECTS}.emb" if patches_field else "emb")
    asked = [list(vectors)[row] for row in (5, 0, 3, 5)]
    name = "label_ids" if patches_field else "sample_ids"
    for ids in (asked, asked[0], np.array(asked)):
        mine, theirs = index.get_embeddings(**{name: ids}), builtin.get_embeddings(**{name: ids})
        assert np.array_equal(mine[0], theirs[0])
        assert np.array_equal(mine[1], theirs[1])
        assert np.array_equal(mine[2], np.atleast_1d(theirs[2])) if patches_field else True
    unknown = "f" * 24
    with pytest.raises(ValueError, match="not in the index"):
        index.get_embeddings(**{name: [unknown]}, allow_missing=False)
    with caplog.at_level("WARNING"):
        found = index.get_embeddings(**{name: [unknown, asked[0]]}, warn_missing=True)
    assert "1 ids" in caplog.text
    assert len(found[0]) == len(found[1]) == 1
    assert index.get_embeddings(**{name: [unknown]})[0].shape == (0, DIM)


def test_a_wrong_length_is_refused_and_nothing_is_written(dataset):
    index = similarity(dataset)
    before = by_id(dataset)
    with pytest.raises(uvl.DataError, match="The vectors have 3 numbers, .* have 6"):
        index.add_to_index(np.ones((1, 3)), dataset.values("id")[:1])
    with pytest.raises(uvl.DataError, match="not finite"):
        index.add_to_index(np.full((1, DIM), np.nan), dataset.values("id")[:1])
    assert same({k: r.tolist() for k, r in by_id(dataset).items()}, before)
    assert same(content(index), before)
    index.add_to_index(np.zeros((0, DIM)), [])
    assert index.total_index_size == FEW


def test_the_view_is_looked_at_again_after_a_write(dataset):
    index = similarity(dataset)
    view = dataset.match(fo.ViewField("parity") == "even")
    index.use_view(view)
    assert index.index_size == FEW // 2
    dataset.set_values("parity", ["even"] * FEW)
    assert index.index_size == FEW // 2
    index.reload()
    assert index.index_size == FEW
    index.remove_from_index(sample_ids=view.values("id")[:1])
    assert (index.index_size, index.missing_size) == (FEW - 1, 1)

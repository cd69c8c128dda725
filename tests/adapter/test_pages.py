"""Vectors of images and objects come page by page, by id, straight from the database."""

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F

import uvl_plugin as uvl
from uvl_plugin.adapter import documents, vectors
from uvl_plugin.adapter.target import target
from uvl_plugin.adapter.vectors import check_any_vector, pages, read_items, vector_paths

N, DIM = 23, 5


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setattr(vectors, "_PAGE", 7)
    monkeypatch.setattr(documents, "PAGE", 3)


@pytest.fixture
def dataset(make_dataset):
    """Samples with a vector each, and with 0 to 3 objects that have one each."""
    random = np.random.default_rng(0)
    dataset = make_dataset([f"{number}.png" for number in range(N)])
    dataset.add_sample_field("emb", fo.VectorField)
    dataset.set_values("emb", list(random.normal(size=(N, DIM))))
    boxes = [
        fo.Detections(detections=[fo.Detection(label=f"{i}") for i in range(number % 4)])
        for number in range(N)
    ]
    dataset.set_values("boxes", boxes)
    dataset.set_values("main", [fo.Detection(label="m") if i % 2 else None for i in range(N)])
    for path in ("boxes.detections.emb", "main.emb"):
        dataset.add_sample_field(path, fo.VectorField)
    rows = [[random.normal(size=DIM) for _ in range(number % 4)] for number in range(N)]
    dataset.set_values("boxes.detections.emb", rows)
    ids = dataset.exists("main").values("id")
    singles = dict(zip(ids, random.normal(size=(len(ids), DIM)), strict=True))
    dataset.set_values("main.emb", singles, key_field="id")
    return dataset


def all_pages(items, ids=None):
    """Ids and vectors of all pages; none of them is empty or large."""
    found = list(pages(items, ids))
    assert all(1 <= len(page) <= 7 and matrix.shape == (len(page), DIM) for page, matrix in found)
    assert all(matrix.dtype == np.float32 for _, matrix in found)
    return [key for page, _ in found for key in page], np.concatenate([m for _, m in found])


def by_fiftyone(samples, labels):
    """Vector by the id of each object, as FiftyOne reads them."""
    ids, rows = samples.values([f"{labels}.id", f"{labels}.emb"])
    if labels == "main":
        ids, rows = [[key] for key in ids if key], [[row] for row in rows if row is not None]
    pairs = (zip(keys, row, strict=True) for keys, row in zip(ids, rows, strict=True) if keys)
    return {key: np.float32(vector) for row in pairs for key, vector in row}


def test_images_come_in_the_order_that_was_asked_for(dataset):
    items = target(dataset, "emb")
    ids, found = all_pages(items)
    assert ids == dataset.values("id")
    assert (found == np.array(dataset.values("emb"), np.float32)).all()
    asked = ids[::-2]
    again, some = all_pages(items, asked)
    assert again == asked
    assert (some == found[::-2]).all()


@pytest.mark.parametrize(
    ("patches_field", "labels"), [("boxes", "boxes.detections"), ("main",) * 2]
)
def test_objects_are_read_by_their_ids(dataset, patches_field, labels):
    expected = by_fiftyone(dataset, labels)
    items = target(dataset, "emb", patches_field=patches_field)
    ids, found = all_pages(items)
    assert ids == list(expected)
    assert (found == np.array(list(expected.values()))).all()
    mixed = np.random.default_rng(1).permutation(ids)[:9].tolist()
    fresh = target(dataset, "emb", patches_field=patches_field)  # has not listed its ids yet
    again, some = all_pages(fresh, mixed)
    assert again == mixed
    assert (some == np.array([expected[key] for key in mixed])).all()
    sample = dataset[fresh.sample_of(mixed[0])]
    assert mixed[0] in str(sample[patches_field])


def test_only_the_objects_of_a_view_are_read(dataset):
    view = dataset.filter_labels("boxes", F("label") == "0")
    ids, _ = all_pages(target(view, "emb", patches_field="boxes"))
    assert ids == [key for keys in view.values("boxes.detections.id") for key in keys]
    assert len(ids) == sum(number % 4 > 0 for number in range(N))


def test_missing_not_finite_and_deleted_items_are_left_out(dataset):
    ids = dataset.values("id")
    bad = {ids[0]: None, ids[8]: np.full(DIM, np.nan)}
    dataset.set_values("emb", bad, key_field="id")
    dataset.delete_samples([ids[5]])
    kept, _ = all_pages(target(dataset, "emb"), ids)
    assert kept == [ids[row] for row in range(N) if row not in (0, 5, 8)]


def test_objects_without_a_vector_are_counted(dataset):
    sample = dataset.last()
    sample["boxes"].detections.append(fo.Detection(label="new"))
    sample.save()
    items = target(dataset, "emb", patches_field="boxes")
    found, n_missing = read_items(items)
    assert n_missing == 1
    assert found.space == "boxes.detections.emb"
    assert items.ids(missing=True) == [sample["boxes"].detections[-1].id]
    assert len(found) == len(items.ids()) - 1


def test_a_page_without_any_vector_is_passed_over(dataset):
    empty = dict.fromkeys(dataset.values("id")[7:21])
    dataset.set_values("emb", empty, key_field="id")
    ids, _ = all_pages(target(dataset, "emb"))
    assert len(ids) == N - 14


def test_another_length_than_the_first_is_refused(dataset):
    dataset.set_values("emb", {dataset.values("id")[9]: np.ones(3)}, key_field="id")
    found = pages(target(dataset, "emb"))
    assert len(next(found)[0]) == 7  # what comes before is given
    with pytest.raises(uvl.DataError, match=r"different shapes \[\(3,\), \(5,\)\]; embed the samp"):
        next(found)


def test_a_field_without_vectors_is_refused_with_those_that_have_some(dataset):
    items = target(dataset, "nope", patches_field="boxes")
    with pytest.raises(uvl.DataError, match=r"no vector field 'boxes.detections.nope'. Vector "):
        read_items(items)
    assert vector_paths(items) == ["boxes.detections.emb"]
    assert vector_paths(target(dataset, "emb")) == ["emb"]


def test_a_field_of_vectors_that_nothing_has_is_refused(dataset):
    for patches_field, noun in ((None, "samples"), ("boxes", "objects"), ("main", "objects")):
        items = target(dataset, "other", patches_field=patches_field)
        dataset.add_sample_field(items.path, fo.VectorField)
        for check in (check_any_vector, read_items):
            with pytest.raises(uvl.DataError, match=f"None of the .*{noun} has a vector in"):
                check(items)
        check_any_vector(items.with_field("emb"))


def test_another_attribute_of_the_same_objects_is_written_by_id(dataset):
    items = target(dataset, "emb", patches_field="boxes")
    ids = items.ids()
    dataset.add_sample_field("boxes.detections.rank", fo.IntField)
    ranks = {key: rank for rank, key in enumerate(ids[::2])}
    vectors.write_values(items.with_field("rank"), ranks)
    stored = zip(*dataset.values(["boxes.detections.id", "boxes.detections.rank"]), strict=True)
    found = {key: rank for keys, row in stored for key, rank in zip(keys, row, strict=True)}
    assert {key: rank for key, rank in found.items() if rank is not None} == ranks

"""Vectors are read straight from the database, and are what FiftyOne itself would give."""

import io
import tracemalloc
import zlib

import numpy as np
import pytest

import uvl_plugin as uvl
from uvl_plugin.adapter import vectors
from uvl_plugin.adapter.vectors import read_embeddings, read_stored, stored
from uvl_plugin.core import scratch

N, DIM = 23, 5


@pytest.fixture
def dataset(make_dataset, monkeypatch):
    """Samples with vectors that FiftyOne stored, some float64; pages of seven."""
    import fiftyone as fo

    monkeypatch.setattr(vectors, "_PAGE", 7)
    dataset = make_dataset([f"{number}.png" for number in range(N)])
    dataset.add_sample_field("emb", fo.VectorField)
    rows = np.random.default_rng(0).normal(size=(N, DIM))
    kinds = [rows[i].astype(np.float32 if i % 2 else np.float64) for i in range(N)]
    dataset.set_values("emb", kinds)
    return dataset


def by_fiftyone(samples):
    return samples.values("id"), np.array(samples.values("emb"), np.float32)


def test_all_vectors_come_in_the_order_of_the_samples(dataset):
    found, n_missing = read_embeddings(dataset, "emb")
    ids, expected = by_fiftyone(dataset)
    assert found.ids.tolist() == ids
    assert found.vectors.dtype == np.float32
    assert (found.vectors == expected).all()
    assert (found.space, n_missing) == ("emb", 0)


def test_a_view_gives_its_own_samples_in_its_own_order(dataset):
    view = dataset.shuffle(seed=3).limit(15)
    found, _ = read_embeddings(view, "emb")
    ids, expected = by_fiftyone(view)
    assert found.ids.tolist() == ids
    assert (found.vectors == expected).all()


def test_missing_and_not_finite_vectors_are_left_out_and_counted(dataset):
    ids, expected = by_fiftyone(dataset)
    bad = {ids[0]: None, ids[8]: np.full(DIM, np.nan), ids[22]: np.array([1, 2, np.inf, 4, 5.0])}
    dataset.set_values("emb", bad, key_field="id")
    found, n_missing = read_embeddings(dataset, "emb")
    left = [row for row in range(N) if row not in (0, 8, 22)]
    assert n_missing == 3
    assert found.ids.tolist() == [ids[row] for row in left]
    assert (found.vectors == expected[left]).all()


def test_a_field_that_was_never_written_is_missing(dataset):
    dataset.add_samples([type(dataset.first())(filepath="new.png")], progress=False)
    assert read_embeddings(dataset, "emb")[1] == 1


def test_different_lengths_are_refused_by_their_shapes(dataset):
    dataset.set_values("emb", {dataset.last().id: np.ones(3)}, key_field="id")
    with pytest.raises(uvl.DataError, match=r"different shapes \[\(3,\), \(5,\)\]; embed"):
        read_embeddings(dataset, "emb")


def test_no_vector_at_all_is_refused(dataset):
    dataset.set_values("emb", [None] * N)
    with pytest.raises(uvl.DataError, match="None of the 23 samples has a vector in 'emb'"):
        read_embeddings(dataset, "emb")


@pytest.mark.parametrize("kind", ["<f4", "<f8", ">f4", "<f2"])
def test_what_numpy_wrote_is_read(kind):
    vector = np.arange(4).astype(kind)
    buffer = io.BytesIO()
    np.save(buffer, vector)
    assert read_stored(zlib.compress(buffer.getvalue())).tolist() == [0, 1, 2, 3]
    assert read_stored(stored(vector)).tolist() == [0, 1, 2, 3]


def test_other_versions_of_the_format_are_read():
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.arange(3.0), version=(2, 0))
    assert read_stored(zlib.compress(buffer.getvalue())).tolist() == [0, 1, 2]


def test_vectors_go_to_a_mapped_file_where_memory_is_short(dataset, monkeypatch):
    expected, _ = read_embeddings(dataset, "emb")
    monkeypatch.setattr(scratch, "free_memory", lambda: 100.0)
    found, _ = read_embeddings(dataset, "emb")
    assert isinstance(found.vectors.base, np.memmap)
    assert (found.vectors == expected.vectors).all()


def test_reading_takes_one_array_and_a_few_pages(make_dataset):
    import fiftyone as fo

    n, dim = 4000, 1024
    dataset = make_dataset([f"{number}.png" for number in range(n)])
    dataset.add_sample_field("emb", fo.VectorField)
    one = stored(np.ones(dim, np.float32))
    dataset._sample_collection.update_many({}, {"$set": {"emb": one}})
    tracemalloc.start()
    try:
        found, _ = read_embeddings(dataset, "emb")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) == n
    assert peak < 1.75 * found.vectors.nbytes  # a second copy would be 2

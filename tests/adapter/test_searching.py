"""uvl.index: what it makes, and what it says about it."""

import numpy as np
import pytest

import uvl_plugin as uvl
from tests.adapter.similar import add_objects, add_vectors, by_id, content, ranked, same, vectors_of

N = 20


@pytest.fixture
def dataset(make_dataset):
    return add_vectors(make_dataset([f"{number}.png" for number in range(N)]))


def test_what_was_made_is_told(dataset):
    seen = []
    result = uvl.index(
        dataset.limit(3), embeddings="emb", brain_key="sim",
        progress=lambda fraction, message: seen.append((fraction, message)),
    )  # fmt: skip
    assert (result.brain_key, result.unit, result.n_items) == ("sim", "images", N)
    assert (result.kind, result.recall) == ("flat", 1.0)
    assert result.n_bytes >= N * 6 * 4
    assert str(result).startswith(
        "'sim' holds 20 images; kind 'flat', since 20 vectors are few enough to compare with all; "
        "recall 1.000, 0.0 MB, "
    )
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert all(message for _, message in seen)
    assert same(content(dataset.load_brain_results("sim")), by_id(dataset))


def test_objects_are_indexed_by_their_ids(dataset):
    add_objects(dataset)
    result = uvl.index(dataset, embeddings="emb", patches_field="boxes", brain_key="sim")
    vectors = by_id(dataset, "boxes.detections.emb")
    assert (result.unit, result.n_items) == ("objects", len(vectors))
    assert dataset.get_brain_info("sim").config.patches_field == "boxes"
    assert same(content(dataset.load_brain_results("sim")), vectors)


@pytest.mark.parametrize("kind", ["hnsw", uvl.HNSW(recall=0.97)], ids=["by name", "as object"])
def test_kind_metric_and_precision_are_those_asked_for(dataset, kind):
    uvl.index(
        dataset, embeddings="emb", brain_key="sim", kind=kind, metric="euclidean",
        precision="float16",
    )  # fmt: skip
    told = dataset.load_brain_results("sim").description
    assert (told["kind"], told["metric"], told["precision"]) == ("hnsw", "euclidean", "float16")
    assert told["settings"]["recall"] == (0.97 if isinstance(kind, uvl.HNSW) else uvl.HNSW().recall)
    query = vectors_of(1, 5)[0]
    halves = {key: row.astype(np.float16) for key, row in by_id(dataset).items()}
    expected, _ = ranked(halves, query, "euclidean")
    found = dataset.sort_by_similarity(query, k=4, brain_key="sim")
    assert found.values("id") == expected[:4]


@pytest.mark.parametrize(
    "wrong", [{"kind": "flt"}, {"metric": "l2"}, {"precision": "int8"}, {"embeddings": "nope"}]
)
def test_what_cannot_be_made_leaves_what_was_there(dataset, wrong):
    uvl.index(dataset, embeddings="emb", brain_key="sim")
    arguments = {"embeddings": "emb", "brain_key": "sim", "overwrite": True} | wrong
    with pytest.raises(uvl.UVLError):
        uvl.index(dataset, **arguments)
    assert len(dataset.sort_by_similarity(dataset.first().id, k=3, brain_key="sim")) == 3


def test_an_index_is_replaced_only_if_told(dataset):
    first = uvl.index(dataset, embeddings="emb", brain_key="sim")
    with pytest.raises(uvl.DataError, match="There is a brain run 'sim' already"):
        uvl.index(dataset, embeddings="emb", brain_key="sim")
    dataset.set_values("emb", list(vectors_of(N, 5)))
    again = uvl.index(dataset, embeddings="emb", brain_key="sim", overwrite=True)
    assert first.n_items == again.n_items == N
    assert same(content(dataset.load_brain_results("sim")), by_id(dataset))

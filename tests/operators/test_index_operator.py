"""The operator that makes a similarity index, used as the App uses it."""

import shutil

import fiftyone as fo
import numpy as np
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionError

import uvl_plugin as uvl
from tests.operators.test_cluster_operators import said
from tests.operators.test_operators import execute, form, messages, started
from uvl_plugin.indexing.kind import index_kinds

OBJECTS = "boxes.detections.own"


@pytest.fixture
def embedded(make_dataset, digit_files):
    """40 digits with vectors; and one object in every second of them, with a vector too."""
    dataset = make_dataset([path for path, _ in digit_files[::5]])
    uvl.embed(dataset, uvl.Pixels(size=8), "emb")
    some = dataset.select(dataset.values("id")[::2])
    boxes = [fo.Detections(detections=[fo.Detection(bounding_box=[0, 0, 1, 1])]) for _ in some]
    some.set_values("boxes", boxes)
    uvl.embed(dataset, uvl.Pixels(size=8), "own", patches_field="boxes")
    return dataset


@pytest.fixture
def videos():
    """One video of eight frames with vectors."""
    dataset, rows = fo.Dataset(), np.random.default_rng(0).normal(size=(8, 4))
    sample = fo.Sample(filepath="0.mp4")
    for number, vector in enumerate(rows, start=1):
        sample.frames[number] = fo.Frame(emb=vector)
    dataset.add_sample(sample)
    yield dataset
    dataset.delete()


def test_the_form_offers_all_vectors_and_a_free_key(embedded):
    inputs = form("index_similarity", embedded)
    assert inputs["embeddings"].type.values == ["emb", OBJECTS]
    assert inputs["brain_key"].default == "similarity"
    assert not any(prop.invalid for prop in inputs.values())
    uvl.index(embedded, embeddings="emb", brain_key="similarity")
    assert form("index_similarity", embedded)["brain_key"].default == "similarity_2"


@pytest.mark.parametrize("kind", list(index_kinds), ids=lambda kind: kind.name)
def test_every_setting_of_a_kind_is_in_the_form(embedded, kind):
    inputs = form("index_similarity", embedded, {"kind": kind.name})
    for spec in kind.specs():
        assert inputs[spec.name].view.description == spec.help
        assert not inputs[spec.name].invalid


@pytest.mark.parametrize(
    ("path", "counted", "use"),
    [
        ("emb", "40 images", "Select images and use the magnifying glass"),
        (OBJECTS, "20 objects", "Show the objects with the button 'Patches'"),
    ],
)
def test_an_index_is_made_and_its_use_is_told(embedded, path, counted, use):
    told = messages(started("index_similarity", embedded, {"embeddings": path}))
    severity, text = said(told)
    assert severity == "success"
    assert text.startswith(f"'similarity' holds {counted}; kind 'flat', since")
    assert use in text
    assert any(uri.endswith("reload_dataset") for uri, _ in told)
    embedded.reload()
    index = embedded.load_brain_results("similarity")
    assert index.config.method == "faiss"
    items = embedded if path == "emb" else embedded.to_patches("boxes")
    assert index.total_index_size == len(items)
    asked = items.first().id
    near = items.sort_by_similarity(asked, k=5, brain_key="similarity")
    assert near.first().id == asked
    assert len(near) == 5


def test_an_index_of_frames_says_how_frames_are_sorted(videos):
    text = said(messages(started("index_similarity", videos, {})))[1]
    assert text.startswith("'similarity' holds 8 frames")
    assert text.endswith("Use the operator Find similar frames.")
    videos.reload()
    frames = videos.to_frames(sample_frames="dynamic", sparse=True)
    asked = frames.last().id
    assert frames.sort_by_similarity(asked, k=3, brain_key="similarity").first().id == asked


def test_what_is_asked_for_is_made(embedded):
    params = {
        "embeddings": "emb",
        "brain_key": "mine",
        "kind": "hnsw",
        "hnsw": {"recall": 0.9},
        "metric": "euclidean",
        "precision": "float16",
    }
    execute("index_similarity", embedded, params)
    embedded.reload()
    told = embedded.load_brain_results("mine").description
    assert (told["kind"], told["metric"], told["precision"]) == ("hnsw", "euclidean", "float16")
    assert told["settings"]["recall"] == 0.9


def test_another_index_is_replaced_only_where_that_is_allowed(embedded):
    params = {"embeddings": "emb", "brain_key": "mine"}
    execute("index_similarity", embedded, params)
    embedded.reload()
    field = form("index_similarity", embedded, params)["brain_key"]
    assert field.invalid
    assert "'mine'" in field.error_message
    with pytest.raises(ExecutionError):
        execute("index_similarity", embedded, params)
    shutil.rmtree(embedded.load_brain_results("mine").description["folder"])  # also a broken one
    execute("index_similarity", embedded, {**params, "overwrite": True, "metric": "dotproduct"})
    embedded.clear_cache()
    embedded.reload()
    assert embedded.load_brain_results("mine").description["metric"] == "dotproduct"


@pytest.mark.parametrize(
    ("params", "where", "message"),
    [
        ({"embeddings": "nope"}, "embeddings", "no vector field 'nope'"),
        ({"brain_key": "no key"}, "brain_key", "'no key' cannot be"),
        ({"kind": "ivf", "ivf": {"lists": 0}}, "lists", "must be at least 1, got 0"),
        ({"kind": "hnsw", "hnsw": {"recall": 2}}, "recall", "must be at most 1"),
    ],
)
def test_wrong_input_is_marked_with_the_reason(embedded, params, where, message):
    inputs = form("index_similarity", embedded, params)
    assert inputs[where].invalid
    assert message in inputs[where].error_message


def test_without_vectors_the_form_says_so(digits):
    inputs = form("index_similarity", digits)
    assert "Compute embeddings" in inputs["embeddings"].error_message
    with pytest.raises(ExecutionError):
        execute("index_similarity", digits, {})


def test_an_index_is_made_delegated(embedded):
    execute("index_similarity", embedded, {"embeddings": "emb"}, request_delegation=True)
    service = DelegatedOperationService()
    service.execute_queued_operations(limit=1)
    job = service.list_operations(dataset_name=embedded.name)[0]
    assert job.run_state == "completed"
    assert job.result.result == {
        "brain_key": "similarity",
        "items": 40,
        "kind": "flat",
        "recall": 1.0,
    }

"""The operator that picks what to label, used as the App uses it."""

import fiftyone as fo
import numpy as np
import pytest
from fiftyone.operators.delegated import DelegatedOperationService

from tests.adapter.kinds import make_kind
from tests.operators.test_cluster_operators import said
from tests.operators.test_operators import execute, form, messages, started
from uvl_plugin.picking.base import pickers


@pytest.fixture(scope="module")
def clustered():
    """Images in three clusters, which no test changes; group names in the field 'group'."""
    kind = make_kind("images")
    kind.cluster()
    yield kind.dataset
    kind.dataset.delete()


@pytest.fixture
def images():
    """The same, to be picked from."""
    kind = make_kind("images")
    kind.cluster()
    yield kind.dataset
    kind.dataset.delete()


@pytest.fixture
def videos():
    """A video of 40 frames, ten a second."""
    vectors, dataset = np.random.default_rng(0).normal(size=(40, 8)), fo.Dataset()
    sample = fo.Sample(filepath="a.mp4", metadata=fo.VideoMetadata(frame_rate=10))
    for number, vector in enumerate(vectors, start=1):
        sample.frames[number] = fo.Frame(emb=vector)
    dataset.add_sample(sample)
    yield dataset
    dataset.delete()


def test_it_picks_shows_the_view_and_the_next_round_leaves_that_out(images):
    params = {"run_key": "look", "quotas": "equal", "budget": 12}
    told = messages(started("select_samples", images, params))
    severity, text = said(told)
    assert severity == "success"
    assert text.startswith("12 of 47 images are picked, the best first: see the saved view 'Pick'")
    assert "before it was 0.0%" in text
    shown = next(params for uri, params in told if uri.endswith("set_view"))
    assert shown["name"] == "Pick"
    images.reload()
    view = images.load_saved_view("Pick")
    assert view.values("pick") == list(range(1, 13))
    assert set(images.match_tags("pick").values("id")) == set(view.values("id"))
    assert set(view.count_values("cluster.label").values()) == {4}
    assert all("look 0" in reason for reason in view.values("pick_reason"))
    inputs = form("select_samples", images)
    assert inputs["skip_tags"].default == "exclude, pick"
    assert inputs["field"].default == "pick_2"
    assert inputs["labels"].type.values == ["(none yet)", "group"]
    messages(started("select_samples", images, {"budget": 20}))
    images.reload()
    assert len(images.match_tags(["pick", "pick_2"])) == 32


def test_without_clusters_the_vectors_are_asked_for(clustered):
    inputs = form("select_samples", clustered, {"run_key": "(no clusters)"})
    assert inputs["embeddings"].type.values == ["emb"]
    assert "quotas" not in inputs
    inputs = form("select_samples", clustered)
    assert inputs["run_key"].default == "look"
    assert "embeddings" not in inputs


@pytest.mark.parametrize("entry", pickers, ids=lambda entry: entry.name)
def test_every_setting_of_a_picker_is_in_the_form(clustered, entry):
    inputs = form("select_samples", clustered, {"picker": entry.name})
    for spec in entry.specs():
        assert inputs[spec.name].view.label == spec.label
        assert not inputs[spec.name].invalid


@pytest.mark.parametrize(
    ("params", "where", "message"),
    [
        ({"picker": "boundary", "run_key": "(no clusters)"}, "picker", "works on clusters"),
        ({"picker": "typical", "typical": {"n_neighbors": 0}}, "n_neighbors", "at least 1, got 0"),
        ({"field": "group"}, "field", "'group' is a field of another kind"),
        ({"radius": -1}, "radius", "radius must be at least 0"),
        ({"run_key": "nope"}, "run_key", "has no run 'nope'"),
    ],
)
def test_wrong_input_is_marked_with_the_reason(clustered, params, where, message):
    inputs = form("select_samples", clustered, params)
    assert inputs[where].invalid
    assert message in inputs[where].error_message


def test_frames_are_picked_with_a_gap_in_time_delegated(videos):
    inputs = form("select_samples", videos)
    assert inputs["embeddings"].type.values == ["frames.emb"]
    assert not inputs["gap"].invalid
    params = {"budget": 4, "gap": 0.5}
    execute("select_samples", videos, params, request_delegation=True)
    service = DelegatedOperationService()
    service.execute_queued_operations(limit=1)
    job = service.list_operations(dataset_name=videos.name)[0]
    assert job.run_state == "completed"
    assert job.result.result["picked"] == 4
    videos.reload()
    picked = [number for number, frame in videos.first().frames.items() if frame["pick"]]
    assert np.diff(picked).min() >= 5

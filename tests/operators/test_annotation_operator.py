"""Sending to annotation: FiftyOne's own way, to a tool that runs in the tests."""

import json

import fiftyone as fo
import pytest
from fiftyone.operators.executor import ExecutionError

import uvl_plugin as uvl
from tests.adapter.kinds import make_kind
from tests.operators.annotating import ANSWER, CONFIG
from tests.operators.test_cluster_operators import said
from tests.operators.test_operators import context, execute, form, messages, operator, started
from uvl_plugin.adapter import annotations

SECRET = "s3cr3t-k3y"


@pytest.fixture
def images():
    made = make_kind("images")
    made.cluster()
    yield made
    made.dataset.delete()


@pytest.fixture(scope="module")
def unchanged():
    """The same, for tests that send nothing."""
    made = make_kind("images")
    made.cluster()
    yield made
    made.dataset.delete()


@pytest.fixture
def tools(monkeypatch):
    """What FiftyOne is configured for: nothing that needs a network."""
    configured = {
        "tool": {"config_cls": CONFIG, "api_key": SECRET},
        "refusing": {"config_cls": CONFIG, "api_key": "wrong"},
        "cvat": {"config_cls": "fiftyone.utils.cvat.CVATBackendConfig", "url": "https://x"},
        "labelbox": {"config_cls": "fiftyone.utils.labelbox.LabelboxBackendConfig"},
    }
    monkeypatch.setattr(fo.annotation_config, "backends", configured)
    return configured


def params(**changes):
    return {"backend": "tool", "classes": "rose, tulip", "field": "species", **changes}


@pytest.mark.usefixtures("tools")
def test_the_form_says_what_is_missing_and_no_secret(unchanged):
    choices = {
        c.value: c.label
        for c in form("send_to_annotation", unchanged.dataset)["backend"].view.choices
    }
    assert choices["tool"] == "tool: ready"
    assert choices["cvat"] == ("cvat: first set FIFTYONE_CVAT_USERNAME, set FIFTYONE_CVAT_PASSWORD")
    assert choices["labelbox"].startswith("labelbox: first pip install labelbox")
    assert next(iter(choices)) in ("tool", "refusing")  # the ready ones first
    inputs = operator("send_to_annotation").resolve_input(context(unchanged.dataset, params()))
    assert SECRET not in json.dumps(inputs.to_json())


@pytest.mark.usefixtures("tools")
def test_samples_are_sent_and_their_labels_come_back(images):
    dataset = images.dataset
    told = messages(started("send_to_annotation", dataset, params(key="round_one")))
    severity, text = said(told)
    assert severity == "success"
    assert text.startswith("48 samples were sent to 'tool', for labels in 'species'.")
    dataset.reload()
    info = dataset.get_annotation_info("round_one")
    assert info.config.label_schema["species"]["classes"] == ["rose", "tulip"]
    assert info.config.label_schema["species"]["type"] == "classification"
    assert SECRET not in json.dumps(info.serialize(), default=str)
    dataset.load_annotations("round_one")
    assert dataset.count_values("species.label") == {ANSWER: 48}


@pytest.mark.usefixtures("tools")
def test_labels_made_of_clusters_are_corrected_and_then_are_of_a_person(images):
    dataset = images.dataset
    uvl.label_clusters(dataset, "look", "species", clusters=["look 00"])
    some = dataset.exists("species")
    params_ = {"backend": "tool", "label_field": "species", "classes": "look 00, tulip"}
    request = {"view": some._serialize()}
    messages(operator("send_to_annotation").execute(context(dataset, params_, **request)))
    dataset.reload()
    dataset.load_annotations("annotate")
    assert set(some.values("species.label")) == {ANSWER}
    done = uvl.label_clusters(dataset, "look", "species", clusters=["look 00"], overwrite=True)
    assert (done.n_labelled, done.n_kept) == (0, len(some))


@pytest.mark.usefixtures("tools")
def test_only_picks_are_sent_and_classes_are_the_names_of_clusters(images):
    dataset = images.dataset
    dataset.limit(5).tag_samples("pick")
    inputs = form("send_to_annotation", dataset, {"only_picks": True, "backend": "tool"})
    assert inputs["classes"].default == "look 00, look 01, look 02"
    assert inputs["count"].view.label == "5 samples are sent, 3 classes to choose from."
    done = execute("send_to_annotation", dataset, {"only_picks": True, "backend": "tool"})
    assert done.error is None
    dataset.reload()
    schema = dataset.get_annotation_info("annotate").config.label_schema["annotated"]
    assert schema["classes"] == ["look 00", "look 01", "look 02"]


@pytest.mark.usefixtures("tools")
def test_a_refusal_leaves_no_run_and_tells_no_secret(unchanged):
    request = annotations.check_send(unchanged.dataset, "one", "refusing", "species", classes=["a"])
    with pytest.raises(uvl.DataError, match=r"did not take the samples: PermissionError") as caught:
        annotations.send(request)
    assert "wrong" not in str(caught.value)
    assert "***" in str(caught.value)
    assert unchanged.dataset.list_annotation_runs() == []


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("changes", "where", "message"),
    [
        ({"backend": "cvat"}, "backend", "set FIFTYONE_CVAT_USERNAME"),
        ({"backend": "labelbox"}, "backend", "pip install labelbox"),
        ({"key": "no key"}, "key", "'no key' cannot be a key"),
        ({"field": "emb"}, "field", "'emb' is no field of labels"),
        ({"field": "no name"}, "field", "cannot be the name"),
    ],
)
def test_wrong_input_is_marked_with_the_reason(unchanged, changes, where, message):
    inputs = form("send_to_annotation", unchanged.dataset, params(**changes))
    assert inputs[where].invalid
    assert message in inputs[where].error_message
    with pytest.raises(ExecutionError):
        execute("send_to_annotation", unchanged.dataset, params(**changes))
    assert unchanged.dataset.list_annotation_runs() == []


@pytest.mark.usefixtures("tools")
def test_what_cannot_be_sent_is_said(images):
    dataset = images.dataset
    check = annotations.check_send
    with pytest.raises(uvl.DataError, match="no annotation backend 'x'"):
        check(dataset, "one", "x", "species", classes=["a"])
    with pytest.raises(uvl.DataError, match="no samples"):
        check(dataset.limit(0), "one", "tool", "species", classes=["a"])
    with pytest.raises(uvl.DataError, match="no labels of type 'x'"):
        check(dataset, "one", "tool", "species", classes=["a"], label_type="x")
    dataset.delete_run("look")
    with pytest.raises(uvl.DataError, match="which classes there are"):
        check(dataset, "one", "tool", "species")
    annotations.send(check(dataset, "one", "tool", "species", classes=["a"]))
    with pytest.raises(uvl.DataError, match="run 'one' already"):
        check(dataset, "one", "tool", "species", classes=["a"])

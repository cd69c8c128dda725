"""Exporting, as the App does it."""

import fiftyone as fo
import pytest
from fiftyone.operators.delegated import DelegatedOperationService

from tests.operators.test_cluster_operators import said
from tests.operators.test_operators import context, execute, form, messages, operator, started


@pytest.fixture
def some(digits):
    """Ten digits; two of them are excluded."""
    digits.delete_samples(digits.values("id")[10:])
    digits.limit(2).tag_samples("exclude")
    return digits


def folders(path):
    return {folder.name: len(list(folder.iterdir())) for folder in path.iterdir()}


def test_what_a_review_left_is_written_to_folders_of_classes(some, tmp_path):
    params = {"form": "ImageClassificationDirectoryTree", "folder": str(tmp_path / "out")}
    inputs = form("export_view", some, params)
    assert inputs["label_field"].type.values == ["label"]
    assert inputs["count"].view.label == "8 samples are written; 2 are excluded."
    assert {choice.value for choice in inputs["media"].view.choices} == {"copy", "symlink"}
    told = messages(started("export_view", some, params))
    severity, text = said(told)
    assert severity == "success"
    assert text.startswith(f"8 samples were written to '{tmp_path / 'out'}'")
    assert any(uri.endswith("set_progress") for uri, _ in told)
    assert sum(folders(tmp_path / "out").values()) == 8
    assert set(folders(tmp_path / "out")) <= set(some.distinct("label.label"))


def test_the_view_that_is_shown_goes(some, tmp_path):
    view = some.match_tags("exclude", bool=False).limit(3)
    params = {"folder": str(tmp_path / "out"), "with_excluded": True}
    ctx = context(some, params, view=view._serialize())
    assert said(messages(operator("export_view").execute(ctx)))[1].startswith("3 samples")
    loaded = fo.Dataset.from_dir(str(tmp_path / "out"), dataset_type=fo.types.FiftyOneDataset)
    assert loaded.values("label.label") == view.values("label.label")
    loaded.delete()


@pytest.mark.parametrize(
    ("params", "where", "message"),
    [
        ({"folder": "here"}, "folder", "whole path"),
        ({"form": "MediaDirectory", "folder": "/x/y", "media": "none"}, "media", "no sense"),
    ],
)
def test_wrong_input_is_marked_with_the_reason(some, params, where, message):
    inputs = form("export_view", some, params)
    assert inputs[where].invalid
    assert message in inputs[where].error_message


def test_the_form_says_nothing_before_a_folder_is_typed(some):
    assert not any(prop.invalid for prop in form("export_view", some).values())


def test_a_folder_that_is_not_empty_is_left_alone(some, tmp_path):
    (tmp_path / "diary.txt").write_text("dear")
    inputs = form("export_view", some, {"folder": str(tmp_path)})
    assert "is not empty" in inputs["folder"].error_message


def test_it_can_be_delegated(some, tmp_path):
    params = {"form": "MediaDirectory", "folder": str(tmp_path / "out")}
    execute("export_view", some, params, request_delegation=True)
    service = DelegatedOperationService()
    service.execute_queued_operations(limit=1)
    job = service.list_operations(dataset_name=some.name)[0]
    assert job.run_state == "completed"
    assert job.result.result["samples"] == 8

"""The operator that writes the report: where it lies, and how a browser gets it."""

import base64
from pathlib import Path

import fiftyone as fo
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionError

import uvl_plugin as uvl
from tests.operators.test_cluster_operators import said
from tests.operators.test_operators import execute, form, messages, started

NAME = "write_report"


@pytest.fixture(scope="module")
def clustered(digit_files):
    """Digits in 4 clusters, which a report leaves as they are."""
    dataset = fo.Dataset()
    samples = [fo.Sample(filepath=path, label=fo.Classification(label=digit))
               for path, digit in digit_files]  # fmt: skip
    dataset.add_samples(samples, progress=False)
    uvl.embed(dataset, uvl.Pixels(size=8), "emb")
    uvl.cluster(dataset, uvl.KMeans(n_clusters=4), embeddings="emb", run_key="look", progress=False)
    yield dataset
    dataset.delete()


def test_the_file_is_written_and_offered_to_the_browser(clustered, tmp_path):
    path = tmp_path / "digits.html"
    told = messages(started(NAME, clustered, {"path": str(path), "labels": "label"}))
    severity, text = said(told)
    assert severity == "success"
    assert str(path) in text
    (offered,) = (params for uri, params in told if uri.endswith("browser_download"))
    assert offered["filename"] == "digits.html"
    kind, _, data = offered["url"].partition(",")
    assert kind == "data:text/html;base64"
    assert base64.b64decode(data) == path.read_bytes()
    assert "Commonest label" in path.read_text()


def test_a_view_is_reported_of_as_it_is(clustered, tmp_path):
    path = tmp_path / "some.html"
    execute(NAME, None, {"path": str(path)}, view=clustered.limit(30))
    assert "<dt>images</dt><dd>30</dd>" in path.read_text()


def test_scheduled_it_says_where_the_file_is(clustered, tmp_path):
    path = tmp_path / "digits.html"
    execute(NAME, clustered, {"path": str(path)}, request_delegation=True)
    service = DelegatedOperationService()
    service.execute_queued_operations(limit=1)
    done = service.list_operations(dataset_name=clustered.name)[0]
    assert done.result.result["path"] == str(path)
    assert done.result.result["bytes"] == path.stat().st_size


def test_the_usual_place_is_in_the_home_and_nothing_is_written_by_asking(
    clustered, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = form(NAME, clustered)
    assert asked["path"].default == str(tmp_path / f"{clustered.slug}-report.html")
    assert not asked["path"].invalid
    (tmp_path / "fiftyone").mkdir()
    assert Path(form(NAME, clustered)["path"].default).parent == tmp_path / "fiftyone"
    assert [file.name for file in tmp_path.iterdir()] == ["fiftyone"]


def test_a_file_that_is_there_is_not_replaced_unasked(clustered, tmp_path):
    path = tmp_path / "mine.html"
    path.write_text("mine")
    asked = form(NAME, clustered, {"path": str(path)})
    assert asked["path"].invalid
    assert "already" in asked["path"].error_message
    with pytest.raises(ExecutionError, match="already"):
        execute(NAME, clustered, {"path": str(path)})
    assert path.read_text() == "mine"
    assert not form(NAME, clustered, {"path": str(path), "overwrite": True})["path"].invalid


def test_a_dataset_without_clusters_has_a_report_too(digits, tmp_path):
    path = tmp_path / "r.html"
    assert "run_key" not in form(NAME, digits)
    messages(started(NAME, digits, {"path": str(path)}))
    assert "There are no clusters" in path.read_text()

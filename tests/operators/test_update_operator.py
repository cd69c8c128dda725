"""The operator that brings everything up to date, used as the App uses it."""

import fiftyone as fo
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionError

import uvl_plugin as uvl
from tests.operators.test_cluster_operators import said
from tests.operators.test_operators import execute, form, messages, started

N_OLD, N_NEW = 40, 10


@pytest.fixture
def grown(make_dataset, digit_files):
    """40 digits with vectors, an index and clusters; ten more came later, and two have gone."""
    paths = [path for path, _ in digit_files[::4]]
    dataset = make_dataset(paths[:N_OLD])
    uvl.embed(dataset, uvl.Pixels(size=8), "emb")
    uvl.index(dataset, embeddings="emb", brain_key="sim")
    uvl.cluster(dataset, uvl.KMeans(n_clusters=3), embeddings="emb", run_key="look")
    dataset.delete_samples(dataset.limit(2).values("id"))
    dataset.add_samples([fo.Sample(filepath=path) for path in paths[N_OLD:]], progress=False)
    return dataset


def lines(dataset):
    """What the form says, by the name of each line."""
    return {name: prop.view.label for name, prop in form("update_dataset", dataset).items()}


def test_the_form_says_what_will_be_done(grown):
    assert lines(grown) == {
        "gap_0": "10 images have no vector in 'emb': Pixels embeds them.",
        "indexes": "Similarity indexes: sim.",
        "runs": "Clusterings that take in: look.",
    }


def test_everything_is_brought_up_to_date_and_told(grown):
    told = messages(started("update_dataset", grown, {}))
    severity, text = said(told)
    assert severity in ("success", "warning")  # warning: the clusters no longer fit
    assert text.startswith(
        "10 images embedded into 'emb'. The index 'sim' took 10 in and 2 out. "
        "10 samples assigned to clusters of 'look'."
    )
    assert any(uri.endswith("reload_dataset") for uri, _ in told)
    stages = [params["label"] for uri, params in told if uri.endswith("set_progress")]
    assert [stage for stage in stages if stage.startswith("updating")] == [
        "updating the vectors 'emb'",
        "updating the index 'sim'",
        "updating the clustering 'look'",
    ]
    grown.reload()
    assert len(grown.exists("cluster")) == len(grown) == N_OLD + N_NEW - 2
    assert lines(grown)["gaps"] == "No vector is missing."
    again = said(messages(started("update_dataset", grown, {})))
    assert again == ("success", "Everything is up to date.")


def test_what_cannot_be_updated_is_said_before_and_after(grown, bad_files, monkeypatch):
    monkeypatch.setattr(uvl.Pixels, "space", "pixels retrained")
    assert lines(grown)["gap_0"].startswith("'emb' cannot be completed. The vectors in 'emb' were")
    severity, text = said(messages(started("update_dataset", grown, {})))
    assert severity == "warning"
    assert "took 0 in and 2 out. Not updated: the vectors 'emb'." in text
    monkeypatch.undo()
    grown.add_sample(fo.Sample(filepath=str(bad_files["empty file"])))
    severity, text = said(messages(started("update_dataset", grown, {})))
    assert severity == "warning"
    assert "1 images could not be embedded into 'emb'" in text


def test_items_of_foreign_fields_are_named(grown):
    grown.add_sample_field("mine", fo.VectorField)
    grown.limit(5).set_values("mine", [[1.0, number] for number in range(5)])
    uvl.index(grown, embeddings="mine", brain_key="other")
    assert "43 images have no vector in 'mine', which something else made" in lines(grown)["gap_1"]
    assert lines(grown)["indexes"] == "Similarity indexes: other, sim."


def test_without_vectors_the_form_says_so(digits):
    (prop,) = form("update_dataset", digits).values()
    assert prop.invalid
    assert "has no vectors to bring up to date" in prop.error_message
    with pytest.raises(ExecutionError):
        execute("update_dataset", digits)


def test_it_runs_delegated(grown):
    execute("update_dataset", grown, request_delegation=True)
    service = DelegatedOperationService()
    service.execute_queued_operations(limit=1)
    job = service.list_operations(dataset_name=grown.name)[0]
    assert job.run_state == "completed"
    found = job.result.result
    assert {name: found[name] for name in ("embedded", "added", "removed", "assigned")} == {
        "embedded": N_NEW,
        "added": N_NEW,
        "removed": 2,
        "assigned": N_NEW,
    }
    assert (found["failed"], found["not_updated"]) == (0, [])
    assert found["said"].startswith("10 images embedded into 'emb'.")

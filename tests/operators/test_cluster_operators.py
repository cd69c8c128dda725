"""Operators that live with clusters: each is used as the App uses it."""

import json

import fiftyone as fo
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionError

import uvl_plugin as uvl
from tests.operators.test_operators import context, execute, form, messages, operator, started


@pytest.fixture
def clustered(digits):
    uvl.embed(digits, uvl.Pixels(size=8), "emb")
    uvl.cluster(digits, uvl.KMeans(n_clusters=6, seed=3), embeddings="emb", run_key="look")
    return digits


def labels_of(dataset):
    dataset.reload()
    return dataset.values("cluster.label")


def edit(dataset, verb, selected=None, **params):
    request = {"selected": selected} if selected else {}
    return execute("edit_clusters", dataset, {"edit": verb, **params}, **request)


def panel(dataset, method="on_load", **params):
    """What the panel tells the App after an event: parameters by the name of each operation."""
    request = {"panel_id": "p", "panel_state": {}, "__method__": method, **params}
    ctx = context(dataset, request)
    operator("uvl_evaluation").execute(ctx)
    return {each.operator_uri.rpartition("/")[2]: each.params for each in ctx.executor._requests}


def said(told):
    """The text of the dialog at the end."""
    uri, params = told[-1]
    assert uri.endswith("show_output")
    alert = params["outputs"]["type"]["properties"]["message"]["view"]
    return alert["severity"], alert["label"]


def test_edits_have_a_button_over_the_grid(clustered):
    placement = operator("edit_clusters").resolve_placement(context(clustered))
    assert placement.view.label == operator("edit_clusters").config.label


@pytest.mark.parametrize(
    "name", ["edit_clusters", "assign_samples", "explain_cluster", "score_items", "compare_runs"]
)
def test_without_a_clustering_the_form_says_so(name, digits):
    inputs = form(name, digits)
    field = "first" if name == "compare_runs" else "run_key"
    assert inputs[field].invalid
    assert "There is no clustering yet" in inputs[field].error_message


def test_clusters_are_renamed_merged_split_and_set_back(clustered):
    before = labels_of(clustered)
    choices = form("edit_clusters", clustered)["cluster"].view.choices
    assert [choice.value for choice in choices][:2] == ["look 00", "look 01"]
    assert choices[0].label == f"look 00 ({before.count('look 00')})"
    edit(clustered, "rename", cluster="look 01", name="ones")
    assert labels_of(clustered).count("ones") == before.count("look 01")
    edit(clustered, "merge", clusters=["ones", "look 02"])
    assert "look 02" not in labels_of(clustered)
    result = edit(clustered, "split", cluster="ones", parts=3).result
    assert result["now"].startswith("7 clusters. Last: split ones into 3")
    edit(clustered, "dissolve", cluster="look 03")
    assert labels_of(clustered).count("look noise") == before.count("look 03")
    assert "dissolved look 03" in form("edit_clusters", clustered)["steps"].view.label
    for _ in range(4):
        edit(clustered, "undo")
    assert labels_of(clustered) == before
    edit(clustered, "redo")
    assert "ones" in labels_of(clustered)


def test_selected_samples_are_moved_and_made_a_cluster(clustered):
    chosen = clustered.values("id")[:4]
    assert (
        "Select samples"
        in form("edit_clusters", clustered, {"edit": "move"})["selection"].view.label
    )
    edit(clustered, "move", selected=chosen, cluster="look 05")
    assert labels_of(clustered)[:4] == ["look 05"] * 4
    edit(clustered, "move", selected=chosen[:1], cluster="(noise)")
    assert labels_of(clustered)[0] == "look noise"
    edit(clustered, "recluster", selected=chosen, parts=1)
    assert labels_of(clustered)[:4] == ["look 06"] * 4


def test_the_number_of_clusters_slides(clustered):
    slider = form("edit_clusters", clustered, {"edit": "recut"})["n_clusters"]
    assert slider.default == 6
    assert slider.view.to_json()["min"] == 1
    edit(clustered, "recut", n_clusters=3)
    assert len(set(labels_of(clustered))) == 3


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"edit": "merge", "clusters": ["look 00"]}, "at least two different clusters"),
        ({"edit": "undo"}, "There is no edit to undo"),
        ({"edit": "split", "cluster": "nope"}, "Validation error"),
    ],
)
def test_an_edit_that_cannot_be_done_is_refused_with_the_reason(clustered, params, message):
    before = labels_of(clustered)
    with pytest.raises(ExecutionError, match=message):
        execute("edit_clusters", clustered, params)
    assert labels_of(clustered) == before


def test_a_taken_name_is_marked(clustered):
    inputs = form("edit_clusters", clustered, {"cluster": "look 00", "name": "look 01"})
    assert "'look 01' is the name of a cluster already" in inputs["name"].error_message


def test_new_samples_are_assigned(clustered, digit_files, make_dataset):
    clustered.add_samples(
        [fo.Sample(filepath=path) for path, _ in digit_files[::10]], progress=False
    )
    told = messages(started("assign_samples", clustered, {}))
    severity, text = said(told)
    assert text.startswith("20 new samples assigned; 200 were in the run already.")
    assert severity == "success"
    assert len(clustered.exists("cluster")) == 220
    copies = dict(zip(clustered.values("filepath"), labels_of(clustered), strict=True))
    assert len(copies) == 200  # a copy went where its original is
    assert clustered.values("cluster.label")[200:] == [
        copies[path] for path, _ in digit_files[::10]
    ]


def test_clusters_are_evaluated_and_the_panel_shows_it(clustered, tmp_path):
    file = tmp_path / "evaluation.json"
    params = {"clusters": "cluster", "ground_truth": "label", "stability": True, "path": str(file)}
    told = messages(started("evaluate_clusters", clustered, params))
    text = said(told)[1]
    assert text.startswith("200 samples in 6 clusters, 0 in none. Accuracy 0.")
    assert any(uri.endswith("open_panel") for uri, _ in told)
    found = json.loads(file.read_text())
    assert found["n_clusters"] == 6
    clustered.reload()
    record = clustered.get_run_info("look").config.evaluation
    assert record["agreement"] == found["agreement"]
    assert 0.4 < record["agreement"]["accuracy"] < 0.65  # six clusters cannot be ten digits
    data = panel(clustered)["patch_panel_data"]["data"]
    (trace,) = data["heat_map"]
    assert len(trace["y"]) == 6
    assert len(trace["x"]) == 10
    assert sum(map(sum, trace["customdata"])) == 200
    assert {row["name"] for row in data["clusters"]} == set(labels_of(clustered))


def test_a_cell_of_the_heat_map_shows_its_samples(clustered):
    list(started("evaluate_clusters", clustered, {"clusters": "cluster", "ground_truth": "label"}))
    cluster = clustered.match({"label.label": "0"}).first()["cluster"].label
    told = panel(clustered, "show_cell", x="0", y=cluster)
    view = told["set_view"]["view"]
    shown = fo.DatasetView._build(clustered, view)
    assert set(shown.values("cluster.label")) == {cluster}
    assert set(shown.values("label.label")) == {"0"}


def test_clusters_are_evaluated_without_labels(clustered):
    told = messages(started("evaluate_clusters", clustered, {"clusters": "cluster"}))
    assert "Silhouette 0." in said(told)[1]
    assert clustered.get_run_info("look").config.evaluation["agreement"] is None


def test_a_cluster_is_explained_by_its_members(clustered):
    params = {"cluster": "look 02", "count": 3}
    told = messages(started("explain_cluster", clustered, params))
    severity, text = said(told)
    assert severity == "success"
    assert text.startswith("look 02 has ")
    assert "The next cluster is look 0" in text
    clustered.reload()
    shown = clustered.exists("why")
    assert 4 <= len(shown) <= 10
    assert set(shown.values("cluster.label")) == {"look 02"}
    heatmap = shown.first()["why"]
    assert heatmap.map.max() > 100
    assert heatmap.map.shape[0] == heatmap.map.shape[1]
    assert any(uri.endswith("set_view") for uri, _ in told)


def test_items_are_scored(clustered):
    told = messages(started("score_items", clustered, {"outlier": False, "stability": True}))
    assert said(told)[1].startswith("200 samples got margin, distance, silhouette, stability")
    clustered.reload()
    for name in ("margin", "distance", "silhouette", "stability"):
        values = clustered.values(f"cluster.{name}")
        assert None not in values
        assert max(values) <= 1.0 or name == "distance"
    assert not clustered.has_field("cluster.outlier")


def test_two_runs_are_compared(clustered):
    uvl.cluster(clustered, uvl.KMeans(n_clusters=3), embeddings="emb", field="few", run_key="few")
    inputs = form("compare_runs", clustered, {"first": "look", "second": "look"})
    assert "two different" in inputs["second"].error_message
    result = execute("compare_runs", clustered, {"first": "look", "second": "few"}).result
    assert result["said"].startswith("200 items in both runs")
    assert "ARI 0." in result["said"]
    assert sum(int(pair["items"]) for pair in result["pairs"]) == 200


def test_a_new_run_can_keep_the_names_of_an_earlier_one(clustered):
    params = {"run_key": "more", "like": "look", "algorithm": "kmeans", "kmeans": {"n_clusters": 6}}
    assert form("compute_clusters", clustered)["like"].type.values == ["(no earlier run)", "look"]
    execute("compute_clusters", clustered, params)
    clustered.reload()
    pairs = zip(*clustered.values(["cluster.label", "more.label"]), strict=True)
    same = [first.split()[1] == second.split()[1] for first, second in pairs]
    assert sum(same) > 100


def test_an_evaluation_runs_delegated(clustered):
    params = {"clusters": "cluster", "ground_truth": "label"}
    execute("evaluate_clusters", clustered, params, request_delegation=True)
    service = DelegatedOperationService()
    service.execute_queued_operations(limit=1)
    job = service.list_operations(dataset_name=clustered.name)[0]
    assert job.run_state == "completed"
    assert job.result.result["n_items"] == 200

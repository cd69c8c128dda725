import threading
import time

import fiftyone.operators as foo
import pytest
from fiftyone.operators import types
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionContext, Executor
from fiftyone.plugins.context import PluginContext
from fiftyone.plugins.definitions import PluginDefinition

import uvl_plugin as uvl
from tests.private_database import REPOSITORY
from uvl_plugin.backbones.base import backbones
from uvl_plugin.backbones.presets import presets
from uvl_plugin.clustering.base import clusterers

JOBS = {
    "compute_embeddings", "compute_clusters", "explore_dataset", "train_backbone",
    "assign_samples", "evaluate_clusters", "explain_cluster", "score_items",
    "name_clusters",
    "index_similarity", "find_duplicates", "find_copies", "find_outliers", "score_uniqueness",
    "find_poor_images",
    "update_dataset", "select_samples", "write_report",
    "label_clusters", "send_to_annotation", "export_view",
}  # fmt: skip
VIDEO_JOBS = {
    "train_encoder",
    "pool_videos",
    "segment_videos",
    "find_similar_frames",
    "show_frames",
}
NAMES = {
    *JOBS,
    *VIDEO_JOBS,
    "edit_clusters",
    "compare_runs",
    "stop_job",
    "uvl_clusters",
    "uvl_training",
    "uvl_evaluation",
    "uvl_review",
}


def operator(name):
    return foo.get_operator(f"uvl_plugin/{name}")


def context(dataset, params=None, **request):
    return ExecutionContext(
        {"dataset_name": dataset.name, "params": params or {}, **request}, executor=Executor()
    )


def form(name, dataset, params=None):
    """Inputs by name; those of an object also by their own name."""
    op = operator(name)
    properties = op.resolve_input(context(dataset, params)).type.properties
    for prop in list(properties.values()):
        if isinstance(prop.type, types.Object):
            properties = {**properties, **prop.type.properties}
    return properties


def execute(name, dataset, params=None, **request):
    return foo.execute_operator(
        f"uvl_plugin/{name}", dataset=dataset, params=params or {}, **request
    )


def engine(**settings):
    return {"backbone": "pixels", "show_engine": True, "engine": settings}


def torchvision(**settings):
    return {"backbone": "torchvision", "torchvision": settings}


def kmeans(**settings):
    return {"algorithm": "kmeans", "kmeans": settings}


@pytest.fixture
def embedded(digits):
    uvl.embed(digits, uvl.Pixels(size=8), "emb")
    return digits


def test_every_operator_of_the_definition_registers():
    plugin = PluginContext(PluginDefinition.from_disk(str(REPOSITORY / "fiftyone.yml")))
    plugin.register_all()
    assert plugin.errors == []
    assert {instance.name for instance in plugin.instances} == NAMES


@pytest.mark.parametrize("name", sorted(JOBS))
def test_each_operator_has_a_button_over_the_grid(name, digits):
    placement = operator(name).resolve_placement(context(digits))
    assert placement.place is types.Places.SAMPLES_GRID_SECONDARY_ACTIONS
    assert placement.view.label == operator(name).config.label


def registered():
    return [("compute_embeddings", "backbone", entry) for entry in backbones] + [
        ("compute_clusters", "algorithm", entry) for entry in clusterers
    ]


@pytest.mark.parametrize(
    ("name", "key", "entry"), registered(), ids=lambda x: getattr(x, "name", "")
)
def test_every_setting_is_in_the_form(embedded, name, key, entry):
    inputs = form(name, embedded, {key: entry.name})
    for spec in entry.specs():
        assert inputs[spec.name].view.label == spec.label
        assert inputs[spec.name].view.description == spec.help
        assert not inputs[spec.name].invalid


@pytest.mark.parametrize(
    ("name", "params", "where", "message"),
    [
        ("compute_clusters", kmeans(n_clusters=0), "n_clusters", "must be at least 1, got 0"),
        ("compute_clusters", kmeans(n_clusters="x"), "n_clusters", "must be a whole number"),
        ("compute_clusters", {"run_key": "no key"}, "run_key", "'no key' cannot be a key"),
        ("compute_clusters", {"field": "label"}, "field", "was written by something else"),
        ("compute_clusters", {"embeddings": "nope"}, "embeddings", "no vector field 'nope'"),
        ("compute_embeddings", {"field": "label"}, "field", "'label' is a field of type"),
        ("compute_embeddings", engine(batch_size=0), "batch_size", "must be at least 1, got 0"),
        ("compute_embeddings", engine(device="cuda:77"), "device", "cannot be used"),
        ("compute_embeddings", engine(precision="fp8"), "precision", "must be one of auto"),
        ("compute_embeddings", torchvision(model="nope"), "model", "no classification model"),
        ("compute_embeddings", torchvision(weights="/a.pth"), "weights", "no weights file"),
        ("compute_embeddings", torchvision(mean="1, 2"), "mean", "must be 3 numbers"),
        ("explore_dataset", {"name": "no name"}, "name", "use letters, digits"),
    ],
)  # fmt: skip
def test_wrong_input_is_marked_with_the_reason(embedded, name, params, where, message):
    inputs = form(name, embedded, params)
    assert inputs[where].invalid
    assert message in inputs[where].error_message
    with pytest.raises(foo.executor.ExecutionError, match="Validation error"):
        execute(name, embedded, params)


def test_presets_are_offered_with_what_one_wants_to_know(digits):
    choices = form("compute_embeddings", digits)["backbone"].view.choices
    described = {choice.value: choice.description for choice in choices}
    assert "768 numbers; 346 MB; Apache-2.0." in described["dinov2-base"]
    names = [choice.value for choice in choices]
    assert names[0] == "dinov2-base"
    assert len(names) == len(set(names))
    families = set(backbones.names()) - {"checkpoint"}  # each is offered by its own name
    assert presets.keys() | families == set(names)
    assert form("compute_embeddings", digits)["backbone"].default == "dinov2-base"


def test_what_to_embed_is_asked_where_there_is_a_choice(digits):
    import fiftyone as fo

    assert not {"patches_field", "slices", "margin"} & form("compute_embeddings", digits).keys()
    sample = digits.first()
    box = fo.Detection(label="x", bounding_box=[0.1, 0.1, 0.8, 0.8])
    sample["boxes"] = fo.Detections(detections=[box])
    sample.save()
    params = {"backbone": "pixels", "patches_field": "boxes", "margin": 0.5, "field": "emb"}
    assert "margin" in form("compute_embeddings", digits, params)
    execute("compute_embeddings", digits, params)
    digits.reload()
    assert len(digits.first()["boxes"].detections[0]["emb"]) == 768
    params["margin"] = -1
    assert "margin must be" in form("compute_embeddings", digits, params)["margin"].error_message


def test_a_slice_of_a_group_can_be_chosen(make_dataset, digit_files):
    import fiftyone as fo

    dataset = make_dataset([])
    dataset.add_group_field("group", default="left")
    group = fo.Group()
    samples = [
        fo.Sample(filepath=digit_files[number][0], group=group.element(name))
        for number, name in enumerate(("left", "right"))
    ]
    dataset.add_samples(samples, progress=False)
    params = {"backbone": "pixels", "field": "emb", "slices": "right"}
    assert "slices" in form("compute_embeddings", dataset)
    execute("compute_embeddings", dataset, params)
    assert [s["emb"] is None for s in dataset.select_group_slices(["left", "right"])] == [
        True,
        False,
    ]
    execute("compute_embeddings", dataset, {**params, "slices": None})
    dataset.reload()
    assert len(dataset.select_group_slices(["left", "right"]).exists("emb")) == 2


def test_an_empty_dataset_is_said_in_the_form(make_dataset):
    inputs = form("explore_dataset", make_dataset([]))
    assert "There are no samples" in inputs["name"].error_message


def test_clusters_need_vectors(digits):
    inputs = form("compute_clusters", digits)
    assert "There are no vectors yet" in inputs["embeddings"].error_message


def test_explore_writes_everything(digits):
    execute("explore_dataset", digits, {"map_method": "pca"})
    digits.reload()
    assert digits.list_runs() == ["embed_explore_embedding", "explore"]
    assert digits.list_brain_runs() == ["explore_index", "explore_map"]
    execute("explore_dataset", digits, {"map_method": "pca"})
    digits.reload()
    assert "explore_2" in digits.list_runs()


def test_the_scope_is_the_dataset_the_view_or_the_selection(embedded):
    view = embedded.take(50, seed=1)
    execute("compute_clusters", embedded, {"run_key": "all"})
    foo.execute_operator("uvl_plugin/compute_clusters", view=view, params={"run_key": "part"})
    chosen = embedded.values("id")[:7]
    execute(
        "compute_clusters", embedded, {"run_key": "few", "kmeans": {"n_clusters": 2}},
        selected=chosen, view_target="SELECTED_SAMPLES",
    )  # fmt: skip
    embedded.reload()
    assert len(embedded.exists("all")) == 200
    assert set(embedded.exists("part").values("id")) == set(view.values("id"))
    assert set(embedded.exists("few").values("id")) == set(chosen)


def test_a_delegated_job_runs_and_reports(embedded):
    params = {"algorithm": "hdbscan", "hdbscan": {"min_cluster_size": 5}, "run_key": "night"}
    execute("compute_clusters", embedded, params, request_delegation=True)
    service = DelegatedOperationService()
    service.execute_queued_operations(limit=1)
    job = service.list_operations(dataset_name=embedded.name)[0]
    assert job.run_state == "completed"
    assert job.result.result["field"] == "night"
    assert job.status.progress == 1.0
    embedded.reload()
    assert len(embedded.exists("night")) == 200


def test_a_delegated_job_that_fails_says_why(digits, bad_files):
    digits.set_values("filepath", [str(bad_files["empty file"])] * len(digits))
    params = {"backbone": "pixels", "field": "emb"}
    execute("compute_embeddings", digits, params, request_delegation=True)
    service = DelegatedOperationService()
    service.execute_queued_operations(limit=1)
    job = service.list_operations(dataset_name=digits.name)[0]
    assert job.run_state == "failed"
    assert "None of the 200 images could be embedded" in job.result.error


def messages(generator):
    """What the App is told: name and parameters of each operation."""
    return [(message.body.operator_uri, message.body.params) for message in generator]


def started(name, dataset, params):
    return operator(name).execute(context(dataset, params))


def test_progress_has_a_message_for_each_stage(digits):
    told = messages(started("explore_dataset", digits, {"map_method": "pca"}))
    said = [params["label"] for uri, params in told if uri.endswith("set_progress")]
    for stage in ("loading", "embedded", "k-means", "writing", "making the map"):
        assert any(label.startswith(stage) for label in said), stage
    assert told[-1][0].endswith("show_output")
    assert any(
        uri.endswith("set_active_fields") and params["fields"] == ["explore_cluster"]
        for uri, params in told
    )


def test_a_failure_is_shown_in_one_sentence_and_raised(digits, bad_files):
    digits.set_values("filepath", [str(bad_files["empty file"])] * len(digits))
    generator, told = started("compute_embeddings", digits, {"backbone": "pixels"}), []
    with pytest.raises(uvl.DataError, match="None of the 200 images"):
        told.extend(generator)
    alert = told[-1].body.params["outputs"]["type"]["properties"]["message"]["view"]
    assert alert["severity"] == "error"
    assert alert["label"].startswith("None of the 200 images could be embedded; the first: ")


def test_a_closed_tab_costs_no_work(digits):
    generator = started("compute_embeddings", digits, {"backbone": "pixels", "field": "emb"})
    next(generator)
    generator.close()
    for thread in threading.enumerate():
        if thread.name == "uvl-job":
            thread.join(timeout=60)
    digits.reload()
    assert len(digits.exists("emb")) == 200


def test_jobs_of_one_process_take_turns(digits, monkeypatch):
    running, most = 0, 0

    def embed(*args, **kwargs):
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.2)
        running -= 1
        raise uvl.Cancelled("enough")

    monkeypatch.setattr(uvl, "embed", embed, raising=False)
    jobs = [started("compute_embeddings", digits, {"backbone": "pixels"}) for _ in range(3)]
    for job in jobs:
        next(job)
    for job in jobs:
        with pytest.raises(uvl.Cancelled):
            list(job)
    assert most == 1


def embedding_job(dataset):
    """A job that takes a while; it is under way when this returns."""
    params = {"backbone": "pixels", "field": "emb", "engine": {"batch_size": 1, "threads": 1}}
    generator = started("compute_embeddings", dataset, params)
    next(generator)
    return generator


def test_a_running_job_can_be_stopped_and_taken_up_again(digits, monkeypatch):
    slow_down(monkeypatch)
    generator = embedding_job(digits)
    prompt = form("stop_job", digits)["job"]
    (choice,) = prompt.view.choices
    assert choice.label == f"Compute embeddings, {digits.name}"
    stopped = execute("stop_job", digits, {"job": choice.value}).result
    assert stopped == {"stopped": choice.label}
    told = []
    with pytest.raises(uvl.Cancelled, match="Stopped. What was written stays"):
        told.extend(generator)
    assert told[-1].body.operator_uri.endswith("show_output")
    digits.reload()
    written = len(digits.exists("emb"))
    assert 0 < written < 200
    result = uvl.embed(digits, uvl.Pixels(), "emb")
    assert (result.n_embedded, result.n_present) == (200 - written, written)
    assert "none" in form("stop_job", digits)
    assert execute("stop_job", digits).result == {"stopped": "nothing"}


def slow_down(monkeypatch):
    """Every image takes 50 ms longer."""
    from uvl_plugin.media import sources

    read = sources.ImageFile.read

    def slow(self, reader):
        time.sleep(0.05)
        return read(self, reader)

    monkeypatch.setattr(sources.ImageFile, "read", slow)


def test_a_waiting_job_can_be_stopped(digits, monkeypatch):
    slow_down(monkeypatch)
    first, second = embedding_job(digits), started("compute_clusters", digits, {})
    assert next(second).body.params["label"] == "waiting for another job to end"
    waiting = form("stop_job", digits)["job"].view.choices[1]
    assert waiting.label.startswith("Compute clusters")
    execute("stop_job", digits, {"job": waiting.value})
    with pytest.raises(uvl.Cancelled):
        list(second)
    execute("stop_job", digits)
    with pytest.raises(uvl.Cancelled):
        list(first)


def test_a_scheduled_job_can_be_stopped_while_it_runs(digits, monkeypatch):
    slow_down(monkeypatch)
    params = {"backbone": "pixels", "field": "emb", "engine": {"batch_size": 1, "threads": 1}}
    execute("compute_embeddings", digits, params, request_delegation=True)
    service = DelegatedOperationService()
    worker = threading.Thread(target=service.execute_queued_operations, kwargs={"limit": 1})
    worker.start()
    choices = []
    for _ in range(200):
        if (prompt := form("stop_job", digits).get("job")) is not None:
            choices = [choice for choice in prompt.view.choices if "scheduled" in choice.label]
        if choices and len(digits.exists("emb") if digits.has_field("emb") else []):
            break
        time.sleep(0.02)
        digits.reload()
    execute("stop_job", digits, {"job": choices[0].value})
    worker.join(timeout=60)
    job = service.list_operations(dataset_name=digits.name)[0]
    assert job.run_state == "failed"
    digits.reload()
    assert 0 < len(digits.exists("emb")) < 200

import base64
import io
import json
import threading

import numpy as np
import pytest
from fiftyone.operators import types
from fiftyone.operators.delegated import DelegatedOperationService
from PIL import Image

import uvl_plugin as uvl
from tests.operators.test_operators import context, execute, form, messages, operator, started
from uvl_plugin import learning
from uvl_plugin.backbones.base import TrainableBackbone, backbones
from uvl_plugin.backbones.checkpoint import checkpoint_names, read_card
from uvl_plugin.training.augmentation.base import augmentations
from uvl_plugin.training.methods.base import methods
from uvl_plugin.training.recipe import Recipe
from uvl_plugin.training.split import Split

TINY = {
    "name": "tiny",
    "epochs": 2,
    "backbone": "compact_cnn",
    "compact_cnn": {"width": 4, "dim": 8},
}


@pytest.fixture(autouse=True)
def checkpoints(tmp_path, monkeypatch):
    """The folder of all checkpoints, empty."""
    folder = tmp_path / "checkpoints"
    monkeypatch.setenv("UVL_CHECKPOINTS", str(folder))
    return folder


def offered(inputs, name):
    return [choice.value for choice in inputs[name].view.choices]


def picture(inputs):
    """Pixels of the views that the form shows."""
    assert isinstance(inputs["views"].view, types.ImageView)
    kind, _, data = inputs["views"].default.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def panel(dataset, state=None, method="on_load"):
    """The panel's properties and the data that it sends, after an event."""
    ctx = context(dataset, {"panel_id": "p", "panel_state": state or {}, "__method__": method})
    operator("uvl_training").execute(ctx)
    data, shown = {}, None
    for request in ctx.executor._requests:
        params = request.params
        if request.operator_uri.endswith("patch_panel_data"):
            data |= params["data"]
        if request.operator_uri.endswith("show_panel_output"):
            shown = params["output"]
    return shown["type"]["properties"], data


def write_card(folder, name, **changes):
    """The card of a training that was begun."""
    card = {
        "name": name, "state": "running", "dataset": "another", "licence": "none needed",
        "method": {"method": "simclr"}, "recipe": {"epochs": 5}, "curve": [], "warnings": [],
        "architecture": {"backbone": "compact_cnn", "settings": {}},
        "parts": {"train": 8, "validation": 1, "test": 1}, "best_epoch": 0,
        "how": {"device": "cpu", "precision": "fp32", "images": 8, "batch_size": 8, "dim": 4},
    }  # fmt: skip
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "card.json").write_text(json.dumps(card | changes))


def test_the_form_is_short_and_complete(digits):
    inputs = form("train_backbone", digits)
    assert not [name for name, prop in inputs.items() if prop.invalid]
    assert offered(inputs, "method") == methods.names()
    assert set(offered(inputs, "augmentation")) == {"suitable", *augmentations.names()}
    assert inputs["backbone"].default == inputs["augmentation"].default == "suitable"
    assert inputs["epochs"].default == Recipe().epochs
    assert inputs["labels"].type.values == ["none", "label"]
    assert not {"rotation", "learning_rate", "validation", "views"} & inputs.keys()
    everything = form(
        "train_backbone", digits,
        {"show_recipe": True, "augmentation": "glyph", "show_augmentation": True},
    )  # fmt: skip
    for cls in (Recipe, Split, uvl.Glyph):
        assert {spec.name for spec in cls.specs()} <= everything.keys()
    assert "epochs" not in everything["recipe"].type.properties


def test_only_what_can_be_trained_is_offered(digits):
    names = set(offered(form("train_backbone", digits), "backbone"))
    trainable = {cls.name for cls in backbones if issubclass(cls, TrainableBackbone)}
    assert trainable - {"checkpoint"} <= names
    assert {"dinov2-base", "mobilenet-v2"} <= names
    assert not {"pixels", "checkpoint", "zoo"} & names


@pytest.mark.parametrize(
    ("params", "where", "message"),
    [
        ({"name": "a/b"}, "name", "cannot be the name of a checkpoint"),
        ({"epochs": 0}, "epochs", "Recipe.epochs must be at least 1, got 0"),
        ({"simclr": {"temperature": 0}}, "temperature", "must be at least 0.01"),
        ({"method": "distillation", "distillation": {"taught_by": "nope"}}, "taught_by", "nope"),
        ({"augmentation": "glyph", "show_augmentation": True, "glyph": {"rotation": 200}},
         "rotation", "Glyph.rotation must be at most 180"),
        ({"show_recipe": True, "recipe": {"learning_rate": -1}}, "learning_rate", "at least 0"),
        ({"show_recipe": True, "recipe": {"trained_stages": 0}}, "trained_stages", "set head_dim"),
        ({"show_recipe": True, "recipe": {"device": "cuda:77"}}, "device", "cannot be used"),
        ({"show_recipe": True, "split": {"validation": 0.5, "test": 0.5}}, "test", "below 1"),
    ],
)  # fmt: skip
def test_wrong_input_is_marked_with_the_reason(digits, params, where, message):
    inputs = form("train_backbone", digits, params)
    assert inputs[where].invalid
    assert message in inputs[where].error_message


def test_of_settings_with_one_name_the_wrong_one_is_marked(digits):
    params = {"backbone": "compact_cnn", "show_recipe": True, "split": {"seed": -1}}
    inputs = form("train_backbone", digits, params)
    groups = {name: inputs[name].type.properties["seed"] for name in ("compact_cnn", "split")}
    assert {name: prop.invalid for name, prop in groups.items()} == {
        "compact_cnn": False,
        "split": True,
    }


def test_the_name_is_free(digits, checkpoints):
    digits.name = "two words/digits"
    assert form("train_backbone", digits)["name"].default == "two_words_digits"
    write_card(checkpoints, "two_words_digits")  # begun, without weights yet
    assert form("train_backbone", digits)["name"].default == "two_words_digits_2"
    digits.name = "pixels"  # a preset has it
    assert form("train_backbone", digits)["name"].default == "pixels_2"


def test_objects_can_be_trained_on_and_judged_by_their_own_labels(digits):
    import fiftyone as fo

    box = fo.Detection(label="x", bounding_box=[0.1, 0.1, 0.8, 0.8])
    sample = digits.first()
    sample["boxes"] = fo.Detections(detections=[box])
    sample.save()
    inputs = form("train_backbone", digits, {"patches_field": "boxes", "labels": "label"})
    assert inputs["patches_field"].view.label == "What to train on"
    assert inputs["labels"].type.values == ["none", "label"]
    assert not [name for name, prop in inputs.items() if prop.invalid]


def test_views_are_shown_where_they_are_wanted(digits):
    asked = {"show_views": True}
    inputs = form("train_backbone", digits, asked)
    assert inputs["views"].view.label == "Views by Glyph"
    shown = picture(inputs)
    assert shown.shape[0] >= 4 * 96
    assert shown.shape[1] >= 4 * 96 * 2
    np.testing.assert_array_equal(shown, picture(form("train_backbone", digits, asked)))
    glyph = asked | {"augmentation": "glyph"}
    for other in (asked | {"augmentation": "photo"}, glyph | {"glyph": {"rotation": 180}}):
        assert (picture(form("train_backbone", digits, other)) != shown).any()
    wrong = form("train_backbone", digits, glyph | {"glyph": {"rotation": 200}})
    assert "views" not in wrong


def test_no_image_is_read_before_that_is_wanted(digits, monkeypatch):
    def read(*args, **kwargs):
        raise AssertionError("an image was read")

    monkeypatch.setattr(learning, "read_image", read)
    form("train_backbone", digits)
    with pytest.raises(AssertionError, match="an image was read"):
        form("train_backbone", digits, {"show_views": True})


def test_unreadable_images_are_said_in_the_form(digits, bad_files):
    digits.set_values("filepath", [str(bad_files["empty file"])] * len(digits))
    inputs = form("train_backbone", digits, {"show_views": True})
    assert "can be read" in inputs["name"].error_message


def test_a_trained_backbone_is_a_backbone_like_any_other(digits, checkpoints):
    told = messages(started("train_backbone", digits, {**TINY, "labels": "label"}))
    assert told[0][0].endswith("open_panel")
    assert told[0][1]["name"] == "uvl_training"
    said = [params["label"] for uri, params in told if uri.endswith("set_progress")]
    assert any(label.startswith("epoch 1 of 2") for label in said)
    alert = told[-1][1]["outputs"]["type"]["properties"]["message"]["view"]
    for part in ("'tiny' was trained for 2 epochs (finished)", "Images found again by another view: pixels 0.", "Accuracy of k-means: pixels ",
                 "choose 'tiny' as the backbone in Compute embeddings"):  # fmt: skip
        assert part in alert["label"]

    for name in ("compute_embeddings", "explore_dataset", "train_backbone"):
        (choice,) = (
            choice
            for choice in form(name, digits)["backbone"].view.choices
            if choice.value == "tiny"
        )
        assert choice.label == "tiny (SimCLR, Compact CNN, 8 numbers)"
    execute("compute_embeddings", digits, {"backbone": "tiny", "field": "learned"})
    digits.reload()
    assert digits.first()["learned"].shape == (8,)

    shown, data = panel(digits)
    assert "**tiny** is finished: epoch 2 of 2" in shown["said"]["default"]
    assert data["curve"][0]["name"] == "Loss"
    assert all(trace["x"] == [1, 2] for trace in data["curve"])
    rows = {row["figure"]: row for row in data["evidence"]}
    pixels, _, learned = digits.get_run_info("train_tiny").config.evidence
    assert rows["k-means, accuracy"]["pixels"] == f"{pixels['accuracy']:.3f}"
    assert rows["k-means, accuracy"]["learned"] == f"{learned['accuracy']:.3f}"
    assert rows.keys() >= {"linear probe, accuracy", "silhouette of clusters"}
    assert {row["name"] for row in data["classes"]} <= set("0123456789")
    assert {"evidence", "classes", "curve"} <= shown.keys()
    write_card(checkpoints, "tiny", dataset=digits.name, state="finished")  # of another training
    assert "evidence" not in panel(digits)[0]


def test_a_delegated_training_runs_and_reports(digits):
    execute("train_backbone", digits, TINY, request_delegation=True)
    service = DelegatedOperationService()
    service.execute_queued_operations(limit=1)
    job = service.list_operations(dataset_name=digits.name)[0]
    assert job.run_state == "completed", job.result.error
    assert job.result.result["checkpoint"] == "tiny"
    assert job.result.result["epochs"] == 2
    assert checkpoint_names() == ["tiny"]


def test_a_stopped_training_keeps_its_best_epoch(digits):
    generator = started("train_backbone", digits, TINY | {"epochs": 10_000})
    for message in generator:
        if "epoch 3" in message.body.params.get("label", ""):
            break
    execute("stop_job", digits)
    with pytest.raises(uvl.Cancelled):
        list(generator)
    assert read_card("tiny")["state"] == "stopped"
    assert checkpoint_names() == ["tiny"]
    shown, _ = panel(digits)
    assert "**tiny** is stopped" in shown["said"]["default"]
    assert "was kept" in shown["said"]["default"]
    assert not [thread for thread in threading.enumerate() if thread.name == "uvl-job"]


def test_the_panel_says_how_to_start_where_nothing_was_trained(digits):
    shown, data = panel(digits)
    assert "Train a backbone on this dataset" in shown["nothing"]["default"]
    assert data == {}


def test_the_panel_follows_a_training_that_runs(digits, checkpoints):
    write_card(checkpoints, "elsewhere", state="finished")
    write_card(checkpoints, "mine", dataset=digits.name, warnings=["The vectors have collapsed."])
    shown, data = panel(digits)
    assert "**mine** is running: epoch 0 of 5" in shown["said"]["default"]
    assert shown["warning_0"]["view"]["label"] == "The vectors have collapsed."
    assert shown["timer"]["view"]["interval"] == 2000
    assert "curve" not in shown
    labels = [choice["label"] for choice in shown["checkpoint"]["view"]["choices"]]
    assert labels == [
        "The newest of this dataset",
        f"mine ({digits.name})",
        "elsewhere (another)",
    ]
    entry = {"epoch": 1, "loss": 2.5, "images_per_second": 100.0, "effective_rank": None}
    entry |= {"consistency": None, "spread": None}
    write_card(checkpoints, "mine", dataset=digits.name, curve=[entry])
    shown, data = panel(digits, method="look")
    assert "Loss 2.500, 100 images/s" in shown["said"]["default"]
    assert data["curve"][0]["y"] == [2.5]
    shown, _ = panel(digits, {"checkpoint": "elsewhere"})
    assert "**elsewhere** is finished" in shown["said"]["default"]
    assert shown["timer"]["view"]["interval"] > 2000


def test_a_damaged_card_does_not_break_the_panel(digits, checkpoints):
    write_card(checkpoints, "good", dataset=digits.name)
    (checkpoints / "bad").mkdir()
    (checkpoints / "bad" / "card.json").write_text("{")
    assert "**good**" in panel(digits)[0]["said"]["default"]

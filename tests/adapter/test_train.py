"""uvl.train on FiftyOne datasets: splits, tags, records, objects, errors, robustness."""

import io

import numpy as np
import pytest
from PIL import Image

import uvl_plugin as uvl
from uvl_plugin.backbones.checkpoint import FOLDER, read_card
from uvl_plugin.core.errors import Cancelled

QUICK = {"epochs": 2, "batch_size": 32, "device": "cpu"}
SMALL = {"input_size": 16, "width": 8, "dim": 16}


@pytest.fixture(autouse=True)
def checkpoints(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path / "checkpoints"))


def train(samples, **changes):
    given = {"name": "digits", "backbone": uvl.CompactCNN(**SMALL), **QUICK, **changes}
    return uvl.train(samples, **given)


def test_what_was_trained_is_a_backbone_like_any_other(digits):
    result = train(digits, labels="label")
    assert result.outcome.state == "finished"
    assert result.parts == {"train": 160, "validation": 20, "test": 20}
    assert uvl.embed(digits, result.checkpoint, "learned", batch_size=64).n_embedded == 200
    assert uvl.embed(digits, "digits", "learned").n_present == 200  # by its name
    vectors = np.array(digits.values("learned"))
    model = uvl.load_model(uvl.Checkpoint("digits"))
    again = digits.compute_embeddings(model)
    assert again == pytest.approx(vectors, abs=1e-5)
    uvl.cluster(digits, uvl.KMeans(n_clusters=10), embeddings="learned", run_key="k")
    labeller = uvl.load_model(run_key="k", dataset=digits)
    digits.apply_model(labeller, label_field="assigned")
    assert digits.values("assigned.label") == digits.values("cluster.label")


def test_the_defaults_suit_small_grey_pictures(digits):
    result = uvl.train(digits, name="digits", epochs=1, device="cpu")
    card = read_card("digits")
    assert card["backbone"]["backbone"] == "compact_cnn"
    assert card["augmentation"]["augmentation"] == "glyph"
    assert card["method"]["method"] == "simclr"
    assert {figures.space for figures in result.evidence} == {"pixels", "start", "learned"}
    assert all(figures.accuracy is None for figures in result.evidence)  # no labels were named
    assert all(figures.consistency is not None for figures in result.evidence)


def test_labels_judge_and_do_not_teach(digits):
    with_labels = train(digits, name="judged", labels="label")
    train(digits, name="alone")
    one, other = (
        uvl.Checkpoint(name).network().module.state_dict() for name in ("judged", "alone")
    )
    assert all((one[name] == other[name]).all() for name in one)
    learned = {figures.space: figures for figures in with_labels.evidence}["learned"]
    assert 0 < learned.accuracy <= 1
    assert 0 <= learned.test_accuracy <= 1
    assert {figures.name for figures in learned.classes} <= set("0123456789")
    assert sum(figures.support for figures in learned.classes) == 20


def test_the_run_record_says_what_was_asked_and_what_came_out(digits):
    train(digits, labels="label", split=uvl.Split(stratify="label", seed=3))
    assert digits.list_runs() == ["train_digits"]
    config = digits.get_run_info("train_digits").config
    assert config.method == "uvl/simclr"
    assert config.checkpoint == "digits"
    assert config.asked["recipe"]["epochs"] == 2
    assert config.asked["split"]["stratify"] == "label"
    assert config.asked["dataset"] == digits.name
    assert [entry["epoch"] for entry in config.curve] == [1, 2]
    assert config.evidence == read_card("digits")["evidence"]
    assert len(config.evidence) == 3
    assert config.seconds["train"] > 0
    assert "lightly" in config.versions
    digits.delete_run("train_digits")
    uvl.Checkpoint("digits").load("cpu")  # it stays


def test_parts_are_tagged_on_request(digits):
    split = uvl.Split(validation=0.2, test=0.1, stratify="label", tag=True)
    train(digits, split=split)
    assert digits.count_sample_tags() == {"train": 140, "validation": 40, "test": 20}
    by_class = digits.match_tags("validation").count_values("label.label")
    assert set(by_class.values()) == {4}
    train(digits, split=uvl.Split(seed=1, tag=True), name="again")
    assert digits.count_sample_tags() == {"train": 160, "validation": 20, "test": 20}


def test_groups_never_straddle(digits):
    digits.set_values("video", [f"video{number // 10}" for number in range(200)])
    train(digits, split=uvl.Split(validation=0.2, test=0.2, group="video", tag=True))
    for video in digits.distinct("video"):
        tags = digits.match({"video": video}).count_sample_tags()
        assert list(tags.values()) == [10], video


def test_objects_are_trained_with_and_stay_with_their_image(make_dataset, digit_files, tmp_path):
    import fiftyone as fo

    sheets = []
    for number in range(40):  # four digits on each
        sheet = Image.new("L", (16, 16))
        for place in range(4):
            digit = Image.open(digit_files[(4 * number + place) % 200][0])
            sheet.paste(digit, (8 * (place % 2), 8 * (place // 2)))
        sheets.append(tmp_path / f"{number}.png")
        sheet.save(sheets[-1])
    dataset = make_dataset(sheets)
    boxes = [[0, 0, 0.5, 0.5], [0.5, 0, 0.5, 0.5], [0, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]]
    for number, sample in enumerate(dataset):
        sample["boxes"] = fo.Detections(
            detections=[
                fo.Detection(label=digit_files[(4 * number + place) % 200][1], bounding_box=box)
                for place, box in enumerate(boxes)
            ]
        )
        sample.save()
    split = uvl.Split(validation=0.2, test=0.2, tag=True)
    result = train(dataset, patches_field="boxes", labels="label", split=split)
    assert result.parts == {"train": 96, "validation": 32, "test": 32}
    assert all(len({*label.tags}) == 1 for sample in dataset for label in sample.boxes.detections)
    for sample in dataset:
        assert len({tag for label in sample.boxes.detections for tag in label.tags}) == 1
    assert {figures.space: figures.accuracy is not None for figures in result.evidence}["learned"]
    done = uvl.embed(dataset, "digits", "vector", patches_field="boxes")
    assert done.n_embedded == 160


def test_bad_files_are_counted_and_named(digits, bad_files):
    import fiftyone as fo

    ids = digits.add_samples(
        [fo.Sample(filepath=str(path)) for path in bad_files.values()], progress=False
    )
    result = train(digits, split=uvl.Split(validation=0.0, test=0.0))
    assert result.outcome.failures.keys() == set(ids)
    config = digits.get_run_info("train_digits").config
    assert config.n_failed == 4
    assert result.outcome.how["images"] == 200


def test_the_same_call_does_nothing_and_another_is_refused(digits):
    first = train(digits)
    again = train(digits)
    assert again.outcome.resumed == 2
    assert again.checkpoint.space == first.checkpoint.space
    with pytest.raises(uvl.DataError, match="trained with other recipe; choose another name"):
        train(digits, epochs=3)
    with pytest.raises(uvl.DataError, match="other method"):
        train(digits, method="vicreg")
    replaced = train(digits, epochs=3, overwrite=True)
    assert len(replaced.outcome.curve) == 3


def test_vectors_of_a_replaced_checkpoint_are_not_mixed_with_new_ones(digits):
    train(digits)
    uvl.embed(digits, "digits", "learned")
    uvl.cluster(digits, uvl.KMeans(n_clusters=5), embeddings="learned", run_key="k")
    train(digits, epochs=1, overwrite=True)
    with pytest.raises(uvl.DataError, match="holds vectors of checkpoint digits"):
        uvl.embed(digits, "digits", "learned")
    with pytest.raises(uvl.DataError, match="has been replaced by checkpoint digits"):
        uvl.load_model(run_key="k", dataset=digits)
    uvl.embed(digits, "digits", "learned", overwrite=True)


def test_stopped_it_goes_on(digits):
    def stop(fraction, message=""):
        if message.startswith("epoch 2"):
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        train(digits, progress=stop)
    assert read_card("digits")["state"] == "stopped"
    uvl.embed(digits, "digits", "best_so_far")
    assert train(digits).outcome.resumed == 1


def test_a_training_that_diverges_is_told_and_recorded(digits):
    result = train(digits, optimizer="sgd", learning_rate=1e30, warmup=0.0)
    assert result.outcome.state == "diverged"
    assert "learning rate" in result.outcome.warnings[-1]
    assert result.evidence == []
    assert digits.get_run_info("train_digits").config.outcome["state"] == "diverged"
    with pytest.raises(uvl.DataError, match="has no weights"):
        uvl.embed(digits, result.checkpoint, "learned")


def test_search_by_a_trained_network_works_in_the_app(digits):
    train(digits)
    uvl.embed(digits, "digits", "learned")
    uvl.index(digits, embeddings="learned", brain_key="learned_sim")
    query = digits.first()
    assert digits.sort_by_similarity(query.id, k=5, brain_key="learned_sim").first().id == query.id


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"name": "../digits"}, uvl.SettingsError, "cannot be the name of a checkpoint"),
        ({"name": "pixels"}, uvl.SettingsError, "is the name of a backbone already"),
        ({"method": "simclear"}, uvl.UVLError, "Did you mean 'simclr'?"),
        ({"method": uvl.KMeans()}, uvl.SettingsError, "method must be one of"),
        ({"backbone": uvl.Pixels()}, uvl.SettingsError, "Pixels has no network that can be"),
        ({"backbone": "dinov9"}, uvl.SettingsError, "There is no preset 'dinov9'"),
        ({"augmentation": "photos"}, uvl.UVLError, "Did you mean 'photo'?"),
        ({"labels": "truth"}, uvl.DataError, "has no field 'truth'"),
        ({"split": uvl.Split(group="video")}, uvl.DataError, "has no field 'video'"),
        ({"epochs": 0}, uvl.SettingsError, "Recipe.epochs must be at least 1"),
        ({"rounds": 3}, uvl.SettingsError, "Recipe has no setting 'rounds'"),
        ({"device": "cuda:9"}, uvl.SettingsError, "cannot be used"),
        ({"patches_field": "boxes"}, uvl.DataError, "has no detections or polylines"),
        ({"trained_stages": 0}, uvl.SettingsError, "nothing would learn"),
    ],
)
def test_bad_input_is_refused_before_work_starts(digits, changes, error, message):
    with pytest.raises(error) as caught:
        train(digits, **changes)
    assert message in str(caught.value)
    assert digits.list_runs() == []


def test_a_preview_shows_images_beside_their_views(digits):
    sheet = Image.open(io.BytesIO(uvl.preview(digits, uvl.Glyph(rotation=0.0))))
    other = Image.open(io.BytesIO(uvl.preview(digits, "photo")))
    assert sheet.size == other.size
    assert np.asarray(sheet).std() > 10
    assert (np.asarray(sheet) != np.asarray(other)).any()


def test_robustness_counts_the_assignments_that_flip(digits):
    train(digits)
    uvl.embed(digits, "digits", "learned")
    uvl.cluster(digits, uvl.KMeans(n_clusters=10), embeddings="learned", run_key="k")
    still = uvl.robustness(digits, "k", size=0.0, n_images=50)
    shaken = uvl.robustness(digits, "k", size=0.2, n_images=50)
    assert still == {"random": 0.0, "fgsm": 0.0, "pgd": 0.0}
    assert shaken["pgd"] >= shaken["random"]
    assert shaken["pgd"] > 0.2
    with pytest.raises(uvl.DataError, match="has no run 'none'"):
        uvl.robustness(digits, "none")

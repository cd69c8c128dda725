"""Operators that clean a dataset: each is used as the App uses it."""

import shutil

import fiftyone as fo
import numpy as np
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionError

import uvl_plugin as uvl
from tests.operators.test_cluster_operators import said
from tests.operators.test_operators import execute, form, messages, operator, started

COPIES = 5


@pytest.fixture
def cleaned(digits, tmp_path):
    """200 digits with their pixels as vectors; copies of the first five are added last."""
    paths = digits.limit(COPIES).values("filepath")
    copies = [shutil.copy(path, tmp_path / f"{n}.png") for n, path in enumerate(paths)]
    digits.add_samples([fo.Sample(filepath=str(path)) for path in copies], progress=False)
    uvl.embed(digits, uvl.Pixels(size=8), "emb")
    return digits


@pytest.fixture
def objects(cleaned):
    """An object in each image, with a vector of its own."""
    boxes = [fo.Detections(detections=[fo.Detection(bounding_box=[0, 0, 1, 1])]) for _ in cleaned]
    cleaned.set_values("boxes", boxes)
    uvl.embed(cleaned, uvl.Pixels(size=8), "own", patches_field="boxes")
    return cleaned


@pytest.fixture
def videos():
    """Two videos of 40 frames; the fifth frame of the second is like that of the first."""
    random, dataset = np.random.default_rng(0), fo.Dataset()
    rows = random.normal(size=(2, 40, 16))
    rows[1, 4] = rows[0, 4]
    for number, vectors in enumerate(rows):
        sample = fo.Sample(filepath=f"{number}.mp4")
        for frame, vector in enumerate(vectors, start=1):
            sample.frames[frame] = fo.Frame(emb=vector)
        dataset.add_sample(sample)
    yield dataset
    dataset.delete()


def shown_view(told):
    """What the App is told to show."""
    return next(params for uri, params in told if uri.endswith("set_view"))


def test_near_duplicates_are_found_and_shown(cleaned):
    told = messages(started("find_duplicates", cleaned, {"threshold": 1e-5}))
    severity, text = said(told)
    assert severity == "success"
    assert text == (
        "5 of 205 images are near-duplicates of 5 that can be kept, within a distance of 1e-05: "
        "see the saved view 'Near duplicate'. The duplicates carry the tag 'near_duplicate'."
    )
    assert shown_view(told)["name"] == "Near duplicate"
    cleaned.reload()
    assert cleaned.match_tags("near_duplicate").values("id") == cleaned.values("id")[-COPIES:]
    assert len(cleaned.load_saved_view("Near duplicate")) == 2 * COPIES


def test_without_a_threshold_pixels_decide_unless_only_vectors_shall(cleaned):
    text = said(messages(started("find_duplicates", cleaned, {})))[1]
    assert "that can be kept, by vectors and pixels: see the saved view" in text
    cleaned.reload()
    assert set(cleaned.match_tags("near_duplicate").values("id")) >= set(
        cleaned.values("id")[-COPIES:]
    )
    params = {"vectors_only": True, "overwrite": True}
    text = said(messages(started("find_duplicates", cleaned, params)))[1]
    assert "within a distance of" in text


def test_objects_can_be_chosen_by_their_vectors(objects):
    field = form("find_duplicates", objects)["embeddings"]
    assert field.type.values == ["emb", "boxes.detections.own"]
    params = {"embeddings": "boxes.detections.own", "threshold": 1e-5}
    text = said(messages(started("find_duplicates", objects, params)))[1]
    assert text.startswith("5 of 205 objects are near-duplicates of 5")
    assert "'Near duplicate, boxes'" in text
    objects.reload()
    assert objects.count_label_tags() == {"near_duplicate": COPIES}


def test_frames_can_be_chosen_by_their_vectors(videos):
    assert form("find_duplicates", videos)["embeddings"].type.values == ["frames.emb"]
    told = messages(started("find_duplicates", videos, {"threshold": 1e-5}))
    assert said(told)[1].startswith("1 of 80 frames are near-duplicates of 1")
    assert "carry the tag" not in said(told)[1]
    videos.reload()
    view = videos.load_saved_view(shown_view(told)["name"])
    assert view.values("frame_number") == [5, 5]
    for name in ("find_outliers", "score_uniqueness"):
        messages(started(name, videos, {}))
    videos.reload()
    assert videos.count("frames.outlier") == videos.count("frames.uniqueness") == 80


def test_none_found_is_said(digits):
    uvl.embed(digits, uvl.Pixels(size=8), "emb")
    told = messages(started("find_duplicates", digits, {"threshold": 0}))
    assert said(told)[1] == "None of 200 images are near-duplicates, within a distance of 0."
    assert not any(uri.endswith("set_view") for uri, _ in told)


def test_copies_of_files_are_found_and_what_cannot_be_read_is_named(cleaned, tmp_path):
    cleaned.add_sample(fo.Sample(filepath=str(tmp_path / "missing.png")))
    told = messages(started("find_copies", cleaned, {}))
    severity, text = said(told)
    assert severity == "warning"
    assert text.startswith(
        "5 of 205 files are copies of 5 that can be kept: see the saved view 'Copy'."
    )
    assert text.endswith("Files that could not be read: 1 (No such file or directory).")
    assert shown_view(told)["name"] == "Copy"


def test_poor_images_are_found_and_shown(cleaned, objects, tmp_path):
    cleaned.add_sample(fo.Sample(filepath=str(tmp_path / "missing.png")))
    severity, text = said(told := messages(started("find_poor_images", cleaned, {})))
    assert severity == "warning"
    assert text.startswith("1 of 206 images are poor (1 broken): see the saved view 'Quality'.")
    assert shown_view(told)["name"] == "Quality"
    params = {"field": "look", "patches_field": "boxes", "quality": {"sharpness": 1000}}
    assert form("find_poor_images", cleaned)["patches_field"].type.values[1:] == ["boxes"]
    text = said(messages(started("find_poor_images", cleaned, params)))[1]
    assert text.startswith("205 of 205 objects are poor (205 blurred)")
    wrong = form("find_poor_images", cleaned, {"show_settings": True, "quality": {"dark": 2}})
    assert wrong["quality"].type.properties["dark"].invalid


def test_frames_of_videos_are_meant_by_themselves(videos):
    inputs = form("find_poor_images", videos)
    assert "patches_field" not in inputs
    assert not inputs["field"].invalid
    with pytest.raises(ExecutionError, match="None of the 80 frames can be read"):
        execute("find_poor_images", videos, {})


def test_outliers_are_found_and_shown(cleaned):
    told = messages(started("find_outliers", cleaned, {"cut": 0.51}))
    text = said(told)[1]
    cleaned.reload()
    tagged = cleaned.match_tags("outlier")
    assert 0 < len(tagged) < 100
    assert text.startswith(f"{len(tagged)} of 205 images are outliers, above 0.51: see the saved")
    assert shown_view(told)["name"] == "Outlier"
    assert min(tagged.values("outlier")) > 0.51
    text = said(messages(started("find_outliers", cleaned, {"cut": 1, "overwrite": True})))[1]
    assert text == "None of 205 images are outliers, above 1; the scores are in 'outlier'."


def test_uniqueness_is_written_and_the_most_unique_shown_first(cleaned):
    told = messages(started("score_uniqueness", cleaned, {}))
    assert said(told)[1] == "205 images have their uniqueness in 'uniqueness'."
    cleaned.reload()
    view = fo.DatasetView._build(cleaned, shown_view(told)["view"])
    found = view.values("uniqueness")
    assert found == sorted(cleaned.values("uniqueness"), reverse=True)
    assert found[-1] == 0.0  # a copy


@pytest.mark.parametrize(
    ("name", "params", "where", "message"),
    [
        ("find_duplicates", {"threshold": -1}, "threshold", "at least 0, got -1.0"),
        ("find_duplicates", {"embeddings": "nope"}, "embeddings", "no vector field 'nope'"),
        ("find_duplicates", {"field": "no name"}, "field", "'no name' cannot be the name"),
        ("find_outliers", {"cut": 2}, "cut", "cut must be 0 to 1, got 2.0"),
        ("find_outliers", {"field": "label"}, "field", "'label' is a field of another kind"),
        ("score_uniqueness", {"field": "mine"}, "field", "'mine' was written by something else"),
        ("find_copies", {"field": "1"}, "field", "'1' cannot be the name of a field"),
    ],
)
def test_wrong_input_is_marked_with_the_reason(cleaned, name, params, where, message):
    cleaned.add_sample_field("mine", fo.FloatField)
    inputs = form(name, cleaned, params)
    assert inputs[where].invalid
    assert message in inputs[where].error_message


@pytest.mark.parametrize("name", ["find_duplicates", "find_outliers", "score_uniqueness"])
def test_without_vectors_the_form_says_so(name, digits):
    inputs = form(name, digits)
    assert inputs["embeddings"].invalid
    assert "Compute embeddings" in inputs["embeddings"].error_message
    with pytest.raises(ExecutionError):
        execute(name, digits, {})


@pytest.mark.parametrize(
    "name", ["find_duplicates", "find_copies", "find_outliers", "score_uniqueness"]
)
def test_a_second_run_must_be_allowed_to_overwrite(cleaned, name):
    params = {"threshold": 1e-5} if name == "find_duplicates" else {}
    assert not any(prop.invalid for prop in form(name, cleaned, params).values())
    execute(name, cleaned, params)
    cleaned.reload()
    assert "already; choose another field" in form(name, cleaned, params)["field"].error_message
    allowed = {**params, "overwrite": True}
    assert not any(prop.invalid for prop in form(name, cleaned, allowed).values())
    execute(name, cleaned, allowed)
    assert operator(name).config.label


def test_near_duplicates_are_found_delegated(cleaned):
    execute("find_duplicates", cleaned, {"threshold": 1e-5}, request_delegation=True)
    service = DelegatedOperationService()
    service.execute_queued_operations(limit=1)
    job = service.list_operations(dataset_name=cleaned.name)[0]
    assert job.run_state == "completed"
    assert job.result.result["groups"] == COPIES

"""Shots and scenes of videos in the fields of a dataset."""

import json

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F

import uvl_plugin as uvl
from tests.adapter.walks import add_videos
from tests.media.videos import H264, encode
from uvl_plugin.adapter import segments as place

RATE = 10.0
SHOTS = {"first": "ABAC", "second": "CA", "third": "B"}  # by video: the scene of each shot
LENGTH = 30  # frames of a shot
FIELDS = ["segments", "segments_share", "frames.segments_exemplar"]


def frames_of(shots, seed, length=LENGTH, step=1):
    """Vectors by frame number: of each shot near one of three that are far apart."""
    random = np.random.default_rng(seed)
    scenes = dict(zip("ABC", np.eye(3, 8) * 5, strict=True))
    vectors = [scenes[shot] + random.normal(0, 0.1, 8) for shot in shots for _ in range(length)]
    return {1 + step * place: vector for place, vector in enumerate(vectors)}


@pytest.fixture
def films(make_dataset):
    """Three videos of shots of 30 frames, and one without vectors."""
    dataset = make_dataset([])
    dataset.media_type = "video"
    paths = [frames_of(shots, seed) for seed, shots in enumerate(SHOTS.values())]
    metadata = [fo.VideoMetadata(frame_rate=RATE) for _ in range(4)]
    add_videos(dataset, [*paths, {}], name=[*SHOTS, "empty"], metadata=metadata)
    return dataset


def cut(samples, field="segments"):
    """Support and label of each segment, by the name of the video."""
    rows = zip(*samples.values(["name", f"{field}.detections"]), strict=True)
    return {
        name: [(tuple(one.support), one.label) for one in found]
        for name, found in rows
        if found is not None
    }


def marked(samples, field="segments"):
    """Numbers of the frames that are exemplars, by the name of the video."""
    paths = ["name", "frames.frame_number", f"frames.{field}_exemplar"]
    return {
        name: [number for number, is_one in zip(numbers, marks, strict=True) if is_one]
        for name, numbers, marks in zip(*samples.values(paths), strict=True)
    }


def shares(samples, field="segments"):
    paths = ["name", f"{field}_share.classifications"]
    return {
        name: {one.label: one.confidence for one in found}
        for name, found in zip(*samples.values(paths), strict=True)
        if found is not None
    }


def fields_of(dataset):
    own = [*dataset.get_field_schema(), *(f"frames.{n}" for n in dataset.get_frame_field_schema())]
    return {path for path in own if "segments" in path}


def test_shots_partition_the_frames_and_scenes_come_back(films):
    result = uvl.segment(films, "frames.emb", progress=False)
    found = cut(films)
    assert films.get_field("segments").document_type is fo.TemporalDetections
    assert set(found) == set(SHOTS)
    scene = {"A": "scene 00", "B": "scene 01", "C": "scene 02"}  # 90, 60 and 60 frames
    for name, shots in SHOTS.items():
        expected = [
            (1 + LENGTH * place, LENGTH * (place + 1), scene[shot])
            for place, shot in enumerate(shots)
        ]
        assert [(*support, label) for support, label in found[name]] == expected
    assert (result.n_segments, result.names, result.n_missing) == (7, [*scene.values()], 1)
    assert str(result) == (
        "3 videos have 7 segments of 3 scenes: see 'segments', and in 'segments_share' the share "
        "of each. 1 have no frame with a vector: embed their frames first."
    )
    clips = films.to_clips("segments")
    assert len(clips) == 7
    assert len(films.filter_labels("segments", F("label") == "scene 02")) == 2


def test_every_segment_has_an_exemplar_that_is_marked(films):
    uvl.segment(films, "frames.emb", progress=False)
    marks = marked(films)
    assert type(films.get_field("frames.segments_exemplar")) is fo.BooleanField
    for sample in films.exists("segments"):
        segments = sample.segments.detections
        assert marks[sample["name"]] == sorted(one.exemplar for one in segments)
        for one in segments:
            assert one.support[0] <= one.exemplar <= one.support[1]
            assert 0.5 < one.confidence <= 1.0
    assert marks["empty"] == []
    shown = films.match_frames(F("segments_exemplar"))
    assert len(shown.values("frames.id", unwind=True)) == 7


def test_shares_say_what_a_video_is_made_of(films):
    uvl.segment(films, "frames.emb", progress=False)
    found = shares(films)
    assert found["first"] == pytest.approx({"scene 00": 0.5, "scene 01": 0.25, "scene 02": 0.25})
    assert found["third"] == {"scene 01": 1.0}
    assert all(sum(each.values()) == pytest.approx(1.0) for each in found.values())
    most = films.first().segments_share.classifications[0]
    assert (most.label, most.confidence) == ("scene 00", 0.5)


def test_shares_of_clusters_of_the_frames(films):
    uvl.cluster(
        films, uvl.KMeans(n_clusters=3), embeddings="frames.emb", run_key="look", progress=False
    )
    uvl.segment(films, "frames.emb", clusters="frames.cluster", progress=False)
    found = shares(films)
    assert found["first"] == pytest.approx({"look 00": 0.5, "look 01": 0.25, "look 02": 0.25})
    assert films.get_run_info("segments").config.clusters == "frames.cluster"
    for path, message in [
        ("frames.nope", "no field"),
        ("frames.cluster.label", "'frames.cluster.label' must be a Classification"),
        ("frames.frame_number", "'frames.frame_number' must be a Classification"),
    ]:
        with pytest.raises(uvl.DataError, match=message):
            uvl.segment(films, "frames.emb", "other", clusters=path)


def test_the_frame_rate_says_how_long_a_shot_is(films):
    """With ten times the rate, 30 frames are 0.3 seconds: too short for a shot."""
    uvl.segment(films, "frames.emb", progress=False)
    fast = [fo.VideoMetadata(frame_rate=10 * RATE)] * len(films)
    films.set_values("metadata", fast)
    result = uvl.segment(films, "frames.emb", "quick", progress=False)
    assert result.n_segments < 7
    assert cut(films, "quick")["third"] == [((1, LENGTH), "scene 02")]


def test_without_metadata_the_file_tells_and_missing_ones_are_told(films, tmp_path):
    films.set_values("metadata", [None] * len(films))
    ids = dict(zip(*films.values(["name", "id"]), strict=True))
    path = encode(tmp_path / "film.mp4", *H264, rate=10, n=4)
    films.set_values("filepath", {ids["first"]: str(path)}, key_field="id")
    result = uvl.segment(films, "frames.emb", progress=False)
    assert list(result.segments) == [ids["first"]]
    assert set(result.failures) == {ids["second"], ids["third"]}
    assert all("/missing/" in reason for reason in result.failures.values())
    assert (len(cut(films)["first"]), result.n_missing) == (4, 1)
    assert "2 were left out (/missing/1.mp4: " in str(result)
    assert set(films.get_run_info("segments").config.failures) == set(result.failures)
    with pytest.raises(
        uvl.DataError, match="None of the 2 videos .*metadata nor a file .*/missing/1.mp4"
    ):
        uvl.segment(films.skip(1).limit(2), "frames.emb", "other", progress=False)


def test_frames_may_have_gaps(make_dataset):
    dataset = make_dataset([])
    dataset.media_type = "video"
    paths = [frames_of("ABA", 0, length=8, step=5)]  # two in a second
    add_videos(dataset, paths, name=["one"], metadata=[fo.VideoMetadata(frame_rate=RATE)])
    uvl.segment(dataset, "frames.emb", progress=False)
    assert [support for support, _ in cut(dataset)["one"]] == [(1, 40), (41, 80), (81, 116)]
    assert set(marked(dataset)["one"]) <= set(paths[0])
    numbers = dataset.values("frames.frame_number", unwind=True)
    assert sorted(numbers) == sorted(paths[0])  # no documents were made


def test_overwrite_replaces_what_an_earlier_call_wrote(films):
    uvl.segment(films, "frames.emb", progress=False)
    with pytest.raises(uvl.DataError, match="There is a run 'segments' already"):
        uvl.segment(films, "frames.emb")
    one = films.match(F("name") == "second")
    result = uvl.segment(one, "frames.emb", overwrite=True, progress=False)
    assert (result.n_segments, set(cut(films)), set(shares(films))) == (2, {"second"}, {"second"})
    assert {name: len(numbers) for name, numbers in marked(films).items() if numbers} == {
        "second": 2
    }
    assert films.list_runs() == ["segments"]
    assert fields_of(films) == set(FIELDS)
    uvl.segment(films, "frames.emb", "others", progress=False)
    assert len(cut(films, "others")) == 3
    assert len(cut(films)) == 1


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("taken", FIELDS)
def test_fields_of_something_else_are_never_replaced(films, taken, overwrite):
    if taken.startswith("frames."):
        films.add_frame_field(taken.removeprefix("frames."), fo.BooleanField)
    else:
        films.add_sample_field(taken, fo.StringField)
    with pytest.raises(uvl.DataError, match=f"There is a field '{taken}' already; choose another"):
        uvl.segment(films, "frames.emb", overwrite=overwrite)
    assert films.list_runs() == []


def test_wrong_arguments_are_refused(films, digits):
    for arguments, message in [
        ({"embeddings": "emb"}, "'emb' is no field of frames"),
        ({"embeddings": "frames.nope"}, "no vector field 'frames.nope'"),
        ({"field": "a b"}, "cannot be the name of a field"),
        ({"field": "frames.segments"}, "cannot be the name of a field"),
    ]:
        with pytest.raises(uvl.DataError, match=message):
            uvl.segment(films, **{"embeddings": "frames.emb", **arguments})
    with pytest.raises(uvl.DataError, match="holds no videos"):
        uvl.segment(digits, "frames.emb")
    with pytest.raises(uvl.DataError, match="embed their frames first"):
        uvl.segment(films.skip(3), "frames.emb", progress=False)
    assert (fields_of(films), films.list_runs()) == (set(), [])


def _stop(fraction, message):
    if "writing segments" in message:
        raise uvl.Cancelled("stopped")


def test_what_stops_in_the_middle_leaves_what_was_there(films, monkeypatch):
    with pytest.raises(uvl.Cancelled):
        uvl.segment(films, "frames.emb", progress=_stop)
    assert (fields_of(films), films.list_runs()) == (set(), [])
    uvl.segment(films, "frames.emb", progress=False)
    before = cut(films), marked(films), shares(films)
    with pytest.raises(uvl.Cancelled):
        uvl.segment(films.limit(1), "frames.emb", overwrite=True, progress=_stop)
    monkeypatch.setattr(place, "_shares", _full)
    with pytest.raises(OSError, match="full"):
        uvl.segment(films.limit(1), "frames.emb", overwrite=True, progress=False)
    assert (cut(films), marked(films), shares(films)) == before
    assert (fields_of(films), films.list_runs()) == (set(FIELDS), ["segments"])


def _full(_):
    raise OSError("full")


def test_progress_goes_up_to_one(films):
    seen = []
    uvl.segment(films, "frames.emb", progress=lambda done, _: seen.append(done))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_deleting_the_run_removes_all_it_wrote(films):
    uvl.segment(films, "frames.emb", progress=False)
    config = films.get_run_info("segments").config
    assert (config.method, config.embeddings) == ("uvl/segment", "frames.emb")
    assert (config.n_videos, config.n_segments, config.n_scenes) == (3, 7, 3)
    assert config.boundaries == uvl.Boundaries().to_dict()
    films.rename_run("segments", "mine")
    films.delete_run("mine")
    assert fields_of(films) == set()
    assert films.has_frame_field("emb")


@pytest.mark.real_data
def test_the_scenes_of_a_real_video(make_dataset, real_data):
    """Four scenes in six shots, of which two come back; to this network a car in front of an empty
    road is new, so there may be more."""
    dataset = make_dataset([real_data / "videos/multiscene_dev.mp4"])
    weights = real_data / "weights/torchvision/mobilenet_v2_imagenet.safetensors"
    network = uvl.TorchVision(model="mobilenet_v2", input_size=96, weights=str(weights))
    uvl.embed(dataset, network, "frames.emb", fps=5, device="cpu", progress=False)
    uvl.segment(dataset, "frames.emb", progress=False)
    segments = dataset.first().segments.detections
    firsts = np.array([one.support[0] for one in segments])
    truth = json.loads((real_data / "videos/multiscene_dev.scenes.json").read_text())["segments"]
    for shot in truth:  # one of three frames has a vector
        assert np.abs(firsts - (shot["first_frame"] + 1)).min() <= 3
    ends = [one.support[1] for one in segments]
    inside = [(2 * shot["first_frame"] + shot["last_frame"]) / 3 for shot in truth]
    found = [segments[np.searchsorted(ends, number)].label for number in inside]
    pairs = {(label, shot["label"]) for label, shot in zip(found, truth, strict=True)}
    assert len(pairs) == 4
    parts = dataset.first().segments_share.classifications
    assert sum(one.confidence for one in parts) == pytest.approx(1.0)

"""Operators on datasets of videos: each is used as the App uses it."""

import fiftyone as fo
import pytest
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionError

import uvl_plugin as uvl
from tests.operators.test_cluster_operators import panel, said
from tests.operators.test_operators import (
    NAMES,
    VIDEO_JOBS,
    context,
    execute,
    form,
    kmeans,
    messages,
    operator,
    started,
)
from uvl_plugin.adapter.failures import FAILED_TAG

PIXELS = {"backbone": "pixels"}
FORMS = sorted(name for name in NAMES if not name.startswith("uvl_"))


@pytest.fixture
def embedded(videos):
    """Two frames of each second have their vector: 8 of each video."""
    uvl.embed(videos, uvl.Pixels(size=8), "frames.emb", fps=2)
    return videos


@pytest.fixture
def everything(embedded):
    """Vectors of frames, whole videos and clips, and clusters of the frames."""
    uvl.pool(embedded, "frames.emb", "whole")
    uvl.pool(embedded, "frames.emb", "part", patches_field="events")
    uvl.cluster(embedded, uvl.KMeans(n_clusters=4), embeddings="frames.emb", run_key="look")
    return embedded


def fields_of_frames(dataset):
    dataset.reload()
    return dataset.get_frame_field_schema()


@pytest.mark.parametrize("kind", ["everything", "videos", "digits", "empty"])
def test_every_form_opens(kind, request, make_dataset):
    dataset = make_dataset([]) if kind == "empty" else request.getfixturevalue(kind)
    for name in FORMS:
        for params in ({}, {"field": "a name", "name": "a"}):
            inputs = form(name, dataset, params)
            assert all(prop.error_message for prop in inputs.values() if prop.invalid)


@pytest.mark.parametrize("name", sorted(VIDEO_JOBS))
def test_buttons_for_videos_are_over_a_grid_of_videos_only(name, videos, digits):
    placement = operator(name).resolve_placement(context(videos))
    assert placement.place is types.Places.SAMPLES_GRID_SECONDARY_ACTIONS
    assert operator(name).resolve_placement(context(digits)) is None


def about(dataset, **params):
    return form("compute_embeddings", dataset, {**PIXELS, **params})["about"].view.label


def test_the_form_says_how_many_frames_that_makes(videos):
    assert about(videos).startswith("How many frames 4 videos have is not known")
    videos[:3].compute_metadata(progress=False)
    said = about(videos)
    assert said.startswith("About 24 frames of 3 videos. 1 more have no metadata")
    assert said.endswith("no picture of a frame is written.")
    videos.compute_metadata(progress=False)
    assert about(videos).startswith("About 32 frames of 4 videos. Each")
    assert about(videos, frames="every").startswith("About 160 frames")
    assert about(videos, fps=50).startswith("About 160 frames")
    assert about(videos, frames="stride", stride=8).startswith("About 20 frames")
    assert about(videos, frames="every", max_frames=3).startswith("About 12 frames")
    assert about(videos, frames="every", clips="events").startswith("About 80 frames")
    assert about(videos, clips="events").startswith("About 16 frames")
    assert about(videos, frames="key_frames").startswith("How many key frames there are shows")


@pytest.mark.parametrize(
    ("params", "n"),
    [
        ({}, 32),
        ({"fps": 5}, 80),
        ({"frames": "every"}, 160),
        ({"frames": "stride", "stride": 8}, 20),
        ({"frames": "every", "max_frames": 3}, 12),
        ({"frames": "every", "clips": "events"}, 80),
    ],
)
def test_the_frames_that_are_asked_for_get_vectors(videos, params, n):
    assert form("compute_embeddings", videos, PIXELS)["field"].default == "frames.embedding"
    told = messages(started("compute_embeddings", videos, PIXELS | params))
    assert said(told) == ("success", f"{n} frames embedded into 'frames.embedding'.")
    assert videos.count("frames.embedding") == n
    assert not videos.has_frame_field("filepath") or not videos.count("frames.filepath")


def test_images_are_asked_what_they_were_asked_before(digits):
    assert not {"frames", "fps", "max_frames", "about"} & form("compute_embeddings", digits).keys()


@pytest.mark.parametrize(
    ("name", "params", "where", "message"),
    [
        ("compute_embeddings", {**PIXELS, "fps": -1}, "fps", "must be at least"),
        ("compute_embeddings", {**PIXELS, "max_frames": 0}, "max_frames", "at least 1, got 0"),
        ("compute_embeddings", {**PIXELS, "field": "emb"}, "field", "holds videos"),
        ("compute_embeddings", {**PIXELS, "field": "frames.emb", "frames": "every"}, "field", "other"),
        ("compute_clusters", {"embeddings": "frames.emb", "field": "mine"}, "field", "of frames"),
        ("pool_videos", {"field": "kind"}, "field", "not of vectors"),
        ("segment_videos", {"field": "kind"}, "field", "There is a field 'kind' already"),
        ("segment_videos", {"show_settings": True, "find": {"window": -1}}, "window", "at least 0"),
        ("explore_dataset", {}, "name", "is for images, and these are videos"),
        ("train_backbone", {}, "name", "holds videos"),
    ],
)  # fmt: skip
def test_wrong_input_is_marked_with_the_reason(embedded, name, params, where, message):
    if message == "other":
        uvl.embed(embedded, uvl.Pixels(size=4), "frames.other", fps=1)
        params, message = {**params, "field": "frames.other"}, "holds vectors of"
    inputs = form(name, embedded, params)
    assert inputs[where].invalid
    assert message in inputs[where].error_message
    with pytest.raises(ExecutionError, match="Validation error"):
        execute(name, embedded, params)


@pytest.mark.parametrize("name", ["pool_videos", "segment_videos"])
def test_there_have_to_be_videos(name, digits, make_dataset):
    assert "holds no videos" in form(name, digits)["embeddings"].error_message
    assert "no samples" in form(name, make_dataset([]))["embeddings"].error_message


def test_videos_that_cannot_be_read_are_counted_and_tagged(videos, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    videos.add_samples([fo.Sample(filepath=str(broken)), fo.Sample(filepath="/missing.mp4")])
    severity, text = said(messages(started("compute_embeddings", videos, PIXELS)))
    assert severity == "warning"
    assert text.startswith("32 frames embedded into 'frames.embedding'; 2 videos could not be read")
    assert "missing.mp4: " in text
    assert len(videos.match_tags(FAILED_TAG)) == 2


def test_vectors_of_frames_videos_and_clips_can_be_chosen(everything):
    for name in ("compute_clusters", "find_outliers", "index_similarity"):
        inputs = form(name, everything)["embeddings"]
        assert inputs.type.values == ["frames.emb", "whole", "events.detections.part"]
        assert inputs.default == "whole"
    inputs = form("segment_videos", everything)
    assert inputs["embeddings"].type.values == ["frames.emb"]
    assert inputs["clusters"].type.values[1:] == ["frames.cluster", "frames.cluster_fine"]


def test_clusters_of_frames_go_to_the_frames(embedded):
    params = {**kmeans(n_clusters=6), "embeddings": "frames.emb"}
    told = messages(started("compute_clusters", embedded, params))
    assert ("set_active_fields", {"fields": ["frames.clusters"]}) in [
        (uri.rpartition("/")[2], shown) for uri, shown in told
    ]
    assert said(told)[1] == (
        "32 frames in 6 clusters. Open 'frames.clusters' under FRAME LABELS in the sidebar to "
        "filter them."
    )
    assert embedded.count("frames.clusters") == 32
    assert form("compute_clusters", embedded)["run_key"].default == "clusters_2"


def test_clusters_of_videos_and_of_clips(everything):
    params = {**kmeans(n_clusters=3), "embeddings": "whole", "run_key": "films"}
    assert said(messages(started("compute_clusters", everything, params)))[1].startswith(
        "4 videos in 3 clusters."
    )
    params = {**kmeans(n_clusters=3), "embeddings": "events.detections.part", "run_key": "parts"}
    told = messages(started("compute_clusters", everything, params))
    assert "4 clips in 3 clusters. Open 'events' under LABELS" in said(told)[1]
    everything.reload()
    assert len(everything.distinct("films.label")) == 3
    assert len(everything.distinct("events.detections.parts")) == 3


def test_evaluation_of_each_kind(everything):
    uvl.cluster(
        everything, uvl.KMeans(n_clusters=3), embeddings="whole", field="films", run_key="films"
    )
    uvl.cluster(
        everything, uvl.KMeans(n_clusters=3), embeddings="part", patches_field="events",
        field="parts", run_key="parts",
    )  # fmt: skip
    fields = form("evaluate_clusters", everything)["clusters"].type.values
    assert fields[0] == "events.detections.parts"
    for path, truth, noun in [
        ("frames.cluster", None, "32 frames in 4 clusters"),
        ("films", "kind", "4 videos in 3 clusters, 0 in none. Accuracy 1.000"),
        ("events.detections.parts", "label", "4 clips in 3 clusters, 0 in none. Accuracy 0.500"),
    ]:
        params = {"clusters": path} | ({"ground_truth": truth} if truth else {})
        offered = form("evaluate_clusters", everything, params)["ground_truth"].type.values
        assert truth is None or truth in offered
        assert said(messages(started("evaluate_clusters", everything, params)))[1].startswith(noun)
    shown = panel(
        everything, "show_cell", x="first half", y="parts 00", panel_state={"run_key": "parts"}
    )
    assert {stage["_cls"].rpartition(".")[2] for stage in shown["set_view"]["view"]} >= {"ToClips"}


def test_members_of_a_cluster_of_frames_are_shown_as_frames(everything):
    params = {"run_key": "look", "cluster": "look 00", "count": 2}
    assert "maps" not in form("explain_cluster", everything, params)
    told = dict(messages(started("explain_cluster", everything, params)))
    stages = next(shown["view"] for uri, shown in told.items() if uri.endswith("set_view"))
    assert any(stage["_cls"].endswith("ToFrames") for stage in stages)
    everything.reload()
    assert 1 <= everything.count("frames.filepath") <= 7  # pictures of those that are shown


def test_scores_and_new_frames_are_told_as_frames(everything):
    text = said(messages(started("score_items", everything, {"run_key": "look"})))[1]
    assert text.startswith("32 frames got margin")
    uvl.embed(everything, uvl.Pixels(size=8), "frames.emb", fps=5)
    text = said(messages(started("assign_samples", everything, {"run_key": "look"})))[1]
    assert "new frames assigned; 32 were in the run already" in text


def test_frames_are_edited_by_a_selection_in_a_view_of_frames(everything):
    frames = everything.to_frames(sample_frames="dynamic", sparse=True)
    chosen = frames.values("id")[:5]
    params = {"run_key": "look", "edit": "move", "cluster": "look 01"}
    execute("edit_clusters", everything, params, selected=chosen)
    labels = dict(
        zip(*(everything.values(path, unwind=True) for path in ("frames.id", "frames.cluster.label")), strict=True)
    )  # fmt: skip
    assert {labels[key] for key in chosen} == {"look 01"}


@pytest.mark.parametrize("name", ["find_duplicates", "find_outliers", "score_uniqueness"])
def test_single_frames_videos_and_clips_are_found(everything, name):
    paths = {"frames.emb": "32 frames", "whole": "4 videos", "events.detections.part": "4 clips"}
    for path, counted in paths.items():
        params = {"embeddings": path, "field": f"found_in_{counted[-6:].strip()}"}
        severity, text = said(messages(started(name, everything, params)))
        assert severity == "success"
        assert counted in text


def test_an_index_of_videos(everything):
    params = {"embeddings": "whole", "brain_key": "films"}
    text = said(messages(started("index_similarity", everything, params)))[1]
    assert text.startswith("'films' holds 4 videos")
    assert text.endswith("Select videos and use the magnifying glass over the grid.")
    first = everything.first().id
    near = everything.sort_by_similarity(first, k=2, brain_key="films").values("id")
    assert near == [first, everything.last().id]


def test_frames_are_pooled_into_videos_and_clips(embedded):
    assert form("pool_videos", embedded)["field"].default == "video"
    told = messages(started("pool_videos", embedded, {}))
    assert said(told)[1].startswith("4 videos have a new vector in 'video'. Compute clusters")
    assert any(shown.get("label", "").startswith("pooled") for _, shown in told)
    params = {"pooling": "mean", "patches_field": "events"}
    assert form("pool_videos", embedded, params)["field"].default == "vector"
    told = messages(started("pool_videos", embedded, params))
    assert said(told)[1].startswith("4 clips have a new vector in 'events.detections.vector'.")
    assert form("pool_videos", embedded, params)["field"].default == "vector_2"
    assert embedded.count("events.detections.vector") == embedded.count("video") == 4


def test_segments_are_found(embedded):
    uvl.embed(embedded, uvl.Pixels(size=8), "frames.all")
    params = {"embeddings": "frames.all"}
    told = messages(started("segment_videos", embedded, params))
    severity, text = said(told)
    assert severity == "success"
    assert text.startswith("4 videos have 8 segments of 6 scenes: see 'segments'")
    assert text.endswith("open a video and choose Annotate, then Show tracks.")
    embedded.reload()
    first, *_, last = embedded.values("segments.detections.label")
    assert first == last
    assert embedded.first().segments.detections[1].support == [21, 40]
    assert embedded.active_label_schemas == ["segments"]  # else the App has no timeline of them
    strict = {**params, "field": "strict", "show_settings": True, "find": {"least": 2.0}}
    assert execute("segment_videos", embedded, strict) is not None
    embedded.reload()
    assert embedded.count("strict.detections") == 4


def test_a_temporal_encoder_is_trained_and_pools(embedded, tmp_path, monkeypatch):
    monkeypatch.setenv("UVL_CHECKPOINTS", str(tmp_path / "checkpoints"))
    params = {"gru": {"epochs": 2, "hidden": 4, "validation": 0.25}}
    assert form("train_encoder", embedded, params)["name"].default == "motion"
    _, text = said(messages(started("train_encoder", embedded, params)))
    assert text.startswith("'motion': finished after 2 epochs")
    assert form("train_encoder", embedded, params)["name"].default == "motion_2"
    pooled = {"pooling": "temporal", "temporal": {"encoder": "motion"}}
    _, text = said(messages(started("pool_videos", embedded, pooled)))
    assert text.startswith("4 videos have a new vector in 'video'")
    nobody = {"pooling": "temporal", "temporal": {"encoder": "nobody"}}
    assert form("pool_videos", embedded, nobody)["encoder"].invalid


def test_a_video_without_vectors_is_told(embedded):
    embedded.add_sample(fo.Sample(filepath="/missing.mp4"))
    for name in ("pool_videos", "segment_videos"):
        severity, text = said(messages(started(name, embedded, {})))
        assert severity == "warning"
        assert "1 have no frame with a vector: embed their frames first" in text


def test_selected_videos_are_the_scope(embedded):
    chosen = embedded.values("id")[:2]
    execute(
        "pool_videos", embedded, {"field": "some"}, selected=chosen, view_target="SELECTED_SAMPLES"
    )
    embedded.reload()
    assert set(embedded.exists("some").values("id")) == set(chosen)

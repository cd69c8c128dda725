"""Clusters of frames and of whole videos, as FiftyOne shows and filters them."""

import fiftyone as fo
import pytest
from fiftyone import ViewField as F

import uvl_plugin as uvl
from tests.adapter.kinds import make_kind
from uvl_plugin.adapter.clusterings import open_clustering

NOISY = uvl.HDBSCAN(min_cluster_size=5)


@pytest.fixture
def frames():
    made = make_kind("frames")
    yield made
    made.dataset.delete()


@pytest.fixture
def videos():
    made = make_kind("videos")
    yield made
    made.dataset.delete()


def test_frames_get_a_label_that_the_player_shows_and_the_sidebar_filters(frames):
    frames.cluster(NOISY)
    dataset = frames.dataset
    field = dataset.get_frame_field_schema()["cluster"]
    assert field.document_type is fo.Classification
    assert "cluster" not in dataset.get_field_schema()
    assert "frames.cluster.label" in dataset.list_indexes()
    first = dataset.first()  # the two outliers are its first frames
    assert [frame.cluster.label for frame in (first.frames[1], first.frames[2])] == [
        "look noise", "look noise",
    ]  # fmt: skip
    noise = F("label") == "look noise"
    by_label = dataset.filter_labels("frames.cluster", noise)
    assert by_label.values("id") == [first.id]
    assert by_label.count("frames.cluster") == 2
    by_frame = dataset.match_frames(F("cluster.label") == "look noise")
    assert by_frame.values("frames.frame_number") == [[1, 2]]
    assert len(dataset.filter_labels("frames.cluster", F("label") == "look 00")) == 3


def test_only_the_frames_of_a_view_are_clustered(frames):
    view = frames.dataset.limit(2).match_frames(F("frame_number") > 4)
    frames.cluster(samples=view)
    names = frames.names()
    inside = set(frames.ids(view))
    assert {key for key, name in names.items() if name is not None} == inside
    assert len(inside) == 2 * 13
    record = frames.dataset.load_run_view("look")
    assert frames.ids(record) == frames.ids(view)


@pytest.mark.parametrize("field", [None, "cluster", "frames.cluster"])
def test_a_view_of_frames_means_these(frames, field):
    view = frames.dataset.to_frames(sample_frames="dynamic", sparse=True)
    some = view.match(F("frame_number") < 20)
    frames.cluster(samples=some, embeddings="emb", field=field)
    names = frames.names()
    assert {key for key, name in names.items() if name is not None} == set(some.values("id"))
    assert frames.dataset.get_run_info("look").config.field == "frames.cluster"
    size = len(some)
    view.reload()  # makes it anew: views of the old one are no more
    assert dict(zip(*view.values(["id", "cluster.label"]), strict=True)) == names
    assert uvl.evaluate(view, "cluster", ground_truth="group").n_items == size
    assert uvl.assign(view, "look").n_known == size


@pytest.mark.parametrize(
    ("kind", "embeddings", "field", "message"),
    [
        (
            "frames",
            "frames.emb",
            "look",
            "'frames.emb' is of frames and 'look' is not.*frames.look",
        ),
        ("videos", "emb", "frames.look", "'frames.look' is of frames and .*'emb' are of videos"),
        ("frames", "frames.group", None, "no vector field 'frames.group'.*frames.emb"),
        ("frames", "frames.emb", "frames.group", "'frames.group' is a field of another kind"),
        ("frames", "frames.emb", "frames.a.b", "'a.b' cannot be the name of a field"),
    ],
)
def test_fields_of_frames_and_of_videos_are_kept_apart(request, kind, embeddings, field, message):
    made = request.getfixturevalue(kind)
    with pytest.raises(uvl.DataError, match=message):
        made.cluster(embeddings=embeddings, field=field)
    assert made.dataset.list_runs() == []


def test_a_selection_in_a_view_of_frames_is_moved(frames):
    frames.cluster()
    view = frames.dataset.to_frames(sample_frames="dynamic", sparse=True)
    clusters = uvl.clusters(frames.dataset, "look")
    chosen = view.match(F("cluster.label") == "look 00").limit(3)
    clusters.move(chosen, "look 01")
    assert {frames.names()[key] for key in chosen.values("id")} == {"look 01"}
    clusters.undo()
    clusters.move(frames.dataset.match_frames(F("frame_number") == 9), "look 02")
    moved = frames.ids(frames.dataset.match_frames(F("frame_number") == 9))
    assert {frames.names()[key] for key in moved} == {"look 02"}
    other = uvl.clusters(view, "look")
    assert other.sizes == clusters.sizes


def test_frames_and_their_videos_can_both_be_clustered(frames):
    dataset = frames.dataset
    vectors = [values[3] for values in dataset.values("frames.emb")]
    dataset.set_values("whole", vectors)
    frames.cluster()
    uvl.cluster(dataset, uvl.KMeans(n_clusters=3), embeddings="whole", run_key="videos")
    assert set(dataset.values("cluster.label")) == {"videos 00", "videos 01", "videos 02"}
    assert set(frames.names().values()) == {"look 00", "look 01", "look 02", None}
    view = dataset.to_frames(sample_frames="dynamic", sparse=True)
    with pytest.raises(uvl.DataError, match="'videos' is of vectors in 'whole'.*are frames"):
        uvl.assign(view, "videos")
    with pytest.raises(uvl.DataError, match="no items? in common|no sample in common"):
        uvl.compare(dataset, "look", "videos")
    dataset.delete_run("look")
    assert "cluster" not in dataset.get_frame_field_schema()
    assert dataset.count("cluster.label") == 3


def test_a_map_of_frames_is_kept_with_their_view_and_writes_no_file(frames):
    uvl.visualize(frames.dataset, embeddings="frames.emb", brain_key="map", method="pca")
    view = frames.dataset.load_brain_view("map")
    assert set(view.values("id")) == set(frames.group_of)
    assert "filepath" not in frames.dataset.get_frame_field_schema()
    assert set(view.values("filepath")) == set(frames.dataset.values("filepath"))
    results = frames.dataset.load_brain_results("map")
    results.use_view(view.limit(5))
    assert results.current_sample_ids.tolist() == view.limit(5).values("id")
    shown = frames.dataset.to_frames(sample_frames="dynamic", sparse=True).limit(7)
    count = uvl.visualize(shown, embeddings="emb", brain_key="map", method="pca", overwrite=True)
    assert count == 7


def test_what_needs_pictures_says_so_of_videos(videos):
    videos.cluster()
    with pytest.raises(uvl.DataError, match="explore is for images.*frames.embedding"):
        uvl.explore(videos.dataset)
    with pytest.raises(uvl.DataError, match="videos are none"):
        uvl.score(videos.dataset, "look", "stability")


def test_a_record_of_earlier_times_is_of_samples(videos):
    videos.cluster()
    config = videos.dataset.get_run_info("look").config
    del config.patches_field
    videos.dataset.update_run_config("look", config)
    videos.dataset.reload()
    assert not hasattr(videos.dataset.get_run_info("look").config, "patches_field")
    assert open_clustering(videos.dataset, "look").items.ids() == videos.ids()
    uvl.clusters(videos.dataset, "look").rename("look 00", "first")
    assert "first" in videos.names().values()

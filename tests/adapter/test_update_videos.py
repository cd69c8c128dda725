"""Datasets of videos brought up to date: frames, whole videos, clips, and what is made of them."""

import fiftyone as fo
import numpy as np
import pytest

import uvl_plugin as uvl
from tests.adapter.walks import add_videos, walk
from tests.media.videos import H264, encode
from uvl_plugin.updating import check_update

PIXELS = uvl.Pixels(size=8)
N_OLD, N_NEW = 6, 2
FPS, EACH = 5, 6  # 30 pictures, 25 a second: numbers 1, 6, ..., 26
SPANS = [[1, 12], [6, 26]]


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Eight short films of different pictures."""
    folder = tmp_path_factory.mktemp("films")
    return [
        encode(folder / f"{number}.mp4", *H264, n=30, first=1 + 500 * number)
        for number in range(N_OLD + N_NEW)
    ]


def add(dataset, paths):
    samples = [fo.Sample(str(path)) for path in paths]
    for sample in samples:
        clips = [fo.TemporalDetection(label="x", support=span) for span in SPANS]
        sample["events"] = fo.TemporalDetections(detections=clips)
    return dataset.add_samples(samples, progress=False)


@pytest.fixture
def embedded(make_dataset, films):
    dataset = make_dataset([])
    add(dataset, films[:N_OLD])
    uvl.embed(dataset, PIXELS, "frames.emb", fps=FPS, batch_size=16, progress=False)
    return dataset


@pytest.fixture
def used(embedded):
    """With vectors of whole videos and clips; indexes and clusters of all three."""
    uvl.pool(embedded, "frames.emb", "whole", progress=False)
    uvl.pool(embedded, "frames.emb", "part", patches_field="events", progress=False)
    for key, path, parts in [
        ("frames", "frames.emb", {}),
        ("whole", "whole", {}),
        ("part", "part", {"patches_field": "events"}),
    ]:
        uvl.index(
            embedded, embeddings=path, brain_key=f"{key}_sim", kind="flat", progress=False, **parts
        )
        field = None if key == "frames" else f"{key}_cluster"
        uvl.cluster(
            embedded, uvl.KMeans(n_clusters=2), embeddings=path, run_key=f"{key}_look",
            field=field, progress=False, **parts,
        )  # fmt: skip
    return embedded


def numbers_of(dataset, video):
    frames = dataset[video].frames
    return [number for number, frame in frames.items() if frame["emb"] is not None]


def test_new_videos_get_everything_that_the_others_have(used, films):
    labels = used.values(["frames.cluster.label", "whole_cluster.label"])
    new = add(used, films[N_OLD:])
    done = uvl.update(used, progress=False)
    assert done.failures == {}
    assert all(numbers_of(used, key) == list(range(1, 30, FPS)) for key in new)
    assert done.embedded["frames.emb"].n_embedded == N_NEW * EACH
    assert {path: made.n_pooled for path, made in done.pooled.items()} == {
        "whole": N_NEW, "events.detections.part": N_NEW * len(SPANS),
    }  # fmt: skip
    for key in new:
        sample = used[key]
        vectors = np.stack([sample.frames[number].emb for number in numbers_of(used, key)])
        np.testing.assert_allclose(sample.whole, vectors.mean(axis=0), rtol=1e-4, atol=1e-5)
        first = sample.events.detections[0]
        np.testing.assert_allclose(first.part, vectors[:3].mean(axis=0), rtol=1e-4, atol=1e-5)
        assert all(clip.part_cluster for clip in sample.events.detections)
        assert sample.whole_cluster.label in ("whole_look 00", "whole_look 01")
    assert {key: did.n_added for key, did in done.indexed.items()} == {
        "frames_sim": 12, "whole_sim": 2, "part_sim": 4,
    }  # fmt: skip
    assert {key: len(did.clusters) for key, did in done.assigned.items()} == {
        "frames_look": 12, "whole_look": 2, "part_look": 4,
    }  # fmt: skip
    assert len(used.exists("frames.cluster").values("frames.id", unwind=True)) == 8 * EACH
    old = used.limit(N_OLD)
    assert old.values(["frames.cluster.label", "whole_cluster.label"]) == labels
    said = str(done)
    for sentence in [
        "12 frames embedded into 'frames.emb'.",
        "2 videos pooled into 'whole'.",
        "4 clips pooled into 'events.detections.part'.",
        "The index 'frames_sim' took 12 in and 0 out.",
        "12 frames assigned to clusters of 'frames_look'.",
        "2 videos assigned to clusters of 'whole_look'.",
        "4 clips assigned to clusters of 'part_look'.",
    ]:
        assert sentence in said
    again = uvl.update(used, progress=False)
    assert str(again) == "Everything is up to date."
    assert not again.changed
    assert not check_update(used).gaps


def test_deleted_videos_leave_the_indexes(used):
    used.delete_samples(used.values("id")[:2])
    done = uvl.update(used, progress=False)
    assert {key: did.n_removed for key, did in done.indexed.items()} == {
        "frames_sim": 2 * EACH, "whole_sim": 2, "part_sim": 4,
    }  # fmt: skip
    assert done.failures == {}


def test_only_one_field_and_what_is_made_of_it(used, films):
    add(used, films[N_OLD:])
    done = uvl.update(used, embeddings="whole", progress=False)
    assert (done.embedded, done.assigned, set(done.pooled)) == ({}, {}, {"whole"})
    assert done.pooled["whole"].n_missing == N_NEW
    done = uvl.update(used, embeddings="frames.emb", progress=False)
    assert set(done.pooled) == {"whole", "events.detections.part"}
    assert set(done.indexed) == {"frames_sim", "whole_sim", "part_sim"}
    with pytest.raises(uvl.DataError, match="no vector field 'emb'.*frames.emb"):
        uvl.update(used, embeddings="emb")


def test_broken_videos_are_told_and_do_not_stop_the_others(embedded, films, tmp_path):
    uvl.pool(embedded, "frames.emb", "whole", progress=False)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    new = add(embedded, [broken, films[-1]])
    done = uvl.update(embedded, progress=False)
    assert set(done.embedded["frames.emb"].failures) == {new[0]}
    assert (done.pooled["whole"].n_pooled, done.pooled["whole"].n_missing) == (1, 1)
    assert embedded[new[1]].whole is not None
    assert "broken.mp4" in str(done)
    again = uvl.update(embedded, progress=False)
    assert (again.changed, again.n_failed) == (False, 1)


def test_without_the_record_nothing_is_guessed(embedded, films):
    info = embedded.get_field("frames.emb").info
    vectors = dict(zip(*embedded.values(["frames.id", "frames.emb"], unwind=True), strict=True))
    embedded.delete_run("embed_frames_emb")
    embedded.add_frame_field("emb", fo.VectorField, info=info)
    embedded.set_values("frames.emb", vectors, key_field="frames.id")
    add(embedded, films[N_OLD:])
    done = uvl.update(embedded, progress=False)
    assert list(done.failures) == ["the vectors 'frames.emb'"]
    assert "which knew the choice of frames, was deleted" in str(done)


def test_vectors_that_something_else_made_are_pooled_too(make_dataset):
    dataset = make_dataset([])
    dataset.media_type = "video"
    add_videos(dataset, [walk(seed, range(1, 9)) for seed in range(4)])
    pooling = uvl.Signature(n_components=2)
    uvl.pool(dataset, "frames.emb", "whole", pooling=pooling, progress=False)
    learnt = dataset.load_run_results("embed_whole").arrays
    add_videos(dataset, [walk(9, range(1, 9)), {}])
    done = uvl.update(dataset, progress=False)
    assert str(done) == "1 videos pooled into 'whole'."
    found = dataset.load_run_results("embed_whole").arrays
    assert all(np.array_equal(found[name], learnt[name]) for name in learnt)
    assert str(uvl.update(dataset, progress=False)) == "Everything is up to date."

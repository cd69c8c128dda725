"""Frames of videos: their vectors are read, and values written, by the ids of the frames."""

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F
from PIL import Image

import uvl_plugin as uvl
from uvl_plugin.adapter.frames import Frames
from uvl_plugin.adapter.target import target
from uvl_plugin.adapter.vectors import (
    check_any_vector,
    pages,
    read_items,
    vector_paths,
    write_values,
)

VIDEOS, LENGTH, DIM = 3, 5, 4


@pytest.fixture
def videos(tmp_path):
    """Videos that do not exist, with frames that have a vector; their pictures do exist."""
    random = np.random.default_rng(0)
    dataset, samples = fo.Dataset(), []
    for number in range(VIDEOS):
        sample = fo.Sample(filepath=str(tmp_path / f"{number}.mp4"))
        for frame in range(1, LENGTH + 1):
            picture = tmp_path / f"{number}_{frame}.png"
            Image.new("RGB", (4, 4)).save(picture)
            values = {"emb": random.normal(size=DIM), "filepath": str(picture)}
            sample.frames[frame] = fo.Frame(scene=f"{number}", **values)
        samples.append(sample)
    dataset.add_samples(samples, progress=False)
    yield dataset
    dataset.delete()


def by_fiftyone(samples):
    ids, rows = samples.values(["frames.id", "frames.emb"], unwind=True)
    return ids, np.array(rows, np.float32)


def read(items, ids=None):
    found = list(pages(items, ids))
    return [key for page, _ in found for key in page], np.concatenate([m for _, m in found])


def test_frames_of_videos_are_read_in_their_order(videos):
    items = target(videos, "frames.emb")
    assert isinstance(items, Frames)
    assert (items.field, items.path, items.unit) == ("emb", "frames.emb", "frames")
    ids, expected = by_fiftyone(videos)
    found, rows = read(items)
    assert found == ids
    assert (rows == expected).all()
    found, rows = read(items, ids[::-3])
    assert found == ids[::-3]
    assert (rows == expected[::-3]).all()


def test_a_view_gives_the_frames_it_has(videos):
    view = videos.limit(2).match_frames(F("frame_number") > 3)
    found, rows = read(target(view, "frames.emb"))
    ids, expected = by_fiftyone(view)
    assert found == ids
    assert len(ids) == 2 * 2
    assert (rows == expected).all()


@pytest.mark.parametrize("sampled", [False, True, "dynamic"])
def test_a_view_of_frames_has_the_ids_and_vectors_of_the_frames(videos, sampled):
    frames = videos.to_frames(sample_frames=sampled, sparse=True)
    ids, expected = by_fiftyone(videos)
    assert frames.values("id") == ids
    for name in ("emb", "frames.emb"):
        found, rows = read(target(frames.limit(7), name))
        assert found == ids[:7]
        assert (rows == expected[:7]).all()


def test_vectors_written_through_a_view_of_frames_are_read(videos):
    frames = videos.to_frames(sample_frames="dynamic", sparse=True)
    new = np.random.default_rng(1).normal(size=(VIDEOS * LENGTH, DIM))
    frames.set_values("other", list(new))
    for samples in (frames, videos):
        assert (read(target(samples, "frames.other"))[1] == new.astype(np.float32)).all()


def test_frames_without_a_vector_are_counted(videos):
    ids, _ = by_fiftyone(videos)
    items = target(videos, "frames.emb")
    write_values(items, {ids[4]: None})
    found, n_missing = read_items(items)
    assert (len(found), n_missing) == (VIDEOS * LENGTH - 1, 1)
    assert items.ids(missing=True) == [ids[4]]


def test_values_are_written_to_frames_by_id_and_seen_by_python(videos):
    held = videos.first().frames[2]  # a frame that Python has in its memory
    videos.add_frame_field("rank", fo.IntField)
    items = target(videos, "frames.emb")
    before = videos.values("frames.emb")
    write_values(items.with_field("rank"), {held.id: 7})
    assert held["rank"] == 7
    assert videos.values("frames.rank", unwind=True).count(7) == 1
    assert np.array_equal(before, videos.values("frames.emb"))


def test_frames_know_their_videos_and_values(videos):
    items = target(videos, "frames.emb")
    ids = items.ids()
    assert items.sample_ids([ids[-1], ids[0], ids[1]]) == [videos.last().id, videos.first().id]
    scenes = items.values("scene")
    assert list(scenes) == ids
    assert list(scenes.values()) == [str(number) for number in range(3) for _ in range(LENGTH)]
    view = videos.to_frames(sample_frames="dynamic", sparse=True)
    assert target(view, "emb").values("scene") == scenes
    with pytest.raises(uvl.DataError, match="has no field 'frames.nope'"):
        items.check_field("nope", "classes")


def test_missing_fields_of_vectors_are_named(videos):
    items = target(videos, "frames.nope")
    assert vector_paths(items) == ["frames.emb"]
    with pytest.raises(uvl.DataError, match=r"no vector field 'frames.nope'. Vector fields: fra"):
        check_any_vector(items)
    videos.add_frame_field("nope", fo.VectorField)
    with pytest.raises(uvl.DataError, match="None of the frames has a vector in 'frames.nope'"):
        check_any_vector(items)
    check_any_vector(target(videos, "frames.emb"))


def test_videos_that_are_not_there_are_named(videos):
    frames = videos.to_frames()
    for samples, field in ((videos, "frames.new"), (frames, "new")):
        with pytest.raises(uvl.DataError, match="None of the 3 videos could be embedded; the fir"):
            uvl.embed(samples, uvl.Pixels(size=4), field)
        assert not videos.has_frame_field("new")


def test_clips_are_refused(videos):
    with pytest.raises(uvl.DataError, match="frames or clips cannot be used here"):
        target(videos.to_clips([[(1, 2)]] * VIDEOS), "emb")


def test_no_videos_are_refused():
    dataset = fo.Dataset()
    dataset.media_type = "video"
    with pytest.raises(uvl.DataError, match="There are no samples in"):
        target(dataset, "frames.emb")
    dataset.delete()

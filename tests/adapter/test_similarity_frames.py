"""Indexes of the backend "faiss" of videos: of their frames, and with one vector a video."""

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

import uvl_plugin as uvl
from tests.adapter.similar import DIM, by_id, ranked, similarity, vectors_of

VIDEOS, LENGTH = 3, 4


@pytest.fixture
def videos(tmp_path):
    """Videos that do not exist, with frames that have a vector; their pictures do exist."""
    dataset, samples = fo.Dataset(), []
    rows = iter(vectors_of(VIDEOS * LENGTH))
    for number in range(VIDEOS):
        sample = fo.Sample(filepath=str(tmp_path / f"{number}.mp4"))
        for frame in range(1, LENGTH + 1):
            picture = tmp_path / f"{number}_{frame}.png"
            Image.new("RGB", (4, 4)).save(picture)
            sample.frames[frame] = fo.Frame(filepath=str(picture), emb=next(rows))
        samples.append(sample)
    dataset.add_samples(samples, progress=False)
    yield dataset
    dataset.delete()


def frames_of(dataset):
    return dataset.to_frames(sample_frames="dynamic", sparse=True)


def from_frames_view(videos):
    similarity(frames_of(videos))


def from_field_of_videos(videos):
    similarity(videos, embeddings="frames.emb")


def from_uvl(videos):
    uvl.index(videos, embeddings="frames.emb", brain_key="sim")


MADE = pytest.mark.parametrize("make", [from_frames_view, from_field_of_videos, from_uvl])


@MADE
def test_frames_are_found_by_their_ids(videos, make):
    make(videos)
    vectors = by_id(videos, "frames.emb")
    frames = frames_of(videos)
    videos.clear_cache()
    index = videos.load_brain_results("sim")
    assert index.total_index_size == VIDEOS * LENGTH
    assert set(index.sample_ids) == set(vectors)
    query = list(vectors)[5]
    expected, far = ranked(vectors, vectors[query])
    found = frames.sort_by_similarity(query, k=5, dist_field="far", brain_key="sim")
    assert found.values("id") == expected[:5]
    assert found.values("far") == pytest.approx(far[:5], abs=1e-5)
    some = frames.match(fo.ViewField("frame_number") > 2)
    expected, _ = ranked(vectors, vectors[query], among=some.values("id"))
    assert some.sort_by_similarity(query, k=3, brain_key="sim").values("id") == expected[:3]


@MADE
def test_frames_have_duplicates(videos, make):
    ids = list(by_id(videos, "frames.emb"))
    rows = vectors_of(VIDEOS * LENGTH)
    rows[5] = rows[2]
    frames_of(videos).set_values("emb", list(rows))
    make(videos)
    index = videos.load_brain_results("sim")
    index.find_duplicates(thresh=1e-6)
    assert index.duplicate_ids == [ids[5]]
    assert index.neighbors_map == {ids[2]: [(ids[5], 0.0)]}
    with index.use_view(frames_of(videos.limit(1))):
        assert index.index_size == LENGTH
        index.find_duplicates(thresh=1e-6)
        assert index.duplicate_ids == []


@MADE
def test_vectors_of_frames_are_added_and_removed(videos, make):
    """In the dataset of videos, of which a frames view is a copy."""
    make(videos)
    index = videos.load_brain_results("sim")
    ids = list(by_id(videos, "frames.emb"))
    index.add_to_index(np.ones((1, DIM)), ids[:1])
    index.remove_from_index(sample_ids=ids[1:2])
    vectors = by_id(videos, "frames.emb")
    assert list(vectors) == [ids[0], *ids[2:]]
    assert vectors[ids[0]].tolist() == [1.0] * DIM
    found, samples, _ = index.get_embeddings()
    assert dict(zip(samples, found.tolist(), strict=True)) == {
        key: row.tolist() for key, row in vectors.items()
    }
    assert (index.sync().n_added, index.sync().n_removed) == (0, 0)


@MADE
def test_frames_that_were_deleted_can_be_removed(videos, make):
    make(videos)
    index = videos.load_brain_results("sim")
    gone = videos.first().frames[1].id
    videos.delete_frames([gone])
    index.remove_from_index(sample_ids=[gone])
    assert gone not in index.sample_ids
    assert index.total_index_size == VIDEOS * LENGTH - 1


@MADE
def test_frames_that_came_or_went_are_brought_up_to_date(videos, make):
    make(videos)
    videos.delete_samples([videos.first().id])
    sample = videos.last()
    sample.frames[9] = fo.Frame(emb=vectors_of(1, 5)[0], filepath="new.png")
    sample.save()
    videos.clear_cache()
    index = videos.load_brain_results("sim")
    did = index.sync()
    assert (did.n_added, did.n_removed) == (1, LENGTH)
    assert set(index.sample_ids) == set(by_id(videos, "frames.emb"))


def test_vectors_that_were_given_of_frames(videos):
    frames = frames_of(videos)
    rows = vectors_of(VIDEOS * LENGTH, 5)
    similarity(frames, embeddings=rows)
    ids = frames.values("id")
    found = frames.sort_by_similarity(ids[3], k=4, brain_key="sim").values("id")
    assert found == ranked(dict(zip(ids, rows, strict=True)), rows[3])[0][:4]


def test_a_field_of_frames_is_made_with_the_first_vectors(videos):
    for samples, field in ((frames_of(videos), "one"), (videos, "frames.two")):
        ids = videos.values("frames.id", unwind=True)
        index = similarity(samples, embeddings=False, embeddings_field=field, brain_key=field[-3:])
        index.add_to_index(vectors_of(2, 5), ids[:2])
        path = f"frames.{field.removeprefix('frames.')}"
        assert isinstance(videos.get_field(path), fo.VectorField)
        assert list(by_id(videos, path)) == ids[:2]


def test_one_vector_a_video(videos):
    rows = vectors_of(VIDEOS, 5)
    similarity(videos, embeddings=rows, brain_key="given")
    videos.set_values("emb", list(rows))
    similarity(videos, brain_key="field")
    ids = videos.values("id")
    expected = ranked(dict(zip(ids, rows, strict=True)), rows[1])[0]
    for brain_key in ("given", "field"):
        found = videos.sort_by_similarity(ids[1], k=3, brain_key=brain_key)
        assert found.values("id") == expected
        index = videos.load_brain_results(brain_key)
        assert index.sync().n_removed == 0
        videos_less = videos.limit(2)
        with index.use_view(videos_less):
            assert index.index_size == 2

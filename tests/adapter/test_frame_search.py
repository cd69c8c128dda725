"""Search for frames, and pictures of those that are looked at, on videos with burnt-in numbers."""

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

import uvl_plugin as uvl
from tests.media.videos import burnt_in, encode
from uvl_plugin.adapter.frame_pictures import pictures_folder
from uvl_plugin.frame_search import delete_frame_pictures, show_frames, similar_frames

RATE = 10
N_VIDEOS, LENGTH = 3, 60  # video v shows the numbers 100 v + 1 to 100 v + 60
STRIDE = 2  # every second frame has a vector


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    coded = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", 12, "-bf", 2)
    return [
        encode(folder / f"{number}.mp4", *coded, rate=RATE, n=LENGTH, first=100 * number + 1)
        for number in range(N_VIDEOS)
    ]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where the pictures go."""
    monkeypatch.setenv("UVL_FRAMES", str(tmp_path / "frames"))
    return tmp_path / "frames"


@pytest.fixture
def videos(files):
    """Every second frame has a vector: the videos turn the same way, ever faster."""
    dataset = fo.Dataset()
    for number, file in enumerate(files):
        sample = fo.Sample(filepath=str(file))
        for frame in range(1, LENGTH + 1, STRIDE):
            angle = (frame / LENGTH) ** 1.3 + 0.002 * number
            sample.frames[frame] = fo.Frame(emb=np.array([np.cos(angle), np.sin(angle)]))
        dataset.add_sample(sample)
    uvl.index(dataset, embeddings="frames.emb", brain_key="sim")
    yield dataset
    dataset.delete()


def ids_of(dataset):
    """Id of each frame by its place: video and number."""
    return {
        (video, number): key
        for video, numbers, keys in zip(
            *dataset.values(["id", "frames.frame_number", "frames.id"]), strict=True
        )
        for number, key in zip(numbers, keys, strict=True)
    }


def shown_numbers(view):
    """The numbers in the pictures of a view of frames."""
    return [burnt_in(pixels(path)) for path in view.values("filepath")]


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def true_numbers(dataset, view):
    """The numbers that the pictures should have."""
    first = {key: 100 * number for number, key in enumerate(dataset.values("id"))}
    places = zip(*view.values(["sample_id", "frame_number"]), strict=True)
    return [first[video] + number for video, number in places]


def by_hand(dataset, asked, k, gap):
    """Places of the nearest frames to the mean of some, of which no two of a video are closer than
    the gap."""
    vectors = {
        (key, frame): row
        for key, numbers, rows in zip(
            *dataset.values(["id", "frames.frame_number", "frames.emb"]), strict=True
        )
        for frame, row in zip(numbers, rows, strict=True)
    }
    query, kept = sum(vectors[place] for place in asked), []
    for place in sorted(vectors, key=lambda one: -vectors[one] @ query):
        if all(place[0] != v or abs(place[1] - n) >= gap * RATE for v, n in kept):
            kept.append(place)
    return kept[:k]


def places(found):
    return [(one.video_id, one.number) for one in found.frames]


@pytest.mark.parametrize("gap", [0, 0.6, 1.5])
def test_the_nearest_frames_are_found_and_far_enough_apart(videos, gap):
    video = videos.values("id")[1]
    found = similar_frames(videos, (video, 21), k=12, gap=gap)
    assert places(found) == by_hand(videos, [(video, 21)], 12, gap)
    ids = ids_of(videos)
    assert found.ids == [ids[place] for place in places(found)]
    distances = [one.distance for one in found.frames]
    assert distances == sorted(distances)
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert str(found).startswith("12 frames of 3 videos, those most like frame 21 of '1.mp4' first")


def test_all_are_found_where_fewer_are_far_enough_apart(videos):
    video = videos.first().id
    found = similar_frames(videos, (video, 1), k=100, gap=2.0)
    assert len(found.frames) == len(by_hand(videos, [(video, 1)], 100, 2.0)) == 9


def test_queries_mean_the_same_frame(videos):
    video = videos.first().id
    key = ids_of(videos)[video, 31]
    expected = similar_frames(videos, (video, 31)).ids
    assert expected[0] == key
    for query in (key, [key], (video, 32)):  # frame 32 has no vector, 31 and 33 have
        assert similar_frames(videos, query, brain_key="sim").ids == expected


def test_of_several_frames_the_mean_counts(videos):
    video = videos.first().id
    ids, asked = ids_of(videos), [(video, 11), (video, 45)]
    found = similar_frames(videos, [ids[place] for place in asked], k=6)
    assert places(found) == by_hand(videos, asked, 6, 1.0)
    assert places(found)[0] not in asked
    assert "the 2 chosen frames" in str(found)


def test_only_frames_of_the_view_are_found(videos):
    video, other = videos.values("id")[:2]
    found = similar_frames(videos.select(other), (video, 31), k=5)
    assert {one.video_id for one in found.frames} == {other}
    early = videos.match_frames(fo.ViewField("frame_number") < 20)
    assert max(one.number for one in similar_frames(early, (video, 31), k=5).frames) == 19
    frames = show_frames(videos, similar_frames(videos, (video, 31), k=9).ids).view
    within = similar_frames(frames, (video, 31), k=100, gap=0)
    assert sorted(within.ids) == sorted(frames.values("id"))


def test_what_cannot_be_asked_is_said(videos):
    video = videos.first().id
    for arguments, said in (
        ({"query": "a red car"}, "cannot be searched by text"),
        ({"query": ""}, "Nothing was asked"),
        ({"query": ("0" * 24, 1)}, "There is no video"),
        ({"query": (video, 1), "brain_key": "nope"}, "'nope' is no similarity index of frames"),
        ({"query": "0" * 24}, "cannot be searched by text"),
        ({"query": ["0" * 24]}, "do not exist in this index"),
        ({"query": (video, 1), "k": 0}, "k must be"),
        ({"query": (video, 1), "gap": -1.0}, "gap must be"),
    ):
        with pytest.raises(uvl.UVLError, match=said):
            similar_frames(videos, **arguments)
    videos.delete_brain_run("sim")
    with pytest.raises(uvl.DataError, match="has no similarity index of frames; make one"):
        similar_frames(videos, (video, 1))


def test_pictures_are_those_of_the_frames(videos, folder):
    found = similar_frames(videos, (videos.first().id, 21), k=10)
    shown = show_frames(videos, found.ids)
    assert shown.view.values("id") == shown.pictures.ids == found.ids
    assert shown_numbers(shown.view) == true_numbers(videos, shown.view)
    assert len(list(folder.rglob("*.jpg"))) == shown.pictures.n_written == 10
    assert videos.count("frames.filepath") == 10
    assert str(shown) == "10 frames are shown; 10 pictures are new."


def test_pictures_are_used_again_and_made_again(videos, folder):
    ids = videos.values("frames.id", unwind=True)[:6]
    paths = show_frames(videos, ids[:4]).view.values("filepath")
    assert show_frames(videos, ids).pictures.n_written == 2
    (folder / paths[0]).unlink()
    again = show_frames(videos, ids[::-1])
    assert again.pictures.n_written == 1
    assert again.view.values("id") == ids[::-1]
    assert shown_numbers(again.view) == true_numbers(videos, again.view)


def test_a_view_has_at_most_so_many_pictures(videos):
    ids = videos.values("frames.id", unwind=True)
    shown = show_frames(videos, ids, most=3)
    assert shown.view.values("id") == ids[:3]
    assert shown.n_left == len(ids) - 3
    assert videos.count("frames.filepath") == 3


def test_pictures_are_no_wider_than_512_pixels(tmp_path):
    wide = encode(tmp_path / "wide.mp4", "-vf", "scale=1024:64", "-pix_fmt", "yuv420p", n=3)
    dataset = fo.Dataset()
    dataset.add_sample(fo.Sample(filepath=str(wide)))
    dataset.ensure_frames()
    shown = show_frames(dataset, dataset.values("frames.id", unwind=True))
    assert {pixels(path).shape for path in shown.view.values("filepath")} == {(32, 512, 3)}
    dataset.delete()


def test_pictures_that_others_made_stay(videos, tmp_path):
    own = tmp_path / "own.png"
    Image.new("RGB", (8, 8)).save(own)
    ids = videos.values("frames.id", unwind=True)[:3]
    videos.add_frame_field("filepath", fo.StringField)
    videos.set_values("frames.filepath", {ids[1]: str(own)}, key_field="frames.id")
    shown = show_frames(videos, ids)
    assert shown.view.values("filepath")[1] == str(own)
    assert shown.pictures.n_written == 2
    assert delete_frame_pictures(videos) == 2
    assert videos.values("frames.filepath", unwind=True)[:3] == [None, str(own), None]


def test_deleted_pictures_leave_nothing(videos):
    ids = videos.values("frames.id", unwind=True)[:5]
    show_frames(videos, ids)
    assert delete_frame_pictures(videos) == 5
    assert not any(path.is_file() for path in pictures_folder().rglob("*"))
    assert not videos.has_frame_field("filepath")
    assert delete_frame_pictures(videos) == 0
    assert show_frames(videos, ids).pictures.n_written == 5


def test_frames_without_a_picture_are_named(videos, tmp_path):
    ids = ids_of(videos)
    good, gone = videos.values("id")[:2]
    videos.set_values("filepath", {gone: str(tmp_path / "gone.mp4")}, key_field="id")
    shown = show_frames(videos, [ids[gone, 1], ids[good, 1]])
    assert shown.view.values("id") == [ids[good, 1]]
    assert list(shown.pictures.failures) == [ids[gone, 1]]
    assert "1 have no picture" in str(shown)
    assert "gone.mp4" in str(shown)


def test_the_saved_view_of_near_duplicates_shows_their_pictures(videos):
    result = uvl.find_duplicates(videos, embeddings="frames.emb", threshold=1.2e-5, progress=False)
    view = videos.load_saved_view(result.view)
    assert len(view) == videos.count("frames")
    assert shown_numbers(view) == true_numbers(videos, view)
    groups = view.values("near_duplicate_group")
    assert groups == sorted(groups)


def test_the_saved_view_holds_only_so_many(videos, monkeypatch):
    monkeypatch.setattr("uvl_plugin.adapter.curating.MOST", 4)
    result = uvl.find_duplicates(videos, embeddings="frames.emb", threshold=1.2e-5, progress=False)
    view = videos.load_saved_view(result.view)
    assert len(view) == 4
    assert len(set(view.values("near_duplicate_group"))) == 2  # the first groups, three frames each
    assert "(4 of 90 frames)" in videos._dataset.get_saved_view_info(result.view)["description"]

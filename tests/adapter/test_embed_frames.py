"""Frames of videos: every vector belongs to the frame that FiftyOne gives that number."""

import os
import subprocess

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F
from PIL import Image

import uvl_plugin as uvl
from tests.media.videos import KINDS, N_PICTURES, burnt_in
from uvl_plugin.adapter.failures import FAILED_TAG

SIDE = 12
PIXELS = uvl.Pixels(size=SIDE)
CONSTANT = [  # kinds whose n-th picture is frame n, for the player and for ffmpeg alike
    "b_frames.mp4", "intra.mp4", "open_gop.mp4", "jpeg.avi", "asp.avi", "h264.avi",
    "thirty.mkv", "ntsc.mp4", "vp8.webm", "vp9.webm", "jpeg.mov", "ten_bits.mp4",
]  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecat")


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    """Path by kind; each picture has its number burnt in."""
    folder = tmp_path_factory.mktemp("films")
    return {kind: KINDS[kind](folder / kind) for kind in CONSTANT}


@pytest.fixture
def videos(films, make_dataset):
    """Four of them, without anything that FiftyOne could know of them."""
    return make_dataset([films[kind] for kind in CONSTANT[:4]])


def number_in(vector) -> int:
    pixels = np.reshape(vector, (3, SIDE, SIDE)).transpose(1, 2, 0)
    return burnt_in(pixels * 255)


def numbers_of(samples, field="emb"):
    """Frame number and burnt-in number of each frame with a vector, by the id of the video."""
    rows = zip(*samples.values(["id", "frames.frame_number", f"frames.{field}"]), strict=True)
    return {
        video: [
            (number, number_in(vector))
            for number, vector in zip(numbers, vectors, strict=True)
            if vector is not None
        ]
        for video, numbers, vectors in rows
    }


def same(numbers) -> list[tuple[int, int]]:
    return [(number, number) for number in numbers]


@pytest.mark.parametrize("with_metadata", [True, False])
def test_every_frame_is_the_one_with_that_number(films, make_dataset, with_metadata):
    dataset = make_dataset(films.values())
    if with_metadata:
        dataset.compute_metadata(progress=False)
    result = uvl.embed(dataset, PIXELS, "frames.emb", progress=False)
    found = numbers_of(dataset)
    assert {tuple(pairs) for pairs in found.values()} == {tuple(same(range(1, N_PICTURES + 1)))}
    assert (result.n_embedded, result.failures) == (len(films) * N_PICTURES, {})
    assert result.field == "frames.emb"
    assert result.unit == "frames"


def test_the_numbers_are_those_of_the_pictures_that_fiftyone_extracts(
    films, make_dataset, tmp_path
):
    dataset = make_dataset(films.values())
    uvl.embed(dataset, PIXELS, "frames.emb", stride=7, progress=False)
    extracted = dataset.to_frames(
        sample_frames=True, fps=5, output_dir=str(tmp_path), sparse=False, verbose=False
    )
    in_files = {
        (video, number): burnt_in(np.asarray(Image.open(path).convert("RGB")))
        for video, number, path in zip(
            *extracted.values(["sample_id", "frame_number", "filepath"]), strict=True
        )
    }
    assert len(in_files) >= 10 * len(films)
    assert all(number == shown for (_, number), shown in in_files.items())
    for pairs in numbers_of(dataset).values():
        assert pairs == same(range(1, N_PICTURES + 1, 7))


def test_nothing_is_written_to_disk(videos, tmp_path, monkeypatch):
    before = set(os.listdir(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    uvl.embed(videos, PIXELS, "frames.emb", fps=5, progress=False)
    assert set(os.listdir(tmp_path)) == before
    assert not videos.has_frame_field("filepath")


def test_frames_a_second_are_those_that_fiftyone_takes(videos):
    from fiftyone.utils.video import sample_frames_uniform

    uvl.embed(videos, PIXELS, "frames.emb", fps=7, progress=False)
    expected = sample_frames_uniform(25, total_frame_count=N_PICTURES, fps=7)
    assert all(pairs == same(expected) for pairs in numbers_of(videos).values())


def test_at_most_so_many_frames(videos):
    uvl.embed(videos, PIXELS, "frames.emb", max_frames=5, progress=False)
    for pairs in numbers_of(videos).values():
        assert len(pairs) == 5
        assert pairs == same([number for number, _ in pairs])
        assert np.ptp(np.diff([number for number, _ in pairs])) <= 1


def test_key_frames(films, make_dataset):
    dataset = make_dataset([films["vp9.webm"], films["intra.mp4"]])
    uvl.embed(dataset, PIXELS, "frames.emb", key_frames=True, progress=False)
    few, every = numbers_of(dataset).values()
    assert every == same(range(1, N_PICTURES + 1))
    assert [number for number, _ in few] == [1, 25, 49]
    assert few == same([1, 25, 49])


def test_only_inside_of_clips(videos):
    first, second = videos.values("id")[:2]
    clips = {
        first: fo.TemporalDetections(
            detections=[
                fo.TemporalDetection(label="a", support=[4, 9]),
                fo.TemporalDetection(label="b", support=[8, 12]),
            ]
        ),
        second: fo.TemporalDetections(detections=[]),
    }
    videos.set_values("events", clips, key_field="id")
    result = uvl.embed(videos, PIXELS, "frames.emb", clips="events", progress=False)
    found = numbers_of(videos)
    assert found[first] == same(range(4, 13))
    assert result.n_embedded == 9
    with pytest.raises(uvl.DataError, match="no temporal detections in 'nope'"):
        uvl.embed(videos, PIXELS, "frames.emb", clips="nope")


def test_a_view_of_some_videos(videos):
    chosen = videos.values("id")[2]
    uvl.embed(videos.select([chosen]), PIXELS, "frames.emb", stride=20, progress=False)
    assert {video: len(pairs) for video, pairs in numbers_of(videos).items() if pairs} == {
        chosen: 3
    }


def test_a_view_of_frames_means_these(videos):
    uvl.embed(videos, PIXELS, "frames.emb", fps=5, progress=False)
    frames = videos.to_frames(sample_frames="dynamic", sparse=True)
    chosen = frames.match(F("frame_number") % 2 == 0)
    expected = sorted(zip(*chosen.values(["sample_id", "frame_number"]), strict=True))
    assert expected
    uvl.embed(chosen, PIXELS, "again", progress=False)
    found = numbers_of(videos, "again")
    assert sorted((v, n) for v, pairs in found.items() for n, _ in pairs) == expected
    assert all(pair[0] == pair[1] for pairs in found.values() for pair in pairs)


def test_a_second_call_goes_on_with_what_is_missing(videos):
    uvl.embed(videos, PIXELS, "frames.emb", stride=3, progress=False)
    ids = dict(zip(*videos.values(["frames.id", "frames.frame_number"], unwind=True), strict=True))
    result = uvl.embed(videos, PIXELS, "frames.emb", progress=False)
    assert result.n_present == len(ids)
    assert result.n_embedded == 4 * N_PICTURES - len(ids)
    assert all(pairs == same(range(1, N_PICTURES + 1)) for pairs in numbers_of(videos).values())
    later = dict(
        zip(*videos.values(["frames.id", "frames.frame_number"], unwind=True), strict=True)
    )
    assert ids.items() <= later.items()  # documents stay what they were
    third = uvl.embed(videos, PIXELS, "frames.emb", progress=False)
    assert (third.n_embedded, third.n_present) == (0, 4 * N_PICTURES)


def test_other_values_of_the_frames_stay(videos):
    sample = videos.first()
    sample.frames[3]["note"] = "mine"
    sample.save()
    uvl.embed(videos, PIXELS, "frames.emb", stride=2, progress=False)
    frame = videos.first().frames[3]
    assert frame.note == "mine"
    assert number_in(frame.emb) == 3


def test_overwrite_leaves_only_what_is_chosen_now(videos):
    uvl.embed(videos, PIXELS, "frames.emb", progress=False)
    uvl.embed(videos, PIXELS, "frames.emb", stride=30, overwrite=True, progress=False)
    assert all(pairs == same([1, 31]) for pairs in numbers_of(videos).values())
    other = uvl.Pixels(size=SIDE - 1)
    with pytest.raises(uvl.DataError, match="pass overwrite=True"):
        uvl.embed(videos, other, "frames.emb")


def test_the_record_says_which_frames(videos):
    uvl.embed(videos, PIXELS, "frames.emb", fps=5, progress=False)
    record = videos.get_run_info("embed_frames_emb").config
    assert record.frames["fps"] == 5
    assert record.field == "frames.emb"
    videos.delete_run("embed_frames_emb")
    assert not videos.has_frame_field("emb")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fps": 2, "stride": 3}, "cannot be combined"),
        ({"fps": -1}, "fps must be"),
        ({"frames": uvl.FrameChoice(fps=2), "fps": 2}, "not both"),
        ({"field": "emb"}, "holds videos. Embed their frames"),
        ({"speed": 2}, "no setting 'speed'"),
    ],
)
def test_wrong_arguments_are_refused_before_work(videos, arguments, message):
    with pytest.raises(uvl.UVLError, match=message):
        uvl.embed(videos, PIXELS, **{"field": "frames.emb", **arguments})
    assert not videos.has_frame_field("emb")


def test_frames_cannot_be_chosen_of_images(digits):
    with pytest.raises(uvl.UVLError, match="field is one of frames"):
        uvl.embed(digits, PIXELS, "emb", fps=2)


def test_bad_videos_among_good_ones(films, make_dataset, tmp_path):
    whole = films["thirty.mkv"].read_bytes()
    bad = {
        "missing.mp4": None,
        "empty.mp4": b"",
        "text.mp4": b"not a video at all\n" * 50,
        "cut.mkv": whole[: len(whole) * 3 // 4],
        "headless.mp4": films["b_frames.mp4"].read_bytes()[:1500],
    }
    for name, content in bad.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    sound = tmp_path / "sound.mp4"
    tone = ("-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac")
    subprocess.run(["ffmpeg", "-v", "error", *tone, str(sound)], check=True)
    good = [films["b_frames.mp4"], films["thirty.mkv"]]
    paths = [good[0], *(tmp_path / name for name in bad), sound, good[1]]
    dataset = make_dataset(paths)
    result = uvl.embed(dataset, PIXELS, "frames.emb", progress=False)
    ids = dict(zip(dataset.values("filepath"), dataset.values("id"), strict=True))
    failed = {video for video in result.failures if ":" not in video}
    assert failed == {ids[str(path)] for path in paths[1:-1]}
    assert sorted(dataset.match_tags(FAILED_TAG).values("id")) == sorted(failed)
    found = numbers_of(dataset)
    for path in good:
        assert found[ids[str(path)]] == same(range(1, N_PICTURES + 1))
    cut = found[ids[str(tmp_path / "cut.mkv")]]
    assert cut == same([number for number, _ in cut])  # one near the cut may need what is gone
    assert 10 <= len(cut) < N_PICTURES
    assert sum(map(len, found.values())) == 2 * N_PICTURES + len(cut)


def test_progress_goes_up_and_work_can_be_stopped_and_taken_up(videos):
    seen: list[tuple[float, str]] = []

    def stop(fraction, message):
        seen.append((fraction, message))
        if "video 3" in message:
            raise uvl.Cancelled("stopped")

    with pytest.raises(uvl.Cancelled):
        uvl.embed(videos, PIXELS, "frames.emb", progress=stop, batch_size=4)
    done = sum(map(len, numbers_of(videos).values()))
    assert 2 * N_PICTURES <= done < 4 * N_PICTURES
    assert [fraction for fraction, _ in seen] == sorted(fraction for fraction, _ in seen)
    result = uvl.embed(videos, PIXELS, "frames.emb", progress=False)
    assert result.n_present == done
    assert all(pairs == same(range(1, N_PICTURES + 1)) for pairs in numbers_of(videos).values())


def test_frames_are_the_same_as_pictures_of_them(videos, make_dataset, tmp_path):
    """What a network sees of a frame is what it sees of the same picture in a file."""
    uvl.embed(videos, PIXELS, "frames.emb", stride=25, progress=False)
    source = videos.first().filepath
    pattern = str(tmp_path / "%03d.png")
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, pattern], check=True)
    pictures = make_dataset([tmp_path / f"{number:03}.png" for number in (1, 26, 51)])
    uvl.embed(pictures, PIXELS, "emb", progress=False)
    of_frames = np.stack([frame.emb for frame in videos.first().frames.values()])
    assert np.abs(of_frames - np.stack(pictures.values("emb"))).max() < 0.03

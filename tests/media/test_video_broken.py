import os
import re
from pathlib import Path

import numpy as np
import pytest

from tests.media import videos
from tests.media.videos import N_PICTURES, burnt_in
from uvl_plugin.core.errors import DataError
from uvl_plugin.media.frame_choice import FrameChoice
from uvl_plugin.media.images import read_image
from uvl_plugin.media.video import Video, frames_of, video_info


def outcome(path: Path, **wanted) -> tuple[dict[int, int], dict[str, str]]:
    """The burnt-in number by the frame number, and the reason by each key that failed."""
    found, failed = {}, {}
    for source in frames_of(Video("clip", str(path), **wanted)):
        assert len(source.keys) <= 64
        try:
            for key, pixels in source.read(read_image):
                found[int(key.rpartition(":")[2])] = burnt_in(pixels)
        except DataError as error:
            failed.update(dict.fromkeys(source.keys, str(error)))
    return found, failed


def image(path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (64, 48)).save(path, "JPEG")


def audio_only(path: Path) -> None:
    videos.ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac", path)


def cover_only(path: Path) -> None:
    cover = path.with_name("cover.jpg")
    image(cover)
    sound = path.with_name("sound.m4a")
    audio_only(sound)
    videos.ffmpeg(
        "-i",
        sound,
        "-i",
        cover,
        "-map",
        0,
        "-map",
        1,
        "-c",
        "copy",
        "-disposition:v:0",
        "attached_pic",
        path,
    )


def without_index(path: Path) -> None:
    whole = videos.encode(path.with_name("whole.mp4"), *videos.H264).read_bytes()
    path.write_bytes(whole[: whole.index(b"moov") - 4])


def header_only(path: Path) -> None:
    whole = videos.encode(path.with_name("whole.mkv"), *videos.H264).read_bytes()
    path.write_bytes(whole[: whole.index(b"\x1f\x43\xb6\x75")])  # first cluster


def no_frames(path: Path) -> None:
    videos.encode(path, *videos.H264, n=0)


def unknown_codec(path: Path) -> None:
    whole = videos.encode(path, *videos.H264).read_bytes()
    path.write_bytes(whole.replace(b"avc1", b"xyz1").replace(b"avcC", b"xyzC"))


def pipe(path: Path) -> None:
    os.mkfifo(path)


NOTHING = {
    "missing.mp4": (lambda path: None, "file not found"),
    "folder.mp4": (Path.mkdir, "not a regular file"),
    "empty.mp4": (Path.touch, "empty file"),
    "text.mp4": (lambda path: path.write_text("not a video\n" * 50), "not a video"),
    "noise.mp4": (
        lambda path: path.write_bytes(np.random.default_rng(3).bytes(9000)),
        "not a video",
    ),
    "image.mp4": (image, "an image, not a video"),
    "sound.mp4": (audio_only, "no video in it, only audio"),
    "cover.m4a": (cover_only, "no video in it, only a picture and audio"),
    "no_index.mp4": (without_index, "not a video that can be read"),
    "header.mkv": (header_only, "ends before its first picture"),
    "no_frames.mp4": (no_frames, "no video in it$"),
    "codec.mp4": (unknown_codec, "codec"),
    "pipe.mp4": (pipe, "not a regular file"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_a_file_without_any_frame_fails_as_one(name, tmp_path):
    make, reason = NOTHING[name]
    path = tmp_path / name
    make(path)
    found, failed = outcome(path)
    assert found == {}
    assert list(failed) == ["clip"]
    assert re.search(reason, failed["clip"])
    assert str(path) not in failed["clip"]


@pytest.mark.parametrize("name", ["missing.mp4", "text.mp4", "sound.mp4"])
@pytest.mark.parametrize("choice", [FrameChoice(key_frames=True), FrameChoice(max_frames=3)])
def test_whatever_was_chosen(name, choice, tmp_path):
    NOTHING[name][0](tmp_path / name)
    found, failed = outcome(tmp_path / name, choice=choice)
    assert (found, list(failed)) == ({}, ["clip"])


def test_headers_of_no_video(tmp_path):
    with pytest.raises(DataError, match="^file not found$"):
        video_info(str(tmp_path / "none.mp4"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(video_of, tmp_path):
    path = tmp_path / "secret.mp4"
    path.write_bytes(video_of("intra.mp4").read_bytes())
    path.chmod(0)
    assert "ermission" in outcome(path)[1]["clip"]


NOISE = ("-vf", "noise=alls=30:allf=t")  # so that the pictures are most of the file
X264 = (*videos.H264, "-bf", 3, "-g", 12, "-sc_threshold", 0)
WHOLE = {
    "start.mp4": (*X264, "-movflags", "faststart"),
    "b_frames.mkv": X264,
    "h264.avi": X264,
    "asp.avi": ("-c:v", "mpeg4", "-bf", 2, "-g", 12, "-q:v", 3),
    "no_b.avi": ("-c:v", "mpeg4", "-g", 12, "-q:v", 3),
}


def cut(path: Path, share: float) -> Path:
    whole = videos.encode(path, *NOISE, *WHOLE[path.name]).read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


@pytest.mark.parametrize("share", [0.4, 0.6, 0.9])
@pytest.mark.parametrize("kind", WHOLE)
def test_a_truncated_file_yields_what_it_has(kind, share, tmp_path):
    found, failed = outcome(cut(tmp_path / kind, share))
    assert len(found) > 0.7 * share * N_PICTURES
    assert all(number == picture for number, picture in found.items())
    lost = [int(key.rpartition(":")[2]) for key in failed if key != "clip"]
    assert len(lost) < 12
    assert sorted([*lost, *found]) == list(range(1, len(lost) + len(found) + 1))
    ends = f"ends after frame {len(lost) + len(found)} of {N_PICTURES}, as if it were cut off"
    assert failed["clip"] == ends


def test_a_second_run_says_again_that_the_file_is_cut_off(tmp_path):
    path = cut(tmp_path / "start.mp4", 0.7)
    found, failed = outcome(path)
    again = outcome(path, done=set(found))
    assert again == ({}, failed)


def damaged(path: Path, target: Path, packets: range) -> Path:
    """Overwrites the second half of some packets."""
    import av

    with av.open(str(path)) as container:
        found = [one for one in container.demux(video=0) if one.size]
        places = [(one.pos, one.size) for one in found]
    data = bytearray(path.read_bytes())
    for packet in packets:
        place, size = places[packet]
        noise = np.random.default_rng(packet).bytes(size - size // 2)
        data[place + size // 2 : place + size] = noise
    target.write_bytes(data)
    return target


@pytest.mark.parametrize(
    "kind",
    ["b_frames.mp4", "ten_bits.mp4", "av1.mp4", "thirty.mkv", "vp9.webm", "asp.avi", "h264.avi"],
)
def test_damaged_packets_spoil_nothing_but_their_group(kind, video_of, tmp_path):
    found, failed = outcome(damaged(video_of(kind), tmp_path / kind, range(30, 32)))
    assert all(number == picture for number, picture in found.items())
    assert set(range(1, 29)) | set(range(50, 61)) <= set(found)
    lost = {int(key.rpartition(":")[2]) for key in failed}
    assert lost
    assert lost | set(found) == set(range(1, 61))
    assert not lost & set(found)
    assert set(failed.values()) == {"its picture could not be decoded"}


def test_pictures_that_stand_alone_are_lost_alone(video_of, tmp_path):
    found, failed = outcome(damaged(video_of("jpeg.avi"), tmp_path / "jpeg.avi", range(30, 32)))
    assert set(failed) == {"clip:31", "clip:32"}
    assert found == {number: number for number in range(1, 61) if number not in (31, 32)}


def test_many_lost_frames_come_in_portions(tmp_path):
    whole = videos.encode(tmp_path / "whole.mov", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", n=200)
    path = damaged(whole, tmp_path / "part.mov", range(10, 160))
    sources = [one for one in frames_of(Video("clip", str(path))) if len(one.keys) > 1]
    assert [len(one.keys) for one in sources] == [64, 64, 22]

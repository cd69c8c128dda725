import gc
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.media import videos
from tests.media.videos import N_PICTURES, burnt_in
from uvl_plugin.core.errors import DataError
from uvl_plugin.media.frame_choice import FrameChoice
from uvl_plugin.media.images import read_image
from uvl_plugin.media.video import Video, frame_key, frames_of, video_and_number, video_info

TURNED = {"turned_90.mp4": 90, "turned_180.mp4": 180, "turned_270.mp4": 270}
_ODD_TIMES = (
    "variable.mp4",
    "variable.mkv",
    "late_video.mp4",
    "edit_list.mp4",
    "open_gop.mkv",
    "fragments.mp4",
)
PLAIN = [kind for kind in videos.KINDS if kind not in (*_ODD_TIMES, *TURNED, "packed.avi")]
SEEKING = ["b_frames.mp4", "open_gop.mp4", "open_gop.mkv", "sixty.mkv", "variable.mp4"]
SEEKING += ["edit_list.mp4", "late_video.mp4", "fragments.mp4", "h264.avi", "packed.avi"]
SEEKING += ["odd_start.ts", "vp9.webm", "ten_bits.mp4", "intra_refresh.mp4", "av1.mp4"]


def shown(path, **wanted) -> dict[int, int]:
    """The burnt-in number by the frame number."""
    return {number: burnt_in(pixels) for number, pixels in pixels_of(path, **wanted).items()}


def pixels_of(path, **wanted) -> dict[int, np.ndarray]:
    found = {}
    for source in frames_of(Video("clip", str(path), **wanted)):
        for key, pixels in source.read(read_image):
            found[video_and_number(key)[1]] = pixels
    return found


def on_screen(times: dict[int, float], rate: float, last: int) -> dict[int, int]:
    """The rule, done slowly: the last picture that begins by the time of each number."""
    found = {}
    for number in range(1, last + 1):
        begun = [one for one, time in times.items() if time <= (number - 1 + 0.02) / rate]
        found[number] = max(begun, default=min(times))
    return found


@pytest.mark.parametrize("kind", PLAIN)
def test_number_n_is_the_nth_picture(kind, video_of):
    assert shown(video_of(kind)) == {number: number for number in range(1, N_PICTURES + 1)}


def test_two_pictures_in_one_packet(video_of):
    found = shown(video_of("packed.avi"))
    encoded = [*range(1, 59), 60]  # the encoder leaves one out
    assert list(found.values()) == encoded
    assert list(found) == list(range(1, 60))


def test_a_file_that_begins_with_pictures_that_need_what_was_cut_off(video_of):
    found = shown(video_of("open_gop.mkv"))
    assert found == {number: max(13, number) for number in range(1, 61)}


def test_a_file_whose_first_picture_begins_late(video_of):
    """As the player shows it: its moment 0 is that of the file, two pictures earlier."""
    found = shown(video_of("fragments.mp4"))
    assert found == {number: max(1, number - 2) for number in range(1, 63)}


def kept(number: int) -> bool:
    """Which pictures ``videos._variable`` keeps."""
    place = (number - 1) % 25
    return place < 8 or (place > 17 and (number - 1) % 2 == 1)


@pytest.mark.parametrize(("kind", "last"), [("variable.mp4", 31), ("variable.mkv", 58)])
def test_numbers_follow_the_clock_where_times_vary(kind, last, video_of):
    times = {one: (one - 1) / 25 for one in range(1, N_PICTURES + 1) if kept(one)}
    path = video_of(kind)
    found = shown(path)
    assert found == on_screen(times, video_info(str(path)).rate, last)
    assert shown(path, rate=25.0) == on_screen(times, 25.0, 58)
    assert shown(path, rate=7.0) == on_screen(times, 7.0, 17)


def test_the_first_picture_stands_for_the_time_before(video_of):
    """The sound begins 8 pictures earlier."""
    assert shown(video_of("late_video.mp4")) == {n: max(1, n - 8) for n in range(1, 69)}


def test_what_an_edit_list_leaves_out_is_not_counted(video_of):
    assert shown(video_of("edit_list.mp4")) == {number: number + 33 for number in range(1, 28)}


@pytest.mark.parametrize("kind", TURNED)
def test_pictures_are_upright(kind, video_of, tmp_path):
    videos.ffmpeg(
        "-i", video_of(kind), "-vf", "select=eq(n\\,4)", "-vframes", 1, tmp_path / "5.png"
    )
    expected = read_image(str(tmp_path / "5.png")).astype(int)
    found = pixels_of(video_of(kind), numbers=[5])[5].astype(int)
    assert found.shape == expected.shape == ((96, 128, 3) if "180" in kind else (128, 96, 3))
    assert np.abs(found - expected).max() < 30


@pytest.mark.parametrize(
    "options",
    [
        ("-pix_fmt", "yuv444p"),
        ("-pix_fmt", "gray"),
        ("-pix_fmt", "yuv420p10le"),
        ("-pix_fmt", "yuvj420p"),
        ("-pix_fmt", "yuv420p", "-colorspace", "bt709", "-color_range", "tv"),
        ("-pix_fmt", "yuv422p", "-colorspace", "smpte170m"),
    ],
    ids=str,
)
def test_colours_are_those_of_ffmpeg(options, tmp_path):
    path, still = tmp_path / "colours.mp4", tmp_path / "still.png"
    bars = ("-f", "lavfi", "-i", "testsrc2=s=171x93:d=0.2")  # odd sides
    size = "171:93" if options[1] in ("yuv444p", "gray") else "170:92"
    videos.ffmpeg(*bars, "-vf", f"gblur=6,crop={size}", "-c:v", "libx264", "-qp", 5, *options, path)
    videos.ffmpeg("-i", path, "-vframes", 1, "-pix_fmt", "rgb24", still)
    expected = read_image(str(still)).astype(int)
    found = pixels_of(path, numbers=[1])[1].astype(int)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 2


def test_a_size_that_changes_on_the_way(tmp_path):
    small, large = tmp_path / "small.ts", tmp_path / "large.ts"
    videos.encode(small, *videos.H264, n=5)
    videos.encode(large, *videos.H264, "-vf", "scale=256:192", n=5, first=6)
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())  # times begin anew
    found = pixels_of(both, numbers=[1, 2, 3, 6, 7, 8, 9, 10])
    assert [burnt_in(pixels) for pixels in found.values()] == list(found)
    assert {pixels.shape for pixels in found.values()} == {(96, 128, 3), (192, 256, 3)}


@pytest.mark.parametrize("kind", ["b_frames.mp4", "sixty.mkv", "asp.avi", "odd_start.ts"])
def test_choices(kind, video_of):
    path = video_of(kind)
    rate = video_info(str(path)).rate
    for choice in (FrameChoice(fps=4), FrameChoice(stride=7), FrameChoice(max_frames=5)):
        found = shown(path, choice=choice)
        assert list(found) == list(choice.numbers(rate, N_PICTURES))
        assert all(number == picture for number, picture in found.items())
    assert list(shown(path, spans=[(50, 99), (3, 5)])) == [3, 4, 5, *range(50, 61)]
    assert shown(path, numbers=[9, 2, 9]) == {2: 2, 9: 9}


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("b_frames.mp4", [1, 25, 49]),
        ("sixty.mkv", [1, 25, 49]),
        ("asp.avi", [1, 13, 25, 37, 49, 60]),
        ("open_gop.mp4", [1, 13, 25, 37, 49]),
        ("jpeg.mov", list(range(1, 61))),
        ("edit_list.mp4", [16]),
    ],
)
def test_key_frames(kind, keys, video_of):
    path = video_of(kind)
    everything = shown(path)
    found = shown(path, choice=FrameChoice(key_frames=True))
    assert list(found) == keys
    assert found == {number: everything[number] for number in keys}
    some = shown(path, choice=FrameChoice(key_frames=True, max_frames=2), spans=[(10, 60)])
    assert len(some) == min(2, len([key for key in keys if key >= 10]))
    assert set(some) <= set(keys)


@pytest.fixture(scope="module")
def everything(video_of):
    return {name: pixels_of(video_of(name)) for name in SEEKING}


@settings(max_examples=60)
@given(data=st.data())
def test_seeking_never_changes_a_picture(data, everything, video_of):
    """Whatever is wanted of a file, and wherever decoding begins anew."""
    kind = data.draw(st.sampled_from(SEEKING))
    whole = everything[kind]
    gaps = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=8))
    wanted = [one for one in np.cumsum(gaps).tolist() if one in whole] or [len(whole)]
    found = pixels_of(video_of(kind), done=set(whole) - set(wanted))
    assert list(found) == sorted(wanted)
    for number, pixels in found.items():
        np.testing.assert_array_equal(pixels, whole[number])


def test_decoding_begins_near_what_is_wanted(video_of, monkeypatch):
    from uvl_plugin.media.video_times import StoredTimes

    fed, plain = [], StoredTimes.fed
    monkeypatch.setattr(StoredTimes, "fed", lambda *args: (fed.append(args[1].pts), plain(*args)))
    pixels_of(video_of("b_frames.mp4"), numbers=[55])
    assert len(fed) < 25  # the first picture, and from the key frame 49 on
    fed.clear()
    assert len(pixels_of(video_of("b_frames.mp4"))) == len(fed) == N_PICTURES


def test_two_threads_may_read_one_picture(video_of):
    """Numbers 5 to 8 show the same picture."""
    alone = pixels_of(video_of("variable.mp4"))
    sources = list(frames_of(Video("clip", str(video_of("variable.mp4")))))
    with ThreadPoolExecutor(4) as threads:
        read = threads.map(lambda source: dict(source.read(read_image)), sources)
    for found in read:
        for key, pixels in found.items():
            np.testing.assert_array_equal(pixels, alone[video_and_number(key)[1]])


def test_sources_have_one_key_and_the_path(video_of):
    path = str(video_of("intra.mp4"))
    sources = list(frames_of(Video("clip", path, numbers=[1, 5])))
    assert [source.keys for source in sources] == [("clip:1",), ("clip:5",)]
    assert {source.path for source in sources} == {path}


def test_keys():
    assert frame_key("65f0:a", 12) == "65f0:a:12"
    assert video_and_number("65f0:a:12") == ("65f0:a", 12)


def test_headers(video_of):
    info = video_info(str(video_of("ntsc.mp4")))
    assert (info.width, info.height, info.n_frames, info.codec) == (128, 96, 60, "h264")
    assert info.rate == pytest.approx(30000 / 1001)
    assert info.seconds == pytest.approx(2.002)


def n_open() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("kind", ["b_frames.mp4", "sixty.mkv", "asp.avi"])
def test_files_are_closed(kind, video_of):
    path = str(video_of(kind))
    before = n_open()
    for _ in frames_of(Video("clip", path)):
        pass
    begun = frames_of(Video("clip", path))
    next(begun)
    assert n_open() > before
    begun.close()
    jumped = frames_of(Video("clip", path, numbers=[1, 58, 60]))
    list(jumped)
    gc.collect()
    assert n_open() == before


def test_numbers_after_the_end_are_named(video_of):
    sources = list(
        frames_of(Video("clip", str(video_of("intra.mp4")), numbers=[60, 61, *range(99, 199)]))
    )
    assert [len(source.keys) for source in sources] == [1, 64, 37]
    with pytest.raises(DataError, match="ends after frame 60$"):
        list(sources[1].read(read_image))


def test_memory_does_not_grow_with_the_length(tmp_path):
    import resource

    path = videos.encode(tmp_path / "long.mp4", *videos.H264, n=2000)
    before = None
    for place, source in enumerate(frames_of(Video("clip", str(path)))):
        list(source.read(read_image))
        if place == 100:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert place == 1999
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 12_000  # kilobytes

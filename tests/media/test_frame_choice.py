from itertools import accumulate, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvl_plugin.core.errors import SettingsError
from uvl_plugin.media.frame_choice import FrameChoice, spread


def chosen(choice: FrameChoice, rate=30.0, total=None, spans=None) -> list[int]:
    return list(choice.numbers(rate, total, spans))


def as_fiftyone_does(rate: float, first: int, last: int, fps: float) -> list[int]:
    """The rule of ``fiftyone.utils.video.sample_frames_uniform``, in other words."""
    if fps >= rate:
        return list(range(first, last + 1))
    steps = [float(first)] + [rate / fps] * (last + 1)
    places = [round(place) for place in accumulate(steps)]
    return [number for number in dict.fromkeys(places) if number <= last]


def test_all_frames_without_a_word():
    assert chosen(FrameChoice(), total=4) == [1, 2, 3, 4]
    assert chosen(FrameChoice(), total=0) == []


@pytest.mark.parametrize(
    ("rate", "fps", "total", "expected"),
    [  # what FiftyOne 1.x answers
        (29.97, 2, 60, [1, 16, 31, 46]),
        (29.97, 10, 12, [1, 4, 7, 10]),
        (25, 2, 40, [1, 14, 26, 38]),
        (30, 30, 3, [1, 2, 3]),
        (30, 60, 3, [1, 2, 3]),
        (12.5, 0.5, 60, [1, 26, 51]),
    ],
)
def test_fps_gives_the_numbers_of_fiftyone(rate, fps, total, expected):
    assert chosen(FrameChoice(fps=fps), rate, total) == expected


@given(st.floats(1, 120), st.floats(0.1, 130), st.integers(1, 50), st.integers(0, 300))
def test_fps_is_fiftyones_rule(rate, fps, first, length):
    last = first + length
    found = chosen(FrameChoice(fps=fps), rate, spans=[(first, last)])
    assert found == as_fiftyone_does(rate, first, last, fps)


def test_stride():
    assert chosen(FrameChoice(stride=3), total=10) == [1, 4, 7, 10]


def test_numbers_are_made_as_they_are_asked_for():
    assert list(islice(FrameChoice(stride=1000).numbers(30, None), 3)) == [1, 1001, 2001]


def test_spans_begin_anew_and_may_overlap():
    spans = [(20, 26), (5, 9), (8, 12), (-3, 2), (40, 30)]
    assert chosen(FrameChoice(stride=3), spans=spans) == [1, 5, 8, 11, 20, 23, 26]
    assert chosen(FrameChoice(), total=21, spans=[(20, 26)]) == [20, 21]
    assert chosen(FrameChoice(), total=21, spans=[]) == []


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=6),
    st.sampled_from([FrameChoice(), FrameChoice(stride=4), FrameChoice(fps=7)]),
    st.integers(1, 12),
)
def test_numbers_increase_and_lie_in_the_spans(spans, choice, at_most):
    everything = chosen(choice, spans=spans)
    assert everything == sorted(set(everything))
    assert all(any(first <= one <= last for first, last in spans) for one in everything)
    fewer = chosen(FrameChoice(**{**choice.to_dict(), "max_frames": at_most}), spans=spans)
    assert len(fewer) == min(at_most, len(everything))
    assert set(fewer) <= set(everything)
    assert fewer == sorted(fewer)


def test_at_most_so_many_spread_evenly():
    assert chosen(FrameChoice(max_frames=4), total=100) == [13, 38, 63, 88]
    assert chosen(FrameChoice(max_frames=1), total=101) == [51]
    assert chosen(FrameChoice(stride=10, max_frames=3), total=100) == [11, 51, 81]


@given(st.integers(1, 200), st.integers(1, 50))
def test_parts_are_equal(n, at_most):
    found = list(spread(iter(range(n)), n, at_most))
    assert len(found) == min(n, at_most)
    gaps = {after - before for before, after in pairwise(found)}
    assert max(gaps, default=0) - min(gaps, default=0) <= 1


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"fps": 2, "stride": 3}, "stride"),
        ({"fps": 2, "key_frames": True}, "key_frames"),
        ({"stride": 2, "key_frames": True}, "key_frames"),
    ],
)
def test_one_way_to_choose(settings, named):
    with pytest.raises(SettingsError, match="cannot be combined") as caught:
        FrameChoice(**settings)
    assert caught.value.argument == named


@pytest.mark.parametrize("settings", [{"fps": 0}, {"fps": -1}, {"stride": 0}, {"max_frames": 0}])
def test_bounds(settings):
    with pytest.raises(SettingsError, match=r"must be at least"):
        FrameChoice(**settings)


def test_what_numbers_cannot_say():
    with pytest.raises(ValueError, match="decoder"):
        chosen(FrameChoice(key_frames=True), total=9)
    with pytest.raises(ValueError, match="total"):
        chosen(FrameChoice(max_frames=3))

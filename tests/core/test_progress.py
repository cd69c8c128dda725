import io

import pytest

from uvl_plugin.core.errors import Cancelled
from uvl_plugin.core.progress import Pace, part, shown


class Record(list):
    """Keeps what was reported."""

    def __call__(self, fraction, message):
        self.append((fraction, message))


def test_progress_never_goes_back_nor_beyond_the_end():
    record = Record()
    with shown(record, "work") as progress:
        for fraction in (0.0, 0.5, 0.2, 1.7):
            progress(fraction, f"at {fraction}")
    assert record == [(0.0, "at 0.0"), (0.5, "at 0.5"), (0.5, "at 0.2"), (1.0, "at 1.7")]


def test_a_part_takes_its_share_of_the_whole():
    record = Record()
    stage = part(record, 0.5, 0.9)
    stage(0.0, "a")
    stage(0.25)
    part(stage, 0.5, 1.0)(1.0, "c")
    assert record == [(0.5, "a"), (pytest.approx(0.6), ""), (pytest.approx(0.9), "c")]


def test_true_shows_a_bar_with_title_and_message(capsys):
    with shown(True, "Embedding") as progress:
        progress(0.5, "12 of 24")
        progress(1.0, "done")
    shown_text = capsys.readouterr().err
    assert "Embedding: 100%" in shown_text
    assert "done" in shown_text


@pytest.mark.parametrize("silence", [False, None])
def test_false_is_silent_and_so_is_none_without_a_terminal(silence, capsys):
    with shown(silence, "Embedding") as progress:
        progress(1.0, "done")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("choice", "seen"), [(None, True), (False, False)])
def test_none_shows_a_bar_in_a_terminal(choice, seen, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    with shown(choice, "Embedding") as progress:
        progress(1.0, "done")
    assert ("Embedding: 100%" in terminal.getvalue()) is seen


def test_a_callback_cancels_through_all_stages():
    def stop(fraction, message):
        raise Cancelled("stopped by the user")

    with pytest.raises(Cancelled, match="stopped"), shown(stop, "work") as progress:
        part(progress, 0.0, 0.5)(0.1, "first step")


class Clock:
    """Seconds that pass when a test says so."""

    now = 100.0

    def __call__(self):
        return self.now


def test_pace_tells_the_rate_and_the_time_left():
    clock = Clock()
    pace = Pace(10_000, clock)
    assert pace.said(0) == "0 of 10,000"
    clock.now += 2
    assert pace.said(1000) == "1,000 of 10,000, 500.0/s, 0:18 left"


def test_pace_forgets_how_fast_it_was_long_ago():
    clock = Clock()
    pace, done = Pace(1_000_000, clock), 0
    for rate in [1000] * 60 + [10] * 60:
        clock.now += 1
        done += rate
        said = pace.said(done)
    assert ", 10.0/s, " in said


@pytest.mark.parametrize(("left", "said"), [(59, "0:59"), (600, "10:00"), (90_000, "25:00:00")])
def test_pace_shows_hours_where_there_are_some(left, said):
    clock = Clock()
    pace = Pace(left + 1, clock)
    clock.now += 1
    assert pace.said(1) == f"1 of {left + 1:,}, 1.0/s, {said} left"

import io

import pytest

from uvl_plugin.core.errors import Cancelled
from uvl_plugin.core.progress import part, shown


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

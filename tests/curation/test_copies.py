import os

import pytest

from uvl_plugin.core.errors import Cancelled, SettingsError
from uvl_plugin.curation import copies
from uvl_plugin.curation.copies import exact_copies


@pytest.fixture
def file(tmp_path):
    """Writes a file and returns its path."""

    def write(name, content) -> str:
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("chunk", [3, 2**20])
def test_same_content_is_found_whatever_the_name_and_the_first_is_the_original(
    threads, chunk, file, monkeypatch
):
    monkeypatch.setattr(copies, "_CHUNK", chunk)
    monkeypatch.setattr(copies, "_BATCH", 2)
    paths = {
        "z": file("1.jpg", b"0123456789"),
        "y": file("2.jpg", b"0123456780"),  # same size and start
        "b": file("3.png", b"0123456789"),
        "x": file("4.jpg", b"0123"),
        "a": file("5.jpg", b"0123456789"),
        "c": file("6.jpg", b"0123456780"),
    }
    found, failures = exact_copies(paths, threads=threads)
    assert list(found.items()) == [("b", "z"), ("a", "z"), ("c", "y")]
    assert failures == {}


def test_links_are_copies_and_nothing_is_read_for_them(file, tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "_digest", pytest.fail)
    paths = {"a": file("a.jpg", b"picture"), "other": file("b.jpg", b"another size")}
    for name, link in {"soft": os.symlink, "hard": os.link}.items():
        paths[name] = str(tmp_path / name)
        link(paths["a"], paths[name])
    paths["again"] = paths["a"]
    found, _ = exact_copies(paths)
    assert found == {"soft": "a", "hard": "a", "again": "a"}


def test_files_that_cannot_be_read_are_named_with_the_reason(file, tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    os.symlink(tmp_path / "nowhere", tmp_path / "broken")
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    paths = {
        "gone": str(tmp_path / "gone.jpg"),
        "one": file("1.jpg", b"same"),
        "pipe": str(tmp_path / "pipe"),
        "folder": str(tmp_path),
        "empty": file("2.jpg", b""),
        "hollow": file("3.jpg", b""),
        "broken": str(tmp_path / "broken"),
        "loop": str(tmp_path / "loop"),
        "nul": "a\0b",
        "two": file("4.jpg", b"same"),
    }
    found, failures = exact_copies(paths)
    assert found == {"two": "one"}
    assert list(failures) == [
        "gone", "pipe", "folder", "empty", "hollow", "broken", "loop", "nul",
    ]  # fmt: skip
    assert failures["gone"] == failures["broken"] == "No such file or directory"
    assert failures["pipe"] == failures["folder"] == "not a regular file"
    assert failures["empty"] == "empty file"
    assert all(failures.values())


def test_a_file_that_fails_while_it_is_read_fails_for_all_its_links(file, monkeypatch):
    bad = file("bad.jpg", b"same size")
    paths = {"one": file("1.jpg", b"same size"), "a": bad, "b": bad, "two": file("2", b"same size")}
    digest = copies._digest

    def broken(path):
        if path == bad:
            raise OSError(5, "Input/output error", path)
        return digest(path)

    monkeypatch.setattr(copies, "_digest", broken)
    found, failures = exact_copies(paths)
    assert found == {"two": "one"}
    assert failures == {"a": "Input/output error", "b": "Input/output error"}


def test_no_files():
    said = []
    assert exact_copies({}, lambda share, message: said.append(share)) == ({}, {})
    assert said[-1] == 1.0


def test_progress_goes_on_to_1_and_stops_the_work(file, monkeypatch):
    monkeypatch.setattr(copies, "_BATCH", 1)
    paths = {str(number): file(str(number), b"x") for number in range(5)}
    said = []
    exact_copies(paths, lambda share, message: said.append(share))
    assert said == sorted(said)
    assert len(said) >= 10
    assert said[-1] == 1.0

    def stop(share, message):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        exact_copies(paths, stop)


def test_there_must_be_a_thread():
    with pytest.raises(SettingsError, match="at least 1"):
        exact_copies({}, threads=0)

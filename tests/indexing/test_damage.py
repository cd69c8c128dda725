"""Files that are missing, damaged or of something else are said by name, and never answered from."""

import json
import shutil

import numpy as np
import pytest

from tests.indexing.made import clustered, content, made, names
from uvl_plugin.core.errors import BrokenIndexError
from uvl_plugin.indexing import files, segment
from uvl_plugin.indexing.index import VectorIndex

N, DIM = 3000, 32
FILES = ["vectors", "lengths", "ids", "order", "owners", segment.STRUCTURE, "rows"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of an index that has every file there can be, and another one like it."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "_SCANNED", 500)
        for number, name in enumerate(["index", "other"]):
            ids = np.random.default_rng(number).permutation(names(N))
            pages = [(ids, clustered(N, DIM, seed=number), ids[::-1])]
            index = VectorIndex.create(folder / name, pages, kind="sq8")
            index.remove(names(10, start=20 * number))
    return folder


@pytest.fixture
def index(whole, tmp_path):
    return VectorIndex(shutil.copytree(whole / "index", tmp_path / "index"))


def path_of(index: VectorIndex, name: str):
    (found,) = index.folder.glob(f"*/{name}")
    return found


def flip(path, position: int) -> None:
    """Turns one bit of a byte."""
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 4]))


def refuses(index: VectorIndex, *said: str) -> None:
    """Every way into a damaged index ends with the same error, and leaves all as it was."""
    before = {path.name for path in index.folder.iterdir()}
    for ask in (
        lambda: VectorIndex(index.folder).snapshot(),
        lambda: VectorIndex(index.folder).add(names(1), np.ones((1, DIM)), names(1)),
        lambda: VectorIndex(index.folder).remove(names(1)),
        lambda: VectorIndex(index.folder).rebuild(),
        lambda: VectorIndex(index.folder).verify(),
    ):
        with pytest.raises(BrokenIndexError) as error:
            ask()
        assert all(words in str(error.value) for words in said), str(error.value)
    assert {path.name for path in index.folder.iterdir()} == before
    made(index.folder, clustered(50, DIM))  # it can be built anew
    assert len(VectorIndex(index.folder).snapshot()) == 50
    index.verify()


@pytest.mark.parametrize("name", FILES)
class TestEachFile:
    def test_missing(self, index, name):
        path = path_of(index, name)
        path.unlink()
        refuses(index, f"'{path}' is missing.")

    def test_truncated(self, index, name):
        path = path_of(index, name)
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.truncate(size - 1)
        refuses(index, f"'{path}' has {size - 1:,} bytes instead of {size:,}")

    def test_empty(self, index, name):
        path = path_of(index, name)
        path.write_bytes(b"")
        refuses(index, f"'{path}' has 0 bytes")

    def test_of_another_index(self, index, whole, name):
        path = path_of(index, name)
        shutil.copyfile(path_of(VectorIndex(whole / "other"), name), path)
        refuses(index, f"'{path}' ")

    @pytest.mark.parametrize("place", [0, 40, -1])
    def test_a_bit_at_either_end(self, index, name, place):
        path = path_of(index, name)
        flip(path, place % path.stat().st_size)
        refuses(index, f"'{path}' is not what was written: its checksum differs.")


def test_a_bit_anywhere_is_found_by_verify(index):
    path = path_of(index, "vectors")
    middle = path.stat().st_size // 2
    assert middle > files._ENDS  # opening does not read it
    flip(path, middle)
    assert len(index.snapshot()) == N - 10
    with pytest.raises(BrokenIndexError, match=f"'{path}' is not what was written"):
        index.verify()


def test_a_structure_that_faiss_cannot_read(index, monkeypatch):
    path = path_of(index, segment.STRUCTURE)
    path.write_bytes(b"none of FAISS" * 1000)
    monkeypatch.setattr(segment, "check", lambda path, expected: None)
    with pytest.raises(BrokenIndexError, match=f"'{path}' cannot be read"):
        index.snapshot()


def test_a_folder_that_is_gone(index):
    shutil.rmtree(path_of(index, "vectors").parent)
    refuses(index, "is missing.")


def changed(manifest: dict, **values) -> bytes:
    """A manifest with a checksum that fits."""
    return json.dumps(manifest | values | {"checksum": files._checksum(manifest | values)}).encode()


class TestManifest:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (b"", "is damaged or not of an index"),
            (b"{", "is damaged or not of an index"),
            (b"[1, 2]", "is damaged or not of an index"),
            (b"7", "is damaged or not of an index"),
            (b"{}", "is damaged or not of an index"),
            (b"\xff\xfe\x00garbage", "is damaged or not of an index"),
            (b'{"checksum": "0"}', "its checksum differs"),
        ],
    )
    def test_that_is_none(self, index, text, said):
        path = index.folder / "index.json"
        path.write_bytes(text)
        refuses(index, f"'{path}'", said)

    def test_every_bit_of_it_counts(self, index):
        path = index.folder / "index.json"
        text, said = path.read_bytes(), set()
        for position in range(0, len(text), 37):
            damaged = bytearray(text)
            damaged[position] ^= 1
            if damaged[position : position + 1].isspace():
                continue
            path.write_bytes(damaged)
            with pytest.raises(BrokenIndexError) as error:
                VectorIndex(index.folder).snapshot()
            said.add(str(error.value)[:40])
        assert said

    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ({"version": 2}, "was written by a later version of the plugin (format 2"),
            ({"format": "other"}, "is not of an index"),
            ({"kind": "lsh"}, "There is no kind of index 'lsh'"),
            ({"kind_settings": {"new": 1}}, "has no setting 'new'"),
        ],
    )
    def test_of_another_version(self, index, values, said):
        manifest = index.manifest
        (index.folder / "index.json").write_bytes(changed(manifest, **values))
        with pytest.raises(BrokenIndexError) as error:
            index.snapshot()
        assert said in str(error.value)
        assert str(index.folder) in str(error.value)

    def test_of_a_later_version_stays_until_another_is_whole(self, index):
        path = index.folder / "index.json"
        path.write_bytes(changed(index.manifest, version=2))
        before = {file.name for file in index.folder.iterdir()}

        def pages():
            yield names(5), clustered(5, DIM), None
            raise RuntimeError("the database went away")

        with pytest.raises(RuntimeError, match="went away"):
            VectorIndex.create(index.folder, pages())
        assert {file.name for file in index.folder.iterdir()} == before


def test_what_was_left_by_a_crash_goes_with_the_next_write(index):
    left = index.folder / "segment-00000009-0123abcd.partial"
    left.mkdir()
    (left / "vectors").write_bytes(b"half")
    (index.folder / "gone-00000009-0123abcd").mkdir()
    (index.folder / "index.json.partial").write_text("{")
    before = content(index)
    assert index.remove(names(1, 2999)) == 1
    assert len(content(index)) == len(before) - 1
    named = {
        part["name"] for entry in index.manifest["segments"] for part in (entry, entry["gone"])
    }
    assert {path.name for path in index.folder.iterdir()} == named | {"index.json", ".lock"}


@pytest.mark.parametrize("there_is_one", [True, False])
def test_what_was_left_goes_before_another_is_built(there_is_one, tmp_path):
    if there_is_one:
        made(tmp_path, clustered(50, DIM))
    left = tmp_path / "segment-00000009-0123abcd"
    left.mkdir()

    def pages():
        assert not left.exists()  # it may take the room that the new one needs
        yield names(5), clustered(5, DIM), None

    assert len(VectorIndex.create(tmp_path, pages()).snapshot()) == 5

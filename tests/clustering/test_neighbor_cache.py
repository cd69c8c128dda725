import os

import numpy as np
import pytest

from uvl_plugin.clustering import neighbor_cache
from uvl_plugin.clustering.neighbor_cache import folder, key_of, read, write

SHAPE = (50, 4)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(neighbor_cache.FOLDER, str(tmp_path))


@pytest.fixture
def graph():
    random = np.random.default_rng(0)
    return random.integers(50, size=SHAPE), random.random(SHAPE, np.float32)


def test_what_is_written_is_read(graph):
    assert read("key", SHAPE) is None
    write("key", *graph)
    indices, distances = read("key", SHAPE)
    assert (indices.dtype, distances.dtype) == (np.int64, np.float32)
    assert (indices == graph[0]).all()
    assert (distances == graph[1]).all()
    assert [path.name for path in folder().iterdir()] == ["key.npz"]


def test_the_folder_is_the_users_unless_one_is_named(monkeypatch):
    assert folder().name == "neighbors"
    monkeypatch.delenv(neighbor_cache.FOLDER)
    assert folder().parts[-3:] == (".uvl", "cache", "neighbors")


def test_a_key_names_the_numbers_their_order_and_k(monkeypatch):
    vectors = np.random.default_rng(0).random((30, 4), np.float32)
    changed = vectors.copy()
    changed[29, 3] += 1e-6
    others = [changed, vectors[::-1], vectors[:29], vectors.reshape(40, 3), vectors.astype(float)]
    keys = {key_of(vectors, 5), key_of(vectors, 6), *(key_of(other, 5) for other in others)}
    assert len(keys) == 7
    monkeypatch.setattr(neighbor_cache, "_ROWS", 7)
    assert key_of(vectors.copy(), 5) in keys


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text", "pickle", "shape"])
def test_a_damaged_file_is_ignored_and_written_anew(graph, damage):
    write("key", *graph)
    path = folder() / "key.npz"
    whole = path.read_bytes()
    if damage == "pickle":
        np.savez(path, indices=np.array([{}]), distances=np.array([{}]))
    elif damage == "shape":
        np.savez(path, indices=graph[0][:9], distances=graph[1][:9])
    else:
        flipped = whole[:400] + bytes([whole[400] ^ 1]) + whole[401:]
        kinds = {"cut": whole[:-300], "flipped": flipped, "empty": b"", "text": b"not a graph"}
        path.write_bytes(kinds[damage])
    assert read("key", SHAPE) is None
    write("key", *graph)
    assert (read("key", SHAPE)[1] == graph[1]).all()


def test_those_used_longest_ago_go_first(graph, monkeypatch):
    size = 0
    for number, key in enumerate(("first", "second", "third")):
        write(key, *graph)
        path = folder() / f"{key}.npz"
        size = path.stat().st_size
        os.utime(path, (number, number))
    read("first", SHAPE)  # used, so it is the newest now
    monkeypatch.setattr(neighbor_cache, "_MOST_BYTES", 3 * size)
    write("fourth", *graph)
    assert {path.stem for path in folder().iterdir()} == {"first", "third", "fourth"}


def test_a_graph_that_alone_is_too_large_is_not_kept(graph, monkeypatch):
    monkeypatch.setattr(neighbor_cache, "_MOST_BYTES", 100)
    write("key", *graph)
    assert not folder().exists()


def test_a_folder_that_cannot_be_written_is_no_error(graph, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(neighbor_cache.FOLDER, str(tmp_path / "file"))
    write("key", *graph)
    assert "cannot be kept" in caplog.text
    assert read("key", SHAPE) is None


def test_a_failure_while_writing_leaves_nothing(graph, monkeypatch):
    def fail(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(KeyboardInterrupt):
        write("key", *graph)
    assert list(folder().iterdir()) == []

"""What is picked, by the number of vectors and the memory, and what is said of it."""

import numpy as np
import pytest

from tests.indexing.made import clustered, made, names
from uvl_plugin.core.errors import SettingsError
from uvl_plugin.indexing import auto
from uvl_plugin.indexing.auto import resolve_kind, suitable_kind
from uvl_plugin.indexing.index import VectorIndex
from uvl_plugin.indexing.kind import index_kinds
from uvl_plugin.indexing.kinds.flat import Flat
from uvl_plugin.indexing.kinds.ivf import IVF


@pytest.fixture
def memory(monkeypatch):
    """Sets how many bytes are free."""
    return lambda free: monkeypatch.setattr(auto, "free_memory", lambda: free)


@pytest.mark.parametrize(
    ("n", "free", "name", "said"),
    [
        (1, 1e9, "flat", "1 vectors are few enough"),
        (50_000, 1e9, "flat", "50,000 vectors are few enough to compare with all"),
        (50_001, 1e9, "ivf", "50,001 vectors are too many to compare with all"),
        (1_000_000, 4e9, "ivf", "fit in memory"),
        (1_000_000, 1e9, "ivf_pq", "take 0.5 GB, and 0.5 GB are free"),
        (100_000_000, 24e9, "ivf_pq", "100,000,000 vectors take 52.0 GB, and 12.0 GB are free"),
        (10_000_000, float("inf"), "ivf", "fit in memory"),
    ],
)
def test_picks_by_size_and_memory(n, free, name, said, memory):
    memory(free)
    kind, why = suitable_kind(n, 512)
    assert kind.name == name
    assert said in why


def test_the_index_says_what_was_picked(tmp_path, memory):
    memory(1e9)
    index = made(tmp_path, clustered(100))
    assert index.manifest["asked"] == "auto"
    assert index.manifest["kind"] == "flat"
    assert "100 vectors are few enough" in index.manifest["why"]


def test_it_is_picked_again_as_the_index_grows(tmp_path, monkeypatch):
    monkeypatch.setattr(auto, "_SCANNED", 200)
    monkeypatch.setattr("uvl_plugin.indexing.index._FEW", 100)
    index = made(tmp_path, clustered(150))
    assert index.manifest["kind"] == "flat"
    index.add(names(101, 1000), clustered(101, seed=1))
    assert index.manifest["kind"] == "ivf"
    assert "251 vectors" in index.manifest["why"]
    index.remove(names(101, 1000))
    assert index.manifest["kind"] == "flat"


def test_a_kind_that_was_asked_for_stays_with_its_settings(tmp_path, monkeypatch):
    monkeypatch.setattr("uvl_plugin.indexing.index._FEW", 10)
    index = made(tmp_path, clustered(30), kind=IVF(lists=3, seed=5))
    index.add(names(30, 1000), clustered(30))
    index.rebuild()
    manifest = VectorIndex(tmp_path).manifest
    assert manifest["kind"] == manifest["asked"] == "ivf"
    assert IVF.from_dict(manifest["kind_settings"]) == IVF(lists=3, seed=5)
    assert manifest["why"] == "asked for"


def test_names_and_kinds():
    assert resolve_kind("auto") is None
    assert resolve_kind("flat") == Flat()
    assert resolve_kind(IVF(lists=7)) == IVF(lists=7)
    with pytest.raises(SettingsError, match="such as"):
        resolve_kind(None)


@pytest.mark.parametrize("name", [name for name in index_kinds.names() if name != "flat"])
def test_bytes_are_about_those_on_disk(name, tmp_path, monkeypatch):
    monkeypatch.setattr("uvl_plugin.indexing.segment._SCANNED", 1000)
    kind = index_kinds[name](lists=10) if "ivf" in name else index_kinds[name]()
    sizes = []
    for n in (2000, 4000):  # ranges, lists and codebooks take the same for any number of vectors
        vectors = np.tile(clustered(n, 16), (1, 4)) + clustered(n, 64, seed=3)
        files = made(tmp_path / str(n), vectors, kind=kind).manifest["segments"][0]["files"]
        sizes.append(files["structure.faiss"]["bytes"])
    assert kind.bytes_for(2000, 64) == pytest.approx(sizes[1] - sizes[0], rel=0.15)

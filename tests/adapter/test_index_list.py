import numpy as np
import pytest

import uvl_plugin as uvl
from uvl_plugin import cli
from uvl_plugin.adapter.index_list import delete_unused, stored_indexes


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UVL_INDEXES", str(tmp_path / "indexes"))
    return tmp_path / "indexes"


@pytest.fixture
def indexed(make_dataset, folder):
    """Two datasets with an index each."""
    made = []
    for _ in range(2):
        dataset = make_dataset([f"{number}.png" for number in range(20)])
        vectors = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
        dataset.set_values(
            "emb", dict(zip(dataset.values("id"), vectors, strict=True)), key_field="id"
        )
        uvl.index(dataset, embeddings="emb", brain_key="sim")
        made.append(dataset)
    return made


def test_the_users_of_each_index_are_named(indexed, folder):
    used = {each.used_by for each in stored_indexes()}
    assert used == {(f"{dataset.name}, sim",) for dataset in indexed}
    assert all(each.folder.parent == folder and each.n_bytes > 640 for each in stored_indexes())


def test_only_what_nobody_uses_is_deleted(indexed, folder, capsys):
    kept, gone = indexed
    gone.delete()
    (folder / "of something else").mkdir()
    unused = [each for each in stored_indexes() if not each.used_by]
    assert len(unused) == 1
    assert cli.main(["indexes"]) == 0
    assert "not used in this database" in capsys.readouterr().out
    assert [each.folder for each in delete_unused()] == [unused[0].folder]
    assert not unused[0].folder.exists()
    assert (folder / "of something else").exists()
    assert len(kept.sort_by_similarity(kept.first().id, k=3, brain_key="sim")) == 3
    assert delete_unused() == []


def test_no_folder_is_no_index(tmp_path, monkeypatch):
    monkeypatch.setenv("UVL_INDEXES", str(tmp_path / "nowhere"))
    assert stored_indexes() == []

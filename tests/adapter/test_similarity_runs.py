"""The files of indexes of the backend "faiss": with the brain run they come, stay and go."""

import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path

import fiftyone as fo
import fiftyone.core.odm as foo
import numpy as np
import pytest

import uvl_plugin as uvl
from tests.adapter.similar import add_vectors, by_id, ranked, similarity, vectors_of
from tests.private_database import REPOSITORY
from uvl_plugin.adapter.index_files import files_of, indexes_folder, recorded_id, shared
from uvl_plugin.adapter.similarity_faiss import FaissSimilarityIndex

FEW = 8


@pytest.fixture
def dataset(make_dataset):
    return add_vectors(make_dataset([f"{number}.png" for number in range(FEW)]))


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UVL_INDEXES", str(tmp_path / "indexes"))


def folders():
    return {path.name for path in indexes_folder().glob("*")}


def loaded(dataset, brain_key="sim"):
    """As a new process would load it."""
    return dataset.load_brain_results(brain_key, cache=False)


def test_the_files_go_with_the_brain_run(dataset):
    index = similarity(dataset)
    assert folders() == {index.config.index_id}
    assert Path(index.description["folder"]).parent == indexes_folder()
    dataset.delete_brain_run("sim")
    assert folders() == set()
    assert dataset.has_field("emb")


def test_an_index_without_a_key_goes_with_its_object(dataset):
    index = similarity(dataset, brain_key=None)
    folder = Path(index.description["folder"])
    assert folder.is_dir()
    assert folders() == set()
    index.remove_from_index(sample_ids=dataset.values("id")[:2])
    assert index.total_index_size == FEW - 2
    del index
    gc.collect()
    assert not folder.exists()


def test_cleanup_removes_the_files(dataset):
    index = similarity(dataset)
    index.cleanup()
    assert folders() == set()
    dataset.delete_brain_run("sim")
    temporary = similarity(dataset, brain_key=None)
    temporary.cleanup()
    with pytest.raises(uvl.BrokenIndexError):
        _ = temporary.total_index_size


def test_a_failed_computation_is_removed_with_its_key(dataset):
    dataset.set_values("emb", {dataset.first().id: np.ones(3)}, key_field="id")
    with pytest.raises(uvl.DataError, match="vectors of different shapes"):
        similarity(dataset)
    assert dataset.list_brain_runs() == ["sim"]  # FiftyOne registers it before it computes
    with pytest.raises(uvl.BrokenIndexError, match="There is no index in"):
        files_of(dataset.get_brain_info("sim").config.index_id).snapshot()
    dataset.delete_brain_run("sim")
    with pytest.raises(uvl.DataError, match="vectors of different shapes"):
        uvl.index(dataset, embeddings="emb", brain_key="sim")
    assert dataset.list_brain_runs() == []
    assert not any(path.is_dir() for path in indexes_folder().glob("*/*"))


def test_a_renamed_run_and_dataset_keep_their_index(dataset):
    index = similarity(dataset)
    dataset.rename_brain_run("sim", "other")
    dataset.name = f"{dataset.name}-renamed"
    query = dataset.first().id
    for found in (index, loaded(dataset, "other")):
        assert found.key == "other"
        assert len(found.sort_by_similarity(query, k=3)) == 3
    index.add_to_index(np.ones((1, 6)), [query])
    assert loaded(dataset, "other").get_embeddings(sample_ids=query)[0].tolist() == [[1.0] * 6]
    assert len(folders()) == 1


def test_a_clone_shares_the_files_until_it_writes(dataset):
    index = similarity(dataset)
    clone = dataset.clone()
    copy = loaded(clone)
    assert copy.config.index_id == index.config.index_id
    assert shared(index.config.index_id)
    query = dataset.first().id
    assert clone.sort_by_similarity(query, k=4, brain_key="sim").values("id") == (
        dataset.sort_by_similarity(query, k=4, brain_key="sim").values("id")
    )
    copy.remove_from_index(sample_ids=[query])
    assert (copy.total_index_size, index.total_index_size) == (FEW - 1, FEW)
    assert len(folders()) == 2
    assert query in by_id(dataset)
    assert query not in by_id(clone)
    assert loaded(clone).total_index_size == FEW - 1
    index.add_to_index(np.ones((1, 6)), [query])
    assert query not in loaded(clone).sample_ids
    clone.delete()


def test_a_clone_in_which_nothing_is_new_keeps_sharing(dataset):
    index = similarity(dataset)
    clone = dataset.clone()
    assert loaded(clone).sync().n_removed == 0
    assert loaded(clone).config.index_id == index.config.index_id
    clone.delete_samples(clone.values("id")[:1])
    assert loaded(clone).sync().n_removed == 1
    assert (loaded(clone).total_index_size, index.total_index_size) == (FEW - 1, FEW)
    clone.delete()


@pytest.mark.parametrize("who", ["clone", "original"])
@pytest.mark.parametrize("how", ["run", "dataset"])
def test_either_of_two_clones_can_go(dataset, who, how):
    similarity(dataset)
    clone = dataset.clone()
    goes, stays = (clone, dataset) if who == "clone" else (dataset, clone)
    if how == "run":
        goes.delete_brain_run("sim")
    else:
        goes.delete()
    assert loaded(stays).verify() is None
    assert len(stays.sort_by_similarity(stays.first().id, k=3, brain_key="sim")) == 3
    stays.delete_brain_run("sim")
    assert folders() == set()
    if who == "original" or how == "run":
        clone.delete()


def test_a_clone_that_was_loaded_before_it_got_its_own_files_follows(dataset):
    """Else it would write into the files of the original."""
    index = similarity(dataset)
    clone = dataset.clone()
    one, two = loaded(clone), loaded(clone)
    ids = dataset.values("id")
    one.remove_from_index(sample_ids=ids[:1])
    two.remove_from_index(sample_ids=ids[1:2])
    assert loaded(clone).sample_ids.tolist() == ids[2:]
    assert index.sample_ids.tolist() == ids
    one.reload()
    assert one.total_index_size == two.total_index_size == FEW - 2
    assert recorded_id(clone, "sim") == one.config.index_id != index.config.index_id
    clone.delete()


def without_files(folder):
    shutil.rmtree(folder)


def cut_short(folder):
    os.truncate(next(folder.glob("*/vectors")), 10)


def not_json(folder):
    (folder / "index.json").write_text("{")


@pytest.mark.parametrize("harm", [without_files, cut_short, not_json])
@pytest.mark.parametrize("cloned", [False, True])
def test_files_that_cannot_be_used_say_how_to_mend_them(dataset, harm, cloned):
    expected = similarity(dataset).sort_by_similarity(dataset.first().id).values("id")
    clone = dataset.clone() if cloned else None
    harm(indexes_folder() / dataset.get_brain_info("sim").config.index_id)
    way = (
        r"'sim' cannot be used\. .*\. Make it again from 'emb': .*dataset.load_brain_results\('sim'"
    )
    index = loaded(dataset)
    for ask in (
        lambda: dataset.sort_by_similarity(dataset.first().id, k=3, brain_key="sim"),
        lambda: index.total_index_size,
        lambda: index.add_to_index(np.ones((1, 6)), dataset.values("id")[:1]),
        lambda: index.sync(),
        lambda: index.verify(),
        lambda: index.description,
    ):
        dataset.clear_cache()
        with pytest.raises(uvl.BrokenIndexError, match=way):
            ask()
    loaded(dataset).rebuild()
    found = dataset.sort_by_similarity(dataset.first().id, brain_key="sim")
    assert found.values("id") == expected
    assert loaded(dataset).verify() is None
    if clone:
        clone.delete()


def test_without_a_field_the_way_out_is_to_compute_again(dataset):
    index = similarity(dataset, embeddings=vectors_of(FEW))
    cut_short(Path(index.description["folder"]))
    with pytest.raises(uvl.BrokenIndexError, match="Delete the brain run and compute similarity"):
        _ = loaded(dataset).total_index_size
    with pytest.raises(uvl.DataError, match="delete the brain run and compute similarity again"):
        loaded(dataset).rebuild()
    dataset.delete_brain_run("sim")
    assert similarity(dataset, embeddings=vectors_of(FEW)).total_index_size == FEW


def test_verify_reads_every_byte(dataset):
    index = similarity(dataset)
    file = next(Path(index.description["folder"]).glob("*/vectors"))
    content = bytearray(file.read_bytes())
    content[7] ^= 1
    file.write_bytes(content)
    with pytest.raises(uvl.BrokenIndexError, match="vectors.*rebuild"):
        index.verify()


@pytest.mark.parametrize("index_id", ["../../x", "a" * 31 + "/", "A" * 32])
def test_a_record_that_names_another_place_is_refused(dataset, index_id, tmp_path):
    """Records come from elsewhere too: with an imported dataset."""
    victim = tmp_path / "x"
    victim.mkdir()
    index = similarity(dataset)
    index.config.index_id = index_id
    index.save_config()
    dataset.clear_cache()
    with pytest.raises(uvl.BrokenIndexError, match=f"'{index_id}' cannot be the id of an index"):
        loaded(dataset)
    dataset.delete_brain_run("sim")
    assert dataset.list_brain_runs() == []
    assert victim.is_dir()


ADDS = """
import sys
import fiftyone as fo
import numpy as np

dataset = fo.load_dataset(sys.argv[1])
index = dataset.load_brain_results("sim")
index.add_to_index(np.full((1, 6), 9.0), dataset.values("id")[:1])
index.remove_from_index(sample_ids=dataset.values("id")[1:2])
print("size", index.total_index_size)
"""


def in_another_process(script, dataset):
    environment = os.environ | {
        "FIFTYONE_DATABASE_URI": fo.config.database_uri,
        "FIFTYONE_DATABASE_NAME": fo.config.database_name,
    }
    done = subprocess.run(
        [sys.executable, "-c", script, dataset.name],
        capture_output=True, text=True, check=False, env=environment, cwd=REPOSITORY,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_another_process_writes_is_found_by_the_next_query(dataset):
    index = similarity(dataset)
    ids = dataset.values("id")
    index.use_view(dataset.limit(4))
    assert index.index_size == 4
    assert "size 7" in in_another_process(ADDS, dataset)
    assert index.total_index_size == FEW - 1
    assert (index.index_size, index.missing_size) == (3, 1)
    assert index.sort_by_similarity(np.full(6, 9.0), k=1).values("id") == ids[:1]
    assert ids[1] not in index._kneighbors(query=np.full(6, 9.0))[0]


def test_a_loaded_index_is_the_same_and_names_nothing_of_this_machine(dataset):
    index = similarity(dataset, metric="euclidean")
    again = loaded(dataset)
    assert type(again) is FaissSimilarityIndex
    assert again.config.serialize() == index.config.serialize()
    assert again.description == index.description
    record = foo.get_db_conn()["runs"].find_one({"_dataset_id": dataset._doc.id})
    assert str(indexes_folder()) not in str(record)
    query = vectors_of(1, 5)[0]
    expected, _ = ranked(by_id(dataset), query, "euclidean")
    assert again.sort_by_similarity(query, k=5).values("id") == expected[:5]

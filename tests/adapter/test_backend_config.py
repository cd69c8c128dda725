import json
import subprocess
import sys

import pytest

from tests.private_database import REPOSITORY
from uvl_plugin.adapter import backend_config, doctor
from uvl_plugin.core.errors import DataError


@pytest.fixture
def path(tmp_path, monkeypatch):
    path = tmp_path / "own" / "brain_config.json"
    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(path))
    return path


def test_the_backend_is_added_once_and_the_rest_stays(path):
    path.parent.mkdir()
    theirs = {
        "default_similarity_backend": "sklearn",
        "similarity_backends": {"qdrant": {"url": "u"}},
    }
    path.write_text(json.dumps(theirs))
    assert not backend_config.is_known()
    assert backend_config.make_known() == path
    assert backend_config.make_known() is None
    written = json.loads(path.read_text())
    assert written["default_similarity_backend"] == "sklearn"
    assert written["similarity_backends"]["qdrant"] == {"url": "u"}
    assert written["similarity_backends"]["faiss"] == {"config_cls": backend_config.CONFIG_CLASS}


def test_settings_of_the_backend_stay(path):
    path.parent.mkdir()
    path.write_text(json.dumps({"similarity_backends": {"faiss": {"metric": "euclidean"}}}))
    backend_config.make_known()
    entry = json.loads(path.read_text())["similarity_backends"]["faiss"]
    assert entry == {"metric": "euclidean", "config_cls": backend_config.CONFIG_CLASS}


def test_another_backend_of_this_name_is_left_alone(path):
    path.parent.mkdir()
    theirs = json.dumps({"similarity_backends": {"faiss": {"config_cls": "theirs.Config"}}})
    path.write_text(theirs)
    with pytest.raises(DataError, match=r"another similarity backend 'faiss' \(theirs.Config\)"):
        backend_config.make_known()
    assert path.read_text() == theirs
    assert not backend_config.is_known()


def test_a_file_that_is_no_json_is_left_alone(path):
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        backend_config.make_known()
    assert path.read_text() == "{"
    assert [finding.level for finding in doctor.check_backend()] == [doctor.BAD]


def test_the_doctor_says_whether_it_is_known(path):
    assert [finding.level for finding in doctor.check_backend()] == [doctor.WARN]
    backend_config.make_known()
    assert [finding.level for finding in doctor.check_backend()] == [doctor.OK]


BY_NAME = """
import fiftyone as fo
import fiftyone.brain as fob
import numpy as np

dataset = fo.Dataset()
dataset.add_samples([fo.Sample(filepath=f"{n}.png") for n in range(5)])
index = fob.compute_similarity(dataset, embeddings=np.eye(5), brain_key="key", backend="faiss")
print(type(index).__module__, index.total_index_size)
dataset.delete_brain_run("key")
dataset.delete()
"""


@pytest.mark.fiftyone
def test_a_process_that_imports_only_fiftyone_finds_the_backend_by_name(path, monkeypatch):
    import fiftyone as fo

    backend_config.make_known()
    monkeypatch.setenv("FIFTYONE_DATABASE_URI", fo.config.database_uri)
    done = subprocess.run(
        [sys.executable, "-c", BY_NAME], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert "uvl_plugin.adapter.similarity_faiss 5" in done.stdout, done.stderr

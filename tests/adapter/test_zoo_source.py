import functools
import importlib.util
import json
import runpy
import shutil
import sys
import sysconfig
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import fiftyone as fo
import fiftyone.zoo as foz
import numpy as np
import pytest

import uvl_plugin as uvl
from tests.private_database import REPOSITORY
from uvl_plugin.adapter import zoo_source
from uvl_plugin.adapter.model import EmbeddingModel
from uvl_plugin.backbones.presets import presets

BACKBONE = uvl.Pixels(size=5)


@pytest.fixture
def zoo_dir(tmp_path, monkeypatch):
    """An empty zoo folder."""
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path / "models"))
    return tmp_path / "models"


def test_a_registered_backbone_is_a_zoo_model_with_the_same_vectors(zoo_dir):
    name = zoo_source.register(BACKBONE)
    assert name.startswith("uvl/pixels-")
    assert name in foz.list_zoo_models(tags="embeddings")
    assert "text-embeddings" not in foz.get_zoo_model(name).tags
    assert foz.get_zoo_model(name).description == "Pixels: size=5"
    assert foz.is_zoo_model_downloaded(name)
    model = foz.load_zoo_model(name, device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    assert np.array_equal(model.embed(image), EmbeddingModel(BACKBONE.load("cpu")).embed(image))


def test_equal_settings_have_one_name(zoo_dir):
    names = [zoo_source.register(uvl.Pixels(size=size)) for size in (5, 6, 5)]
    assert names[0] == names[2] != names[1]
    assert sorted(path.name for path in zoo_dir.glob("*/*")) == sorted(
        name.removeprefix("uvl/") for name in set(names)
    )


def test_registering_twice_writes_nothing(zoo_dir):
    zoo_source.register(BACKBONE)
    before = {path: path.stat().st_mtime_ns for path in zoo_dir.rglob("*")}
    zoo_source.register(BACKBONE)
    assert {path: path.stat().st_mtime_ns for path in zoo_dir.rglob("*")} == before


def test_threads_that_register_at_once_leave_one_whole_source(zoo_dir):
    names, start = [], threading.Barrier(8)

    def work():
        start.wait()
        names.append(zoo_source.register(BACKBONE))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 8
    (folder,) = (zoo_dir / "uvl-local").iterdir()
    assert {names[0]} == set(names) == {f"uvl/{folder.name}"}
    assert sorted(path.name for path in folder.iterdir()) == [
        "__init__.py", "backbone.json", "manifest.json",
    ]  # fmt: skip
    assert foz.load_zoo_model(names[0], device="cpu").encoder.dim == 75


def test_settings_that_were_deleted_come_back(zoo_dir):
    name = zoo_source.register(BACKBONE)
    foz.delete_zoo_model(name)
    with pytest.raises(uvl.DataError, match="make the similarity index that uses it again"):
        foz.load_zoo_model(name)
    assert zoo_source.register(BACKBONE) == name
    assert foz.load_zoo_model(name, device="cpu").encoder.dim == 75


def test_damaged_settings_are_said(zoo_dir):
    name = zoo_source.register(BACKBONE)
    (settings,) = zoo_dir.rglob("backbone.json")
    settings.write_text("{")
    with pytest.raises(uvl.DataError, match="does not hold the settings of 'uvl/pixels-"):
        foz.load_zoo_model(name)


def test_a_folder_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    (tmp_path / "models").touch()
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path / "models"))
    with pytest.raises(uvl.UVLError, match="set FIFTYONE_MODEL_ZOO_DIR"):
        zoo_source.register(BACKBONE)


def test_no_device_is_an_error_and_not_a_silent_fallback(zoo_dir):
    name = zoo_source.register(BACKBONE)
    with pytest.raises(uvl.SettingsError, match="device='nope'"):
        foz.load_zoo_model(name, device="nope")


def test_the_form_asks_for_the_device(zoo_dir):
    entry = foz.get_zoo_model(zoo_source.register(BACKBONE))
    assert list(entry.resolve_input(None).type.properties) == ["device"]
    for given, expected in (({"device": ""}, {}), ({"device": "cpu"}, {"device": "cpu"})):
        entry.parse_parameters(None, given)
        assert given == expected


def test_the_manifest_of_the_repository_lists_the_presets():
    kept = json.loads((REPOSITORY / "manifest.json").read_text())
    assert kept == zoo_source.preset_manifest(), "run: python -m uvl_plugin.adapter.zoo_source"
    tags = {model["base_name"]: model["tags"] for model in kept["models"]}
    assert "text-embeddings" in tags["uvl/clip-base"]
    assert "text-embeddings" not in tags["uvl/dinov2-base"]


@pytest.fixture
def source(zoo_dir, tmp_path):
    """The project as a source of models, fetched from a server as from GitHub."""
    project = tmp_path / "served" / "uvl-main"
    project.mkdir(parents=True)
    for name in ("manifest.json", "__init__.py", "fiftyone.yml"):
        shutil.copy(REPOSITORY / name, project)
    shutil.make_archive(str(tmp_path / "served" / "uvl"), "zip", project.parent, project.name)
    handler = functools.partial(QuietHandler, directory=tmp_path / "served")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        foz.register_zoo_model_source(f"http://127.0.0.1:{server.server_port}/uvl.zip")
        server.shutdown()
    return zoo_dir / "uvl"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def test_presets_are_models_of_the_source(source, caplog):
    local = zoo_source.register(BACKBONE)
    names = [f"uvl/{name}" for name in presets]
    assert {local, *names} <= set(foz.list_zoo_models(tags="embeddings"))
    assert "already contains" not in caplog.text  # the two sources do not clash
    entry = foz.get_zoo_model("uvl/pixels")
    assert not foz.is_zoo_model_downloaded("uvl/pixels")
    assert list(entry.resolve_input(None).type.properties) == ["device"]
    model = foz.load_zoo_model("uvl/pixels", device="cpu")
    assert model.encoder.dim == presets["pixels"].dim
    assert foz.is_zoo_model_downloaded("uvl/pixels")
    foz.delete_zoo_model("uvl/pixels")
    assert not foz.is_zoo_model_downloaded("uvl/pixels")
    assert {path.name for path in source.glob("*.*")} >= {"manifest.json", "__init__.py"}


@pytest.mark.parametrize(
    ("module", "stays"), [("uvl", False), ("fiftyone.plugins.external.uvl_plugin", True)]
)
def test_the_entry_makes_the_package_importable(module, stays, tmp_path, monkeypatch):
    """For good where it is a plugin; a copy in the zoo must not stand in for a later plugin."""
    shutil.copy(REPOSITORY / "__init__.py", tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sysconfig, "get_path", lambda kind: str(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    runpy.run_path(str(tmp_path / "__init__.py"), run_name=module)
    assert sys.path[-1] == str(tmp_path)
    assert (tmp_path / "uvl_plugin.pth").exists() is stays

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import fiftyone as fo
import fiftyone.plugins as fop
import pytest
from fiftyone.core.config import load_config

from tests.private_database import REPOSITORY
from uvl_plugin.adapter import link as module
from uvl_plugin.adapter.link import LinkError, copies, link, repository
from uvl_plugin.adapter.user_config import database_uri, plugins_dir
from uvl_plugin.core.errors import DataError

SETTINGS = ("PLUGINS_DIR", "DEFAULT_DATASET_DIR", "DATABASE_URI", "CONFIG_PATH")


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """A plugins folder, not made yet, that FiftyOne in this process uses too."""
    folder = tmp_path / "plugins"
    monkeypatch.setenv("FIFTYONE_PLUGINS_DIR", str(folder))
    monkeypatch.setattr(fo.config, "plugins_dir", str(folder))
    return folder


def copy_of_the_plugin(folder: Path) -> Path:
    folder.mkdir(parents=True)
    shutil.copy(REPOSITORY / "fiftyone.yml", folder)
    return folder


def seen_by_fiftyone() -> list[str]:
    found = [plugin for plugin in fop.list_plugins() if plugin.name == "uvl_plugin"]
    return [path for p in found for path in (p.directory, *(p.shadow_paths or ()))]


def test_a_link_is_made_once_and_fiftyone_sees_it(plugins):
    first = link()
    assert (first.made, first.ours, first.path) == (True, True, plugins / "uvl_plugin")
    assert first.path.readlink() == repository() == REPOSITORY
    before = first.path.lstat().st_mtime_ns
    again = link()
    assert (again.made, again.ours, again.path) == (False, True, first.path)
    assert first.path.lstat().st_mtime_ns == before
    assert seen_by_fiftyone() == [str(first.path)]


def test_another_copy_stays_and_is_told(plugins):
    copy = copy_of_the_plugin(plugins / "downloads" / "uvl")
    found = link()
    assert (found.made, found.ours, found.path) == (False, False, copy)
    assert f"another copy of the plugin, {copy}" in str(found)
    assert not (plugins / "uvl_plugin").exists()


def test_a_link_of_another_name_is_as_good(plugins):
    plugins.mkdir()
    (plugins / "mine").symlink_to(REPOSITORY)
    assert link().path == plugins / "mine"


def test_a_link_to_a_repository_that_is_gone_is_replaced(plugins, tmp_path):
    plugins.mkdir()
    (plugins / "uvl_plugin").symlink_to(tmp_path / "gone")
    assert link().made
    assert (plugins / "uvl_plugin").readlink() == REPOSITORY


def test_what_is_in_the_way_is_not_touched(plugins):
    plugins.mkdir()
    (plugins / "uvl_plugin").write_text("mine")
    with pytest.raises(LinkError, match=r"uvl_plugin' cannot be made a link .*File exists"):
        link()
    assert (plugins / "uvl_plugin").read_text() == "mine"


def test_the_package_alone_cannot_be_linked(plugins, tmp_path, monkeypatch):
    installed = tmp_path / "site-packages" / "uvl_plugin" / "adapter" / "link.py"
    monkeypatch.setattr(module, "__file__", str(installed))
    with pytest.raises(LinkError, match=r"no fiftyone.yml .*site-packages.*Clone the repository"):
        link()
    assert not plugins.exists()


def test_copies_come_in_fiftyones_order(plugins):
    copy_of_the_plugin(plugins / ".hidden")
    for name in ("b", "a", "c/deep/er"):
        copy_of_the_plugin(plugins / name)
    copy_of_the_plugin(plugins / "a" / "inside a plugin")
    other = copy_of_the_plugin(plugins / "other")
    (other / "fiftyone.yml").write_text("name: 'other' # uvl_plugin\n")
    found = [str(path) for path in copies(plugins)]
    assert len(found) == 3
    assert found == seen_by_fiftyone()


@pytest.mark.parametrize("file", [{}, {"plugins_dir": "/file"}, {"default_dataset_dir": "/data"}])
@pytest.mark.parametrize("environment", [{}, {"PLUGINS_DIR": "/e"}, {"DEFAULT_DATASET_DIR": "~/e"}])
def test_the_settings_are_what_fiftyone_reads(tmp_path, monkeypatch, file, environment):
    for name in SETTINGS:
        monkeypatch.delenv(f"FIFTYONE_{name}", raising=False)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**file, "database_uri": "mongodb://host"}))
    monkeypatch.setenv("FIFTYONE_CONFIG_PATH", str(path))
    for name, value in environment.items():
        monkeypatch.setenv(f"FIFTYONE_{name}", value)
    expected = load_config()
    assert str(plugins_dir()) == expected.plugins_dir
    assert database_uri() == expected.database_uri == "mongodb://host"


def test_without_any_setting_the_folder_is_at_home(tmp_path, monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(f"FIFTYONE_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert plugins_dir() == tmp_path / "fiftyone" / "__plugins__"
    assert database_uri() is None


def test_a_damaged_configuration_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("FIFTYONE_PLUGINS_DIR")
    monkeypatch.setenv("FIFTYONE_CONFIG_PATH", str(tmp_path / "config.json"))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DataError, match=r"config.json' is not valid JSON"):
        plugins_dir()


def test_the_command_links_without_importing_fiftyone(plugins, tmp_path):
    code = (
        "import sys; from uvl_plugin.cli import main; status = main(['link']);"
        "assert 'fiftyone' not in sys.modules; sys.exit(status)"
    )
    brain = tmp_path / "brain_config.json"
    environment = os.environ | {
        "PYTHONPATH": str(REPOSITORY), "FIFTYONE_BRAIN_CONFIG_PATH": str(brain),
    }  # fmt: skip
    command = [sys.executable, "-c", code]
    ran = subprocess.run(
        command, check=False, env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (
        ran.stdout == f"FiftyOne finds the plugin at {plugins / 'uvl_plugin'}, linked just now.\n"
        f"FiftyOne finds the similarity backend 'faiss': {brain}.\n"
    )

"""The plugin as FiftyOne downloads it: a copy in the plugins folder, nothing installed."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.private_database import REPOSITORY
from uvl_plugin.adapter.mongod import private_mongod

EXPLORE = """
import json
import sys
import fiftyone as fo
import fiftyone.operators as foo

dataset = fo.Dataset("digits", persistent=True)
dataset.add_images(sys.argv[1:], progress=False)
foo.execute_operator(
    "uvl_plugin/explore_dataset",
    dataset=dataset,
    params={"map_method": "pca", "algorithm": "kmeans", "all_settings": True,
            "kmeans": {"n_clusters": 2}},
)
import uvl_plugin
copies = [name for name, module in sys.modules.items()
          if name.endswith("uvl_plugin.api") or name.endswith("adapter.runs")]
print(json.dumps({"file": uvl_plugin.__file__, "copies": sorted(copies)}))
"""

LOAD = """
import json
import fiftyone as fo

dataset = fo.load_dataset("digits")
results = dataset.load_run_results("explore")
print(json.dumps({
    "results": type(results).__module__ + "." + type(results).__name__,
    "config": type(results.config).__name__,
    "centroids": list(results.model.centroids.shape),
}))
dataset.delete_run("explore")
print(json.dumps(dataset.has_field("explore_cluster")))
"""


@pytest.fixture
def bare_python(tmp_path):
    """An environment with the packages of this one, but not with this project installed."""
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    site = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    ).strip()
    # path files of the other environment are not read, so its editable installs are not seen
    packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (tmp_path / site / "packages.pth").write_text("\n".join(packages))
    for shim in Path(sysconfig.get_path("purelib")).glob("distutils-precedence.pth"):
        shutil.copy(
            shim, site
        )  # setuptools' stand-in for what Python 3.12 dropped; FiftyOne uses it
    return python


@pytest.fixture
def downloaded(tmp_path):
    """A plugins folder with a copy of the project, as ``fiftyone plugins download`` makes it."""
    plugins = tmp_path / "plugins"
    copy = plugins / "uvl_plugin"
    copy.mkdir(parents=True)
    for name in ("fiftyone.yml", "__init__.py", "requirements.txt"):
        shutil.copy(REPOSITORY / name, copy)
    for name in ("operators", "uvl_plugin"):
        shutil.copytree(REPOSITORY / name, copy / name)
    return plugins


@pytest.mark.fiftyone
def test_a_downloaded_plugin_works_and_other_processes_load_its_records(
    tmp_path, bare_python, downloaded
):
    from uvl_plugin.adapter.demo import write_digits

    files = [str(path) for path, label in write_digits(tmp_path / "digits") if label in "01"]

    def run(program, *arguments):
        done = subprocess.run(
            [bare_python, "-c", program, *arguments],
            capture_output=True, text=True, check=False, cwd=tmp_path, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line[:1] in '{tf"']

    with private_mongod(tmp_path / "db"):
        environment = {
            **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            "FIFTYONE_PLUGINS_DIR": str(downloaded),
            "FIFTYONE_SHOW_PROGRESS_BARS": "false",
            "FIFTYONE_DO_NOT_TRACK": "true",
        }
        (said,) = run(EXPLORE, *files[:60])
        assert said["file"] == str(downloaded / "uvl_plugin" / "uvl_plugin" / "__init__.py")
        assert said["copies"] == ["uvl_plugin.adapter.runs", "uvl_plugin.api"]
        loaded, field_is_left = run(LOAD)
    assert loaded == {
        "results": "uvl_plugin.adapter.runs.ClusteringRunResults",
        "config": "ClusteringRunConfig",
        "centroids": [2, 64],
    }
    assert field_is_left is False


def test_an_installed_package_is_used_as_it_is(tmp_path):
    """The entry adds nothing to the path where the package can be imported already."""
    program = "import runpy, sys; before = list(sys.path); runpy.run_path(sys.argv[1]); assert sys.path == before"
    subprocess.run(
        [sys.executable, "-c", program, str(REPOSITORY / "__init__.py")], check=True, cwd=REPOSITORY
    )

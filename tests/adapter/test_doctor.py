import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import types
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from tests.private_database import REPOSITORY
from uvl_plugin import cli
from uvl_plugin.adapter import doctor
from uvl_plugin.adapter.doctor import BAD, OK, WARN, Finding
from uvl_plugin.adapter.link import LinkError
from uvl_plugin.adapter.mongod import MongodError
from uvl_plugin.adapter.plugin_probe import ProbeError
from uvl_plugin.core.errors import UVLError


@pytest.fixture
def installed(monkeypatch):
    """Versions of the distributions that are installed, to be changed by a test."""
    versions = {}

    def version(name):
        if name in versions:
            return versions[name]
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    return versions


def levels(findings) -> list[str]:
    return [finding.level for finding in findings]


def check_alone(*names: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "uvl_plugin.cli", "doctor", *names],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | environment,
    )


def test_this_environment_is_well_and_the_users_database_untouched(tmp_path):
    ran = check_alone("python", "packages", "builds", "database", "plugin", HOME=str(tmp_path))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "bad" not in ran.stdout
    assert "FiftyOne loads the plugin from" in ran.stdout
    assert "explore_dataset" in ran.stdout
    assert not (tmp_path / ".fiftyone" / "var" / "lib").exists()


def test_a_plugin_that_fiftyone_does_not_see_is_bad(tmp_path):
    ran = check_alone("plugin", FIFTYONE_PLUGINS_DIR=str(tmp_path))
    assert ran.returncode == 1
    assert ran.stdout == f"bad  FiftyOne sees no uvl_plugin in '{tmp_path}'\n     -> uvl link\n"


def test_two_copies_are_told(tmp_path):
    copy = tmp_path / "download"
    shutil.copytree(REPOSITORY / "operators", copy / "operators")
    for name in ("fiftyone.yml", "__init__.py"):
        shutil.copy(REPOSITORY / name, copy)
    ran = check_alone("plugin", FIFTYONE_PLUGINS_DIR=str(tmp_path))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"two copies: FiftyOne loads '{copy}', Python imports '{REPOSITORY}'" in ran.stdout
    assert "run 'uvl link'" in ran.stdout


def test_what_fiftyone_sees_is_judged(monkeypatch):
    def seen(**changes):
        here = str(REPOSITORY)
        whole = {"package": f"{here}/uvl_plugin", "copies": [here], "enabled": True}
        whole |= {"operators": ["explore_dataset"], "errors": [], **changes}
        monkeypatch.setattr(doctor.plugin_probe, "ask", lambda: whole)
        return list(doctor.check_plugin())

    assert levels(seen()) == [OK]
    assert levels(seen(copies=[])) == [BAD]
    assert levels(seen(enabled=False)) == [BAD]
    assert levels(seen(operators=[])) == [BAD]
    assert levels(seen(errors=["ImportError: x"])) == [BAD, OK]
    assert levels(seen(copies=[str(REPOSITORY), "/other"])) == [OK, WARN]


@pytest.mark.parametrize("error", [MongodError("no mongod"), ProbeError("FiftyOne breaks")])
def test_a_fiftyone_that_cannot_be_asked_is_bad(monkeypatch, error):
    def ask():
        raise error

    monkeypatch.setattr(doctor.plugin_probe, "ask", ask)
    (finding,) = doctor.check_plugin()
    assert finding.level == BAD
    assert str(error) in finding.what


@pytest.mark.parametrize(
    ("version", "level"), [((3, 9), BAD), ((3, 10), OK), ((3, 13), OK), ((3, 14), BAD)]
)
def test_python_must_be_one_that_is_supported(monkeypatch, version, level):
    monkeypatch.setattr(sys, "version_info", (*version, 0))
    assert levels(doctor.check_python()) == [level]


def test_packages_are_compared_with_their_bounds(monkeypatch, installed):
    lines = ["torch>=2.7", "numpy>=1.26", "pillow>=12.2", "absent>=1; python_version < '3'"]
    monkeypatch.setattr(doctor, "requirements", lambda: lines)
    installed |= {"torch": "2.6.0", "numpy": "2.4.6+local"}
    torch, numpy, pillow = doctor.check_packages()
    assert (torch.level, torch.what) == (BAD, "torch 2.6.0 is not >=2.7")
    assert torch.mend == f"{sys.executable} -m pip install 'torch>=2.7'"
    assert (numpy.level, pillow.level) == (OK, BAD)
    assert pillow.what == "pillow is missing"


def test_every_requirement_is_plain_and_has_one_lower_bound():
    found = [Requirement(line) for line in doctor.requirements()]
    assert {"fiftyone", "torch", "faiss-gpu", "faiss-cpu"} <= {wanted.name for wanted in found}
    for wanted in found:
        assert [bound.operator for bound in wanted.specifier] == [">="], wanted
        assert wanted.url is None


def test_a_package_without_its_repository_knows_its_requirements(monkeypatch):
    def repository():
        raise LinkError("the package alone")

    monkeypatch.setattr(doctor, "repository", repository)
    monkeypatch.setattr(
        metadata, "requires", lambda name: ["absent>=1", 'ruff>=0.9; extra == "dev"']
    )
    (finding,) = doctor.check_packages()
    assert finding.what == "absent is missing"


def test_two_builds_of_a_module_are_told(monkeypatch, installed):
    monkeypatch.setattr(doctor, "_import_error", lambda module: "")
    installed |= {"opencv-python": "4.10", "opencv-python-headless": "4.10", "faiss-cpu": "1.14"}
    (finding,) = doctor.check_builds()
    assert finding.level == WARN
    assert finding.what == "2 builds of cv2: opencv-python-headless, opencv-python"
    assert "uninstall -y opencv-python-headless opencv-python &&" in finding.mend
    assert finding.mend.endswith("install opencv-python-headless")


def test_a_module_that_does_not_load_is_bad(monkeypatch, installed):
    installed["opencv-python"] = "4.10"
    monkeypatch.setitem(sys.modules, "cv2", None)
    (finding,) = doctor.check_builds()
    assert finding.level == BAD
    assert "cv2 does not load" in finding.what


def no_devices() -> types.SimpleNamespace:
    return types.SimpleNamespace(device_count=lambda: 0)


def test_the_gpu_is_named_with_faiss(monkeypatch):
    monkeypatch.setattr(doctor, "_gpus", lambda: (["NVIDIA Test"], ""))
    torch, faiss = doctor.check_gpu()
    assert (torch.level, torch.what) == (OK, "torch computes on NVIDIA Test")
    assert "faiss clusters on" in faiss.what


def test_without_a_gpu_the_processor_does(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch, "cuda", no_devices())
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    (finding,) = doctor.check_gpu()
    assert (finding.level, finding.what[:31]) == (OK, "torch computes on the processor")


def test_a_gpu_with_an_old_driver_is_told(monkeypatch):
    torch = pytest.importorskip("torch")
    devices = no_devices()
    devices.device_count, devices.get_device_name = lambda: 1, lambda index: "NVIDIA Old"

    def broken(*args, **kwargs):
        raise RuntimeError("CUDA error: no kernel image\nmore")

    monkeypatch.setattr(torch, "cuda", devices)
    monkeypatch.setattr(torch, "ones", broken)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    (finding,) = doctor.check_gpu()
    assert finding.level == WARN
    assert finding.what == "torch cannot use the GPU: CUDA error: no kernel image"


@pytest.mark.parametrize(
    ("uri", "bundled", "other", "expected"),
    [
        (None, "/b/mongod", None, [OK]),
        (None, None, "/usr/bin/mongod", [BAD]),  # FiftyOne starts none but its own
        ("mongodb://me:secret@db.example:27017", None, "/usr/bin/mongod", [OK, OK]),
        ("mongodb://me:secret@db.example:27017", None, None, [OK, WARN]),
    ],
)
def test_the_database_is_found_but_not_asked(monkeypatch, uri, bundled, other, expected):
    monkeypatch.setattr(doctor, "database_uri", lambda: uri)
    monkeypatch.setattr(doctor, "bundled_mongod", lambda: bundled)
    monkeypatch.setattr(doctor, "find_mongod", lambda: other)
    monkeypatch.setattr(doctor, "mongod_version", lambda program: "7.0.4")
    found = list(doctor.check_database())
    assert levels(found) == expected
    assert "secret" not in "".join(map(str, found))


def test_a_database_program_that_does_not_run_is_bad(monkeypatch):
    def broken(program):
        raise MongodError("libcurl.so.4 missing")

    monkeypatch.setattr(doctor, "database_uri", lambda: None)
    monkeypatch.setattr(doctor, "bundled_mongod", lambda: "/b/mongod")
    monkeypatch.setattr(doctor, "mongod_version", broken)
    assert list(doctor.check_database()) == [Finding(BAD, "libcurl.so.4 missing")]


class Forbidding(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_error(403)

    def log_message(self, *args):
        pass


def test_hubs_are_asked_together_and_not_for_long(monkeypatch):
    server = http.server.HTTPServer(("127.0.0.1", 0), Forbidding)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with socket.socket() as silent, socket.socket() as closed:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        closed.bind(("127.0.0.1", 0))
        ports = [server.server_port, silent.getsockname()[1], closed.getsockname()[1]]
        monkeypatch.setattr(doctor, "_HUBS", [f"http://127.0.0.1:{port}" for port in ports])
        started = time.monotonic()
        found = list(doctor.check_hubs())
        assert time.monotonic() - started < 2 * doctor._HUB_SECONDS
    server.shutdown()
    server.server_close()
    assert levels(found) == [OK, WARN, WARN]
    assert "UVL_WEIGHTS" in found[1].mend


def test_bad_findings_decide_the_status(monkeypatch, capsys):
    findings = {"a": [Finding(OK, "well"), Finding(WARN, "odd", "look")], "b": [Finding(BAD, "no")]}
    monkeypatch.setattr(
        doctor, "CHECKS", {name: lambda found=found: found for name, found in findings.items()}
    )
    assert cli.main(["doctor", "a"]) == 0
    assert capsys.readouterr().out == "ok   well\nwarn odd\n     -> look\n"
    assert cli.main(["doctor"]) == 1
    assert capsys.readouterr().out.endswith("bad  no\n1 to mend, 1 to know\n")


def test_an_unknown_check_is_told(capsys):
    assert cli.main(["doctor", "teeth"]) == 1
    assert capsys.readouterr().err.startswith("uvl: There is no check 'teeth'. Known: python, ")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [(UVLError("what, how."), 1, "uvl: what, how.\n"), (KeyboardInterrupt(), 130, "")],
)
def test_the_command_fails_in_one_line(monkeypatch, capsys, error, status, said):
    def broken(names):
        raise error

    monkeypatch.setattr(doctor, "doctor", broken)
    assert cli.main(["doctor"]) == status
    assert capsys.readouterr().err == said

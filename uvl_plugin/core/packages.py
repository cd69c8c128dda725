"""Packages: whether one is there, and of which version."""

import importlib.util
import platform
import sys
from importlib import metadata

from uvl_plugin.core.errors import MissingPackageError

RECORDED = (
    "uvl-plugin",
    "fiftyone",
    "fiftyone-brain",
    "torch",
    "torchvision",
    "timm",
    "open-clip-torch",
    "simplejpeg",
    "faiss-gpu",
    "faiss-cpu",
    "lightly",
    "scikit-learn",
    "umap-learn",
    "scikit-network",
    "numpy",
    "pillow",
)


def check_installed(module: str, *, package: str, needed_by: str) -> None:
    """Checks that ``module`` of the distribution ``package`` is there, without importing it.

    Raises:
        MissingPackageError: if it is not installed.
    """
    if importlib.util.find_spec(module) is None:
        raise MissingPackageError(
            f"{needed_by} needs the package '{package}': {sys.executable} -m pip install {package}"
        )


def versions(packages: tuple[str, ...] = RECORDED) -> dict[str, str]:
    """Installed version of each package that is there, and of Python."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found

"""Packages that are imported late, with an error that names the one to install."""

import importlib
import platform
import sys
from importlib import metadata
from types import ModuleType

from uvl_plugin.core.errors import MissingPackageError

RECORDED = (
    "uvl-plugin",
    "fiftyone",
    "fiftyone-brain",
    "torch",
    "torchvision",
    "faiss-gpu",
    "faiss-cpu",
    "scikit-learn",
    "umap-learn",
    "numpy",
    "pillow",
)


def require(module: str, *, package: str, needed_by: str) -> ModuleType:
    """Imports ``module``, which comes in the distribution ``package``.

    Raises:
        MissingPackageError: if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"{needed_by} needs the package '{package}': {sys.executable} -m pip install {package}"
        ) from error


def versions(packages: tuple[str, ...] = RECORDED) -> dict[str, str]:
    """Installed version of each package that is there, and of Python."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found

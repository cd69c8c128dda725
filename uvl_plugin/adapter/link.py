"""Makes the plugin known to FiftyOne: a link from its plugins folder to this repository."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from uvl_plugin.adapter.user_config import plugins_dir
from uvl_plugin.core.errors import UVLError

PLUGIN = "uvl_plugin"
_METADATA = ("fiftyone.yml", "fiftyone.yaml")


class LinkError(UVLError):
    """The plugin cannot be made known to FiftyOne."""


@dataclass(frozen=True)
class Link:
    """How FiftyOne finds the plugin.

    Attributes:
        path: the folder that FiftyOne uses.
        made: whether :func:`link` made it just now.
        ours: whether it is this repository, and not another copy of the plugin.
    """

    path: Path
    made: bool
    ours: bool

    def __str__(self) -> str:
        if not self.ours:
            return (
                f"FiftyOne uses another copy of the plugin, {self.path}, and it stays; "
                "remove it and run 'uvl link' again to use this one."
            )
        return f"FiftyOne finds the plugin at {self.path}" + (
            ", linked just now." if self.made else "."
        )


def link() -> Link:
    """Links the plugins folder to the repository; what is there already stays as it is.

    Raises:
        LinkError: if there is no repository, or the link cannot be made.
    """
    root, folder = repository(), plugins_dir()
    for copy in copies(folder):
        return Link(copy, made=False, ours=copy.resolve() == root)
    path = folder / PLUGIN
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():  # to a repository that is no longer there
            path.unlink()
        path.symlink_to(root, target_is_directory=True)
    except OSError as error:
        raise LinkError(
            f"'{path}' cannot be made a link to '{root}': {error.strerror or error}."
        ) from error
    return Link(path, made=True, ours=True)


def repository() -> Path:
    """The folder that FiftyOne loads the plugin from: the parent of this package.

    Raises:
        LinkError: if the package was installed without it.
    """
    root = Path(__file__).resolve().parents[2]
    if _name(root) != PLUGIN:
        raise LinkError(
            f"There is no fiftyone.yml of the plugin in '{root}': this is the package alone. "
            "Clone the repository and run 'pip install -e .' in it, or get the plugin with "
            "'fiftyone plugins download'."
        )
    return root


def copies(folder: Path) -> Iterator[Path]:
    """Folders in ``folder`` that hold this plugin, in FiftyOne's order: it uses the first."""
    for root, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if not any(name in files for name in _METADATA):
            continue
        folders.clear()  # FiftyOne looks no deeper either
        if _name(Path(root)) == PLUGIN:
            yield Path(root)


def _name(folder: Path) -> str | None:
    """Name of the plugin in ``folder``."""
    for file in _METADATA:
        path = folder / file
        if path.is_file():
            found = re.search(r"""^name:\s*["']?([^\s"'#]+)""", path.read_text(), re.MULTILINE)
            return found[1] if found else None
    return None

"""The user's FiftyOne settings, read without FiftyOne: importing it would start its database."""

import json
import os
from pathlib import Path

from uvl_plugin.core.errors import DataError


def plugins_dir() -> Path:
    """The folder in which FiftyOne looks for plugins."""
    if folder := _setting("plugins_dir"):
        return Path(folder)
    parent = _setting("default_dataset_dir") or Path.home() / "fiftyone"
    return Path(parent).expanduser() / "__plugins__"


def database_uri() -> str | None:
    """Address of the user's own database server; None where FiftyOne starts one itself."""
    return _setting("database_uri")


def brain_config_path() -> Path:
    """The file in which FiftyOne looks for similarity backends; need not exist."""
    default = Path.home() / ".fiftyone" / "brain_config.json"
    return Path(os.environ.get("FIFTYONE_BRAIN_CONFIG_PATH", default))


def read_json(path: Path) -> dict:
    """The object in a file; empty where there is no file.

    Raises:
        DataError: if it is not valid JSON.
    """
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text()))
    except ValueError as error:
        raise DataError(f"FiftyOne's configuration '{path}' is not valid JSON: {error}.") from error


def _setting(name: str) -> str | None:
    """From the environment, else from the configuration file, as FiftyOne does."""
    return os.environ.get(f"FIFTYONE_{name.upper()}") or _file().get(name)


def _file() -> dict:
    default = Path.home() / ".fiftyone" / "config.json"
    path = Path(os.environ.get("FIFTYONE_CONFIG_PATH", default))
    return read_json(path)

"""A FiftyOne of the tests' own: its database, plugins and models are in a temporary folder."""

import atexit
import contextlib
import functools
import os
import shutil
import tempfile
from pathlib import Path

from uvl_plugin.adapter.mongod import private_mongod

REPOSITORY = Path(__file__).resolve().parents[1]


@functools.cache
def start() -> Path:
    """Starts a database and points FiftyOne to it; call it before FiftyOne is imported.

    Returns:
        The temporary folder, removed when the process ends.
    """
    folder = Path(tempfile.mkdtemp(prefix="uvl-tests-"))
    (folder / "plugins").mkdir()
    (folder / "plugins" / "uvl_plugin").symlink_to(REPOSITORY)
    os.environ |= {
        "FIFTYONE_PLUGINS_DIR": str(folder / "plugins"),
        "FIFTYONE_MODEL_ZOO_DIR": str(folder / "models"),
        "FIFTYONE_DEFAULT_DATASET_DIR": str(folder / "datasets"),
        "FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS": "true",
        "FIFTYONE_DO_NOT_TRACK": "true",
        "FIFTYONE_SHOW_PROGRESS_BARS": "false",
        "UVL_CHECKPOINTS": str(folder / "checkpoints"),
        "UVL_CACHE": str(folder / "cache"),
        "UVL_INDEXES": str(folder / "indexes"),
        "UVL_FRAMES": str(folder / "frames"),
        "FIFTYONE_BRAIN_CONFIG_PATH": str(folder / "brain_config.json"),
    }
    stack = contextlib.ExitStack()
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    stack.enter_context(private_mongod(folder / "db"))
    atexit.register(stack.close)
    return folder


def check() -> None:
    """Fails unless FiftyOne really works on the private database."""
    import fiftyone.core.odm as foo

    options = foo.get_db_client().admin.command("getCmdLineOpts")
    assert options["parsed"]["storage"]["dbPath"] == str(start() / "db")

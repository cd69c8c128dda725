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
_PREFIX = "uvl-tests-"
_MEMORY = Path("/dev/shm")  # FiftyOne waits for the disk at every change of a field
_BYTES = 4 * 2**30  # free in memory, or the database goes to the disk


@functools.cache
def start() -> Path:
    """Starts a database and points FiftyOne to it; call it before FiftyOne is imported.

    Returns:
        The temporary folder, removed when the process ends.
    """
    _remove_left_over()
    folder = _new_folder(Path(tempfile.gettempdir()))
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
    for made in (folder, _database()):
        stack.callback(shutil.rmtree, made, ignore_errors=True)
    stack.enter_context(private_mongod(_database()))
    atexit.register(stack.close)
    return folder


@functools.cache
def _database() -> Path:
    return _new_folder(_MEMORY if _has_room(_MEMORY) else Path(tempfile.gettempdir()))


def _new_folder(parent: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))


def _has_room(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > _BYTES


def _remove_left_over() -> None:
    """Removes what tests left that were killed."""
    for parent in (Path(tempfile.gettempdir()), _MEMORY):
        for folder in parent.glob(f"{_PREFIX}*-*"):
            owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
            if owner.isdigit() and not _is_running(int(owner)):
                shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def check() -> None:
    """Fails unless FiftyOne really works on the private database."""
    import fiftyone.core.odm as foo

    options = foo.get_db_client().admin.command("getCmdLineOpts")
    assert options["parsed"]["storage"]["dbPath"] == str(_database())

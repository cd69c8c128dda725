"""Where the files of similarity indexes are, and who uses them."""

import os
import re
import tempfile
import weakref
from pathlib import Path

import fiftyone.core.odm as foo
from fiftyone.core.dataset import Dataset

from uvl_plugin.core.errors import BrokenIndexError
from uvl_plugin.indexing.index import VectorIndex

FOLDER = "UVL_INDEXES"  # the environment variable that names the folder of all indexes
_DEFAULT_FOLDER = "~/.uvl/indexes"
INDEX_ID = re.compile(r"[0-9a-f]{32}")


def indexes_folder() -> Path:
    """Where all indexes are: the folder that ``UVL_INDEXES`` names, else ``~/.uvl/indexes``."""
    return Path(os.environ.get(FOLDER) or _DEFAULT_FOLDER).expanduser()


def files_of(index_id: str) -> VectorIndex:
    """The index of this id, which need not exist.

    Raises:
        BrokenIndexError: if the record of a run names something that cannot be an id.
    """
    if not INDEX_ID.fullmatch(index_id):
        raise BrokenIndexError(f"'{index_id}' cannot be the id of an index.")
    return VectorIndex(indexes_folder() / index_id)


def temporary(user: object) -> VectorIndex:
    """An index that goes with the object that uses it."""
    folder = tempfile.TemporaryDirectory(prefix="uvl-index-", ignore_cleanup_errors=True)
    weakref.finalize(user, folder.cleanup)
    return VectorIndex(folder.name)


def recorded_id(dataset: Dataset, brain_key: str | None) -> str | None:
    """The id of an index as the database has it now; None where there is no such run."""
    runs = foo.get_db_conn()["runs"]
    wanted = {
        "_dataset_id": dataset._doc.id,
        "key": brain_key,
        "config.index_id": {"$exists": True},
    }
    found = runs.find_one(wanted, {"config.index_id": 1})
    return found["config"]["index_id"] if found else None


def shared(index_id: str) -> bool:
    """Whether several runs use these files: a clone of a dataset has the record of the original."""
    runs = foo.get_db_conn()["runs"]
    return runs.count_documents({"config.index_id": index_id}, limit=2) > 1

"""The similarity indexes on this computer: who uses them, and what can go."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import fiftyone.core.odm as foo

from uvl_plugin.adapter.index_files import INDEX_ID, indexes_folder


@dataclass(frozen=True)
class StoredIndex:
    """The files of one index.

    Attributes:
        folder: where they are.
        n_bytes: that they take.
        used_by: ``dataset, brain key`` of each run in this database that uses them.
    """

    folder: Path
    n_bytes: int
    used_by: tuple[str, ...]

    def __str__(self) -> str:
        users = "; ".join(self.used_by) or "not used in this database"
        return f"{self.folder}  {self.n_bytes / 1e6:,.1f} MB  {users}"


def stored_indexes() -> list[StoredIndex]:
    """All of them, the largest first. Those of a dataset that was deleted stay: FiftyOne does
    not say when it deletes one."""
    folder = indexes_folder()
    if not folder.is_dir():
        return []
    places = [path for path in folder.iterdir() if INDEX_ID.fullmatch(path.name)]
    found = [StoredIndex(path, _size(path), _users(path.name)) for path in places]
    return sorted(found, key=lambda each: (-each.n_bytes, each.folder))


def delete_unused() -> list[StoredIndex]:
    """Deletes the files of indexes that no run in this database uses; those of datasets in
    another database on this computer too. Returns what was deleted."""
    unused = [each for each in stored_indexes() if not each.used_by]
    for each in unused:
        shutil.rmtree(each.folder)
    return unused


def _users(index_id: str) -> tuple[str, ...]:
    database = foo.get_db_conn()
    found = []
    for run in database["runs"].find({"config.index_id": index_id}, ["_dataset_id", "key"]):
        dataset = database["datasets"].find_one({"_id": run["_dataset_id"]}, ["name"])
        if dataset is not None:
            found.append(f"{dataset['name']}, {run['key']}")
    return tuple(sorted(found))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

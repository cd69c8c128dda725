"""Measures, prints and notes in RESULTS.md: ``python -m benchmarks [--quick] [table ...]``."""

import argparse
import importlib
import os
import shutil
import tempfile
from pathlib import Path

from benchmarks import results
from benchmarks.setting import Setting
from tests import private_database
from uvl_plugin.engine.threads import available_threads

TABLES = {  # in the order of RESULTS.md: name and file
    "light_640": "embedding",
    "light_12mp": "embedding",
    "vit": "embedding",
    "patches": "embedding",
    "writes": "writes",
    "parity": "parity",
    "memory": "memory",
    "augmentation": "augmentation",
    "learning": "learning",
    "clusters": "clusters",
    "explanation": "explanation",
    "kmeans": "kmeans",
    "neighbors": "neighbors",
    "video": "video",
    "segments": "segments",
    "motions": "motions",
    "index": "index",
    "similarity": "similarity",
    "planted_duplicates": "planted_duplicates",
    "workbench": "workbench",
    "cluster_names": "cluster_names",
    "label_efficiency": "label_efficiency",
    "gpu": "gpu",
    "gpu_training": "gpu_training",
}
_WITHOUT_FIFTYONE = {
    "parity",
    "augmentation",
    "learning",
    "clusters",
    "explanation",
    "kmeans",
    "neighbors",
    "segments",
    "motions",
    "index",
    "cluster_names",
    "label_efficiency",
    "gpu",
    "gpu_training",
}


def main() -> None:
    asked = _arguments()
    tables = asked.tables or list(TABLES)
    if not _WITHOUT_FIFTYONE.issuperset(tables):
        os.environ["FIFTYONE_DATABASE_VALIDATION"] = "false"  # else each loader process remarks
        private_database.start()
        private_database.check()
    folder = Path(tempfile.mkdtemp(prefix="uvl-benchmarks-"))
    setting = Setting(folder=folder, quick=asked.quick, threads=asked.threads, rounds=asked.rounds)
    try:
        for name in tables:
            module = importlib.import_module(f"benchmarks.{TABLES[name]}")
            section = getattr(module, name)(setting)
            print(section.text(name, setting), flush=True)
            if section.verdicts and not asked.quick:
                results.note(name, section.text(name, setting), order=list(TABLES))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="table", help=f"of {', '.join(TABLES)}")
    parser.add_argument("--quick", action="store_true", help="tiny, only to see that it runs")
    parser.add_argument("--rounds", type=int, default=5, help="each contender's turns (5)")
    parser.add_argument("--threads", type=int, default=available_threads())
    asked = parser.parse_args()
    unknown = sorted(set(asked.tables) - TABLES.keys())
    if unknown:
        parser.error(f"no such table: {', '.join(unknown)}; there are {', '.join(TABLES)}")
    return asked


if __name__ == "__main__":
    main()

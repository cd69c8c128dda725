"""Neighbour graphs on disk, so that each is computed once."""

import contextlib
import hashlib
import logging
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np

FOLDER = "UVL_CACHE"  # the environment variable that names the folder of all caches
_DEFAULT_FOLDER = "~/.uvl/cache"
_MOST_BYTES = 2 * 10**9
_VERSION = b"1"  # of the way in which neighbours are found
_ROWS = 8192
_logger = logging.getLogger(__name__)


def folder() -> Path:
    """Where graphs are kept: ``neighbors`` in the folder that ``UVL_CACHE`` names, else in
    ``~/.uvl/cache``."""
    return Path(os.environ.get(FOLDER) or _DEFAULT_FOLDER).expanduser() / "neighbors"


def key_of(vectors: np.ndarray, k: int) -> str:
    """Names the graph of these very vectors, in this order, with ``k`` neighbours."""
    digest = hashlib.blake2b(digest_size=20)
    digest.update(_VERSION + str((vectors.shape, vectors.dtype.str, k)).encode())
    for start in range(0, len(vectors), _ROWS):
        digest.update(vectors[start : start + _ROWS].tobytes())
    return digest.hexdigest()


def read(key: str, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray] | None:
    """Indices and distances, each of ``shape``; None where there is no such graph, or it is
    damaged."""
    path = folder() / f"{key}.npz"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            indices, distances = stored["indices"].astype(np.int64), stored["distances"]
        os.utime(path)  # the one used last is removed last
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        _logger.warning("'%s' is damaged (%s); the neighbours are computed again", path, error)
        return None
    if indices.shape != shape or distances.shape != shape:
        return None
    return indices, distances


def write(key: str, indices: np.ndarray, distances: np.ndarray) -> None:
    """Keeps a graph, whole or not at all; the oldest go where all take over 2 GB."""
    place = folder()
    if indices.nbytes // 2 + distances.nbytes > _MOST_BYTES:
        return
    try:
        place.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(prefix=key, suffix=".partial", dir=place)
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, indices=indices.astype(np.int32), distances=distances)
            os.replace(partial, place / f"{key}.npz")
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.remove(partial)
        _make_room(place)
    except OSError as error:  # the graph is there, only not for the next time
        _logger.warning("the neighbours cannot be kept in '%s': %s", place, error)


def _make_room(place: Path) -> None:
    """Removes the files that were used longest ago, and what was left half written."""
    total = 0
    files = [(path, path.stat()) for path in place.iterdir()]
    for path, state in sorted(files, key=lambda each: -each[1].st_mtime):
        total += state.st_size
        if total > _MOST_BYTES:
            path.unlink(missing_ok=True)

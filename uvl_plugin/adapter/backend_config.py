"""Makes the similarity backend known to FiftyOne: an entry in its brain configuration."""

import json
from pathlib import Path

from uvl_plugin.adapter.user_config import brain_config_path, read_json
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.whole_file import write_whole

BACKEND = "faiss"
CONFIG_CLASS = "uvl_plugin.adapter.similarity_faiss.FaissSimilarityConfig"


def is_known() -> bool:
    """Whether ``fob.compute_similarity(..., backend="faiss")`` finds the backend in any process."""
    return _entry(read_json(brain_config_path())).get("config_cls") == CONFIG_CLASS


def make_known() -> Path | None:
    """Adds the backend to FiftyOne's brain configuration, and leaves the rest as it is.

    Returns:
        The file; None where it says so already.

    Raises:
        DataError: if the file is not valid JSON, or names another backend so.
    """
    if is_known():
        return None
    path = brain_config_path()
    content = read_json(path)
    taken = _entry(content).get("config_cls")
    if taken is not None:
        raise DataError(
            f"'{path}' has another similarity backend '{BACKEND}' ({taken}); give it another name "
            "there, or remove it."
        )
    backends = content.setdefault("similarity_backends", {})
    backends[BACKEND] = _entry(content) | {"config_cls": CONFIG_CLASS}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(content, indent=4).encode())
    return path


def _entry(content: dict) -> dict:
    return dict(content.get("similarity_backends", {}).get(BACKEND) or {})

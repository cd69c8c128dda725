from collections.abc import Callable
from pathlib import Path

import pytest

from tests.media import videos


@pytest.fixture(scope="session")
def video_of(tmp_path_factory) -> Callable[[str], Path]:
    """A video by the name of its kind, made when it is first asked for."""
    folder = tmp_path_factory.mktemp("videos")

    def get(kind: str) -> Path:
        path = folder / kind
        return path if path.exists() else videos.KINDS[kind](path)

    return get

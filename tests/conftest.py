"""What all tests share."""

import os
import signal
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("uvl", max_examples=50, deadline=None, derandomize=True)
hypothesis.settings.load_profile("uvl")


def pytest_configure() -> None:
    """Tests send ctrl-C to programs that they start, which ignore it where a shell started the
    tests in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images and weights; mark what uses it ``real_data``."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("UVL_TEST_DATA") or beside)
    if not (folder / "images").is_dir():
        pytest.skip(f"no real images in '{folder}'; set UVL_TEST_DATA to their folder")
    return folder

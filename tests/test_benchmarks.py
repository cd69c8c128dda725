"""The benchmarks run; their figures are not tested."""

import os
import subprocess
import sys

import pytest

from tests.private_database import REPOSITORY


@pytest.mark.real_data
def test_the_benchmarks_run(real_data):
    command = [sys.executable, "-m", "benchmarks", "--quick", "--rounds", "1", "writes", "gpu"]
    environment = {**os.environ, "UVL_TEST_DATA": str(real_data)}
    before = (REPOSITORY / "benchmarks" / "RESULTS.md").read_text()
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "set_values" in done.stdout
    assert (REPOSITORY / "benchmarks" / "RESULTS.md").read_text() == before

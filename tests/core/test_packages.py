import platform
import sys

import numpy
import pytest

from uvl_plugin.core.errors import MissingPackageError
from uvl_plugin.core.packages import check_installed, versions


def test_a_package_that_is_there_raises_nothing():
    check_installed("numpy", package="numpy", needed_by="This test")


def test_a_missing_package_is_named_with_the_line_that_installs_it():
    with pytest.raises(MissingPackageError) as caught:
        check_installed("uvl_no_such_module", package="uvl-no-such", needed_by="The UMAP method")
    assert str(caught.value) == (
        f"The UMAP method needs the package 'uvl-no-such': {sys.executable} -m pip install "
        "uvl-no-such"
    )
    assert isinstance(caught.value, ImportError)


def test_versions_are_those_installed():
    assert versions(("numpy", "uvl-no-such")) == {
        "python": platform.python_version(),
        "numpy": numpy.__version__,
    }

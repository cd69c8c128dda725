import pytest

from tests.browser.driver import installed_chromium, served
from tests.fiftyone_fixtures import *  # the fixtures, and FiftyOne on a private database


@pytest.fixture(scope="module")
def all_digits(tmp_path_factory):
    """All 1,797 handwritten digits of scikit-learn, as a dataset of PNG files."""
    import fiftyone as fo

    from uvl_plugin.adapter.demo import write_digits

    files = write_digits(tmp_path_factory.mktemp("digits"))
    dataset = fo.Dataset("digits")
    dataset.add_samples(
        [
            fo.Sample(filepath=str(path), label=fo.Classification(label=label))
            for path, label in files
        ],
        progress=False,
    )
    yield dataset
    dataset.delete()


@pytest.fixture(scope="module")
def address(all_digits):
    """Where a real App server answers."""
    with served(all_digits) as address:
        yield address


@pytest.fixture
def app():
    """The App in Chromium, on a new page."""
    with installed_chromium() as app:
        yield app

"""Fixtures for tests that need FiftyOne; the conftest of such a folder imports them."""

import numpy as np
import pytest
from PIL import Image

from tests import private_database

FOLDER = private_database.start()


@pytest.fixture(scope="session", autouse=True)
def private_database_in_use() -> None:
    private_database.check()


@pytest.fixture(scope="session")
def digit_files(tmp_path_factory):
    """Path and digit of 200 of scikit-learn's handwritten digits, 20 of each."""
    from sklearn.datasets import load_digits

    folder, digits, files = tmp_path_factory.mktemp("digits"), load_digits(), []
    for digit in range(10):
        for number in np.flatnonzero(digits.target == digit)[:20]:
            path = folder / f"{digit}_{number:04}.png"
            Image.fromarray(np.rint(digits.images[number] * 255 / 16).astype(np.uint8)).save(path)
            files.append((str(path), str(digit)))
    return files


@pytest.fixture
def make_dataset():
    """Makes datasets of image files, and deletes them after the test."""
    import fiftyone as fo

    made = []

    def make(paths, labels=None):
        dataset = fo.Dataset()
        made.append(dataset)
        samples = [fo.Sample(filepath=str(path)) for path in paths]
        for sample, label in zip(samples, labels or (), strict=False):
            sample["label"] = fo.Classification(label=label)
        dataset.add_samples(samples, progress=False)
        return dataset

    yield make
    for dataset in made:
        if not dataset.deleted:
            dataset.delete()


@pytest.fixture
def digits(make_dataset, digit_files):
    """200 digits with their truth in the field 'label'."""
    return make_dataset(*zip(*digit_files, strict=True))


@pytest.fixture
def bad_files(tmp_path):
    """Files that cannot be read, by the reason that is given for them."""
    good = tmp_path / "good.jpg"
    Image.effect_noise((64, 64), 50).save(good)
    truncated = tmp_path / "truncated.jpg"
    truncated.write_bytes(good.read_bytes()[:500])
    empty = tmp_path / "empty.png"
    empty.touch()
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    return {
        "file not found": tmp_path / "missing.png",
        "truncated": truncated,
        "empty file": empty,
        "not an image": text,
    }

"""Small trainings on real handwritten digits."""

import dataclasses

import numpy as np
import pytest

from uvl_plugin.backbones.checkpoint import FOLDER
from uvl_plugin.backbones.compact import CompactCNN
from uvl_plugin.media.sources import ImageFile
from uvl_plugin.training.augmentation.glyph import Glyph
from uvl_plugin.training.methods.simclr import SimCLR
from uvl_plugin.training.recipe import Recipe
from uvl_plugin.training.task import Task


@pytest.fixture(scope="session")
def digit_sources(tmp_path_factory) -> list[ImageFile]:
    """The first 160 of scikit-learn's digits, 8 x 8 pixels."""
    from PIL import Image
    from sklearn.datasets import load_digits

    folder, sources = tmp_path_factory.mktemp("digits"), []
    for number, picture in enumerate(load_digits().images[:160]):
        path = folder / f"{number:03}.png"
        Image.fromarray(np.rint(picture * 255 / 16).astype(np.uint8)).save(path)
        sources.append(ImageFile(f"item{number:03}", str(path)))
    return sources


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    """An empty folder for checkpoints."""
    monkeypatch.setenv(FOLDER, str(tmp_path / "checkpoints"))
    return tmp_path / "checkpoints"


@pytest.fixture
def make_task(digit_sources, checkpoints):
    """Makes tasks of two seconds: 128 digits to train with, 32 to watch."""

    def make(name="digits", *, method=None, backbone=None, **recipe) -> Task:
        return Task(
            name,
            backbone or CompactCNN(input_size=16, width=8, dim=16),
            method or SimCLR(),
            Glyph(),
            Recipe(**{"epochs": 3, "batch_size": 32, "device": "cpu", "threads": 2, **recipe}),
            digit_sources[:128],
            digit_sources[128:],
            {"dataset": "digits"},
        )

    return make


@pytest.fixture
def changed():
    """A task with another recipe."""

    def change(task: Task, **recipe) -> Task:
        return dataclasses.replace(task, recipe=dataclasses.replace(task.recipe, **recipe))

    return change

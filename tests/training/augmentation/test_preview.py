import io

import numpy as np
import pytest
from PIL import Image

from uvl_plugin.training.augmentation.base import Augmentation, augmentations
from uvl_plugin.training.augmentation.preview import preview, preview_png


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_the_sheet_has_each_image_beside_its_view():
    images = noise(16, 24, 24, 3)
    sheet = preview(images, Augmentation(flip_horizontal=1.0), size=24)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (4 * 24 + 3 * 4, 4 * 48 + 3 * 4, 3)
    assert (sheet[:24, :24] == images[0]).all()
    assert (sheet[:24, 24:48] == images[0, :, ::-1]).all()
    last = sheet[-24:, -48:]
    assert (last[:, :24] == images[15]).all()


@pytest.mark.parametrize("n", [1, 3, 7])
@pytest.mark.parametrize("name", augmentations.names())
def test_any_number_of_images_makes_a_sheet(n, name):
    images = noise(n, 30, 20, 3)
    first, again, other = (
        preview(images, augmentations[name](), seed=seed, size=32) for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_a_sheet_becomes_a_picture_file():
    images = noise(4, 16, 16, 3)
    file = preview_png(images, Augmentation(), size=40)
    with Image.open(io.BytesIO(file)) as picture:
        assert picture.format == "PNG"
        assert (np.asarray(picture) == preview(images, Augmentation(), size=40)).all()

import numpy as np
import pytest
from PIL import Image

from uvl_plugin.training.augmentation.choice import suitable_augmentation
from uvl_plugin.training.augmentation.glyph import Glyph
from uvl_plugin.training.augmentation.photo import Photo


def grey(n: int, side: int) -> np.ndarray:
    drawn = np.random.default_rng(0).integers(0, 256, (n, side, side, 1), dtype=np.uint8)
    return drawn.repeat(3, axis=3)


def test_small_pictures_without_colour_are_glyphs():
    assert suitable_augmentation(grey(4, 28)) == Glyph()
    assert suitable_augmentation(grey(4, 63)) == Glyph()


def test_everything_else_is_a_photo():
    coloured = grey(4, 28)
    coloured[..., 0] //= 2
    for images in (coloured, grey(4, 64), grey(0, 28)):
        assert suitable_augmentation(images) == Photo()


def test_the_noise_of_a_file_format_is_no_colour():
    almost = np.clip(grey(4, 28).astype(int) + np.array([1, 0, -2]), 0, 255).astype(np.uint8)
    assert suitable_augmentation(almost) == Glyph()


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("files", "wanted"), [("mnist/*/*.png", Glyph), ("flowers5/*/*.jpg", Photo)]
)
def test_real_images_get_what_suits_them(real_data, files, wanted):
    paths = sorted((real_data / "images").glob(files))[::300]
    images = np.stack(
        [np.asarray(Image.open(path).convert("RGB").resize((28, 28))) for path in paths]
    )
    assert type(suitable_augmentation(images)) is wanted

"""Brightness, contrast and sharpness of pictures, and what is poor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from tests.curation.test_alike import photo
from uvl_plugin.core.errors import SettingsError
from uvl_plugin.curation.quality import Figures, Quality, enough, measured
from uvl_plugin.media.images import read_image


def sharp(seed=0):
    """A photograph with fine lines in one corner, and a smooth background elsewhere."""
    pixels = photo(seed)
    pixels[:90, :120:4] = 10
    return pixels


def blurred(pixels, share=0.01):
    radius = share * max(pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def clipped(pixels):
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


POOR = {
    "": lambda pixels: pixels,
    "blurred": blurred,
    "dark": lambda pixels: clipped(0.15 * pixels),
    "overexposed": lambda pixels: clipped(0.5 * pixels + 160.0),
    "blank": lambda pixels: clipped(pixels * 0.02 + 100),
}


def issues(images, quality=None):
    rows = np.stack([measured(np.ascontiguousarray(image)) for image in images])
    return (quality or Quality()).issues(Figures.of(rows)).tolist()


@pytest.mark.parametrize("issue", POOR)
def test_each_issue_is_found(issue):
    assert issues([POOR[issue](sharp(seed)) for seed in range(5)]) == [issue] * 5


def test_figures_are_what_they_are_called():
    halves = np.zeros((100, 100, 3), np.uint8)
    halves[:, 50:] = 255
    figures = measured(halves)
    assert figures[:2] == pytest.approx([0.5, 1.0])
    assert figures[3:] == pytest.approx([0.0, 1.0])
    plain = measured(np.full((100, 100, 3), 51, np.uint8))
    assert plain == pytest.approx([0.2, 0.0, 0.0, 0.2, 0.2])


def test_figures_hardly_depend_on_the_size_or_the_contrast():
    pixels = np.repeat(np.repeat(sharp(), 4, axis=0), 4, axis=1)  # 960 x 1280
    smaller = np.asarray(Image.fromarray(pixels).resize((320, 240), Image.Resampling.BOX))
    fainter = clipped(64 + 0.5 * smaller)
    assert measured(pixels) == pytest.approx(measured(smaller), rel=0.02)
    assert measured(fainter)[2] == pytest.approx(measured(smaller)[2], rel=0.1)


def test_the_worst_issue_counts():
    black = np.zeros((40, 40, 3), np.uint8)
    assert issues([black, blurred(clipped(0.15 * sharp()))]) == ["blank", "dark"]


def test_settings_decide():
    assert issues([sharp()], Quality(sharpness=100)) == ["blurred"]
    assert issues([blurred(sharp())], Quality(sharpness=0)) == [""]
    with pytest.raises(SettingsError, match="dark must be at most 1"):
        Quality(dark=2)


@given(st.integers(1, 40), st.integers(1, 600), st.integers(0, 20))
def test_every_size_can_be_measured(height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    figures = measured(pixels)
    assert figures.shape == (5,)
    assert np.isfinite(figures).all()
    assert 0 <= figures[3] <= figures[4] <= 1


def test_a_file_is_decoded_as_far_as_it_takes():
    assert enough(3000, 4000) == (384, 512)
    assert enough(100, 80) == (100, 80)
    assert enough(1, 100_000) == (1, 512)


@pytest.mark.real_data
def test_hardly_a_good_picture_is_called_poor_and_planted_ones_are(real_data):
    folder = real_data / "images"
    flowers = sorted((folder / "flowers5").glob("*/*.jpg"))[1::16]
    small = sorted((folder / "cifar10").glob("*/*.jpg"))[1::20]
    digits = sorted((folder / "mnist").glob("*/*.png"))[1::30]
    photos = [read_image(str(path)) for path in flowers]
    for images in (photos, [read_image(str(path)) for path in (*small, *digits)]):
        assert sum(issue != "" for issue in issues(images)) <= 0.02 * len(images)
    for issue in ("blurred", "dark", "blank"):
        found = issues([POOR[issue](image) for image in photos])
        assert found.count(issue) >= 0.98 * len(photos)

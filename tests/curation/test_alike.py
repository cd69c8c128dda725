"""Whether two pictures show the same."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from uvl_plugin.curation.alike import NUMBERS, Thumbnails, alike, enough, thumbnail


def photo(seed: int, size: tuple[int, int] = (240, 320)) -> np.ndarray:
    """Blobs of colour of several sizes, like those of a photograph."""
    random = np.random.default_rng(seed)
    layers = []
    for cells in (3, 6, 12, 24):
        small = random.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        big = Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC)
        layers.append(np.asarray(big, np.float32) / cells)
    mixed = sum(layers)
    return np.rint(20 + 190 * mixed / mixed.max()).astype(np.uint8)


def resized(pixels, share):
    height, width = (round(share * length) for length in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def as_jpeg(pixels, quality):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


ALTERED = {
    "jpeg 85": lambda pixels: as_jpeg(pixels, 85),
    "jpeg 50": lambda pixels: as_jpeg(pixels, 50),
    "half": lambda pixels: resized(pixels, 0.5),
    "double": lambda pixels: resized(pixels, 2),
    "darker": lambda pixels: (0.8 * pixels).astype(np.uint8),
    "brighter": lambda pixels: np.minimum(1.2 * pixels, 255).astype(np.uint8),
    "cut on all sides": lambda pixels: pixels[6:-6, 8:-8],
    "cut at a corner": lambda pixels: pixels[12:, :-16],
}


def pictures_of(images) -> Thumbnails:
    pictures = Thumbnails.none(len(images))
    for row, pixels in enumerate(images):
        pictures.put(row, thumbnail(np.ascontiguousarray(pixels)))
    return pictures


def are_alike(first, second) -> bool:
    found = alike(pictures_of([first, second]), np.array([0, 1]), np.array([1, 0]))
    assert found[0] == found[1]
    return bool(found[0])


@pytest.mark.parametrize("kind", ALTERED)
def test_altered_copies_are_alike(kind):
    for seed in range(4):
        assert are_alike(photo(seed), ALTERED[kind](photo(seed)))


def test_different_pictures_are_not():
    pictures = pictures_of([photo(seed) for seed in range(30)])
    left, right = np.triu_indices(30, 1)
    assert not alike(pictures, left, right).any()


def test_two_moments_of_one_scene_are_not():
    before, after = photo(0), photo(0)
    before[100:150, 60:85] = after[100:150, 200:225] = (250, 240, 230)
    assert not are_alike(before, after)


def test_the_same_shape_in_another_colour_is_not():
    red, blue = np.full((2, 100, 100, 3), 255, np.uint8)
    red[30:70, 30:70], blue[30:70, 30:70] = (200, 40, 40), (40, 40, 200)
    assert not are_alike(red, blue)
    assert are_alike(red, as_jpeg(red, 60))


def test_plain_pictures_are_alike_if_they_have_the_same_colour():
    colours = [(0, 0, 0), (2, 1, 0), (255, 255, 255), (120, 120, 120), (120, 60, 60)]
    plain = pictures_of([np.full((50, 60, 3), colour, np.uint8) for colour in colours])
    left, right = np.triu_indices(len(colours), 1)
    found = alike(plain, left, right)
    assert [(a, b) for a, b, same in zip(left, right, found, strict=True) if same] == [(0, 1)]


def test_a_plain_picture_is_not_like_one_of_something():
    faint = np.full((100, 100, 3), 128, np.uint8)
    faint[20:60, 30:50] = 168
    assert not are_alike(np.full((100, 100, 3), 131, np.uint8), faint)


def test_a_picture_that_is_not_known_is_like_no_other():
    pictures = Thumbnails.none(3)
    assert not alike(pictures, np.array([0, 1]), np.array([1, 2])).any()


def test_no_pairs():
    none = np.zeros(0, np.int64)
    assert alike(Thumbnails.none(0), none, none).shape == (0,)


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 100))
def test_every_size_has_a_thumbnail_and_is_like_itself(height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    numbers = thumbnail(pixels)
    assert numbers.shape == (NUMBERS,)
    assert numbers[-1] == min(height, width)
    assert are_alike(pixels, pixels)


def test_small_pictures_are_compared_by_what_an_encoding_leaves():
    for seed in range(4):
        small = resized(photo(seed), 0.15)
        assert small.shape == (36, 48, 3)
        assert are_alike(small, as_jpeg(small, 60))
        assert are_alike(small, resized(small, 2))


def test_a_file_is_decoded_as_far_as_it_takes():
    assert enough(3000, 4000) == (128, 128)
    assert enough(100, 4000) == (100, 128)


def test_progress_ends_at_1():
    said = []
    pictures = pictures_of([photo(0)] * 2)
    rows = np.zeros(600, np.int64)
    alike(pictures, rows, rows + 1, lambda share, message: said.append(share))
    assert said == sorted(said)
    assert (len(said), said[-1]) == (3, 1.0)

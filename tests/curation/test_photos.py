"""The usual threshold and cut on photographs, with real weights."""

from functools import partial

import numpy as np
import pytest

from tests.curation.test_alike import as_jpeg, pictures_of, resized
from uvl_plugin.backbones.timm import Timm
from uvl_plugin.curation.alike import alike
from uvl_plugin.curation.confirmed import Candidates, candidates, confirmed
from uvl_plugin.curation.duplicates import near_duplicates, usual_threshold
from uvl_plugin.curation.outlying import outlying, usual_cut
from uvl_plugin.media.images import read_image

pytestmark = pytest.mark.real_data

PHOTOS = 120


@pytest.fixture(scope="module")
def encode(real_data):
    weights = real_data / "weights/timm/mobilenetv2_100_imagenet.safetensors"
    half = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    backbone = Timm(
        model="mobilenetv2_100", options='{"pad_type": "same"}', weights=str(weights), **half
    )
    encoder = backbone.load("cpu")
    return lambda images: encoder.encode([encoder.preprocess(image) for image in images])


@pytest.fixture(scope="module")
def photos(real_data) -> list[np.ndarray]:
    paths = sorted((real_data / "images/flowers5").glob("*/*.*"))
    return [read_image(str(path)) for path in paths[:: len(paths) // PHOTOS]][:PHOTOS]


@pytest.fixture(scope="module")
def vectors(photos, encode) -> np.ndarray:
    return encode(photos)


def darker(photo) -> np.ndarray:
    return (0.8 * photo).astype(np.uint8)


def cropped(photo) -> np.ndarray:
    height, width = (length // 40 for length in photo.shape[:2])
    return photo[height:-height, width:-width].copy()


def test_copies_that_were_darkened_or_cropped_are_found_and_other_photos_are_not(
    photos, vectors, encode
):
    altered = [darker(photo) for photo in photos[:15]] + [cropped(photo) for photo in photos[15:30]]
    every = np.concatenate([vectors, encode(altered)])
    photo = np.concatenate([np.arange(PHOTOS), np.arange(30)])
    found = near_duplicates(every, usual_threshold(every))
    assert (~found.kept[PHOTOS:]).mean() >= 0.95
    assert (photo[found.of] == photo)[~found.kept].mean() >= 0.95


def test_strongly_altered_copies_are_confirmed_by_their_pixels_and_nothing_else(
    photos, vectors, encode
):
    altered = [as_jpeg(photo, 50) for photo in photos[:15]]
    altered += [resized(photo, 0.5) for photo in photos[15:30]]
    every = np.concatenate([vectors, encode(altered)])
    pictures = pictures_of([*photos, *altered])
    near = candidates(every)
    same = alike(pictures, near.left, near.right)
    agreeing = Candidates(near.left[same], near.right[same], near.reach)
    found = confirmed(every, agreeing, partial(alike, pictures))
    assert (~found.kept[PHOTOS:]).mean() >= 0.95
    photo = np.concatenate([np.arange(PHOTOS), np.arange(30)])
    assert (photo[found.of] == photo).all()


def test_noise_and_plain_colours_are_odder_than_photos_and_some_are_outliers(vectors, encode):
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (224, 224, 3), dtype=np.uint8) for _ in range(2)]
    plain = [np.full((224, 224, 3), grey, np.uint8) for grey in (0, 255)]
    scores = outlying(np.concatenate([vectors, encode(noise + plain)]))
    assert scores[PHOTOS:].min() > np.quantile(scores[:PHOTOS], 0.95)
    odd = scores > usual_cut(scores)
    assert odd[PHOTOS:].sum() >= 2  # the plain ones
    assert odd[:PHOTOS].mean() <= 0.05

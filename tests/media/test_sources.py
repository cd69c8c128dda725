import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from uvl_plugin.core.errors import DataError
from uvl_plugin.media.images import read_image
from uvl_plugin.media.sources import Crops, ImageFile, crop

shares = st.floats(-0.5, 1.5, allow_nan=False)
lengths = st.just(0.0) | st.floats(1e-6, 2.0)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_a_box_is_cut_out_by_its_corners(image):
    assert np.array_equal(crop(image, (0.25, 0.1, 0.5, 0.5)), image[4:24, 15:45])
    assert np.array_equal(crop(image, (0, 0, 1, 1)), image)


def test_a_margin_is_added_half_on_each_side_and_ends_with_the_image(image):
    assert np.array_equal(crop(image, (0.5, 0.5, 0.2, 0.2), margin=1.0), image[16:32, 24:48])
    assert np.array_equal(crop(image, (0.0, 0.0, 0.2, 0.2), margin=1.0), image[0:12, 0:18])
    assert np.array_equal(crop(image, (0.4, 0.4, 0.1, 0.1), margin=10), image)


@given(left=shares, top=shares, width=lengths, height=lengths, margin=st.floats(0, 10))
def test_a_crop_is_a_part_of_the_image_or_an_error(left, top, width, height, margin):
    rows, columns = np.mgrid[0:11, 0:17]
    image = np.stack([rows, columns, rows], axis=2).astype(np.uint8)
    inside = width > 0 and height > 0
    inside = inside and left + width * (1 + margin / 2) > 0 and left - width * margin / 2 < 1
    inside = inside and top + height * (1 + margin / 2) > 0 and top - height * margin / 2 < 1
    if not inside:
        with pytest.raises(DataError, match="holds nothing of the image"):
            crop(image, (left, top, width, height), margin)
        return
    found = crop(image, (left, top, width, height), margin)
    assert found.size
    first, last = found[0, 0, :2], found[-1, -1, :2]
    assert np.array_equal(found, image[first[0] : last[0] + 1, first[1] : last[1] + 1])


def test_a_box_smaller_than_a_pixel_is_the_pixel_it_lies_in(image):
    assert np.array_equal(crop(image, (0.501, 0.501, 1e-6, 1e-6)), image[20:21, 30:31])


@pytest.mark.parametrize("box", [(float("nan"), 0, 1, 1), (0, 0, float("inf"), 1), (0, 2, 1, 1)])
def test_an_impossible_box_is_an_error(image, box):
    with pytest.raises(DataError, match="holds nothing of the image"):
        crop(image, box)


def test_sources_give_their_items_by_key(image, tmp_path):
    path = str(tmp_path / "image.png")
    Image.fromarray(image).save(path)
    ((key, pixels),) = ImageFile("a", path).read(read_image)
    assert key == "a"
    assert np.array_equal(pixels, image)
    crops = Crops(path, {"b": (0, 0, 0.5, 1), "c": (0, 0, 0, 0), "d": (0.5, 0, 0.5, 1)})
    assert crops.keys == ("b", "c", "d")
    found = dict(crops.read(read_image))
    assert np.array_equal(found["b"], image[:, :30])
    assert np.array_equal(found["d"], image[:, 30:])
    assert isinstance(found["c"], DataError)

import numpy as np
import pytest
from PIL import Image

from uvl_plugin.backbones.pixels import Pixels


@pytest.mark.parametrize("size", [1, 8, 16])
def test_the_vector_is_the_squeezed_picture(size):
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    encoder = Pixels(size=size).load("cpu")
    vector = encoder.encode([encoder.preprocess(np.asarray(image))])[0]
    small = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)) / 255
    assert encoder.dim == 3 * size**2
    assert vector == pytest.approx(small.transpose(2, 0, 1).ravel(), abs=1.01 / 255)

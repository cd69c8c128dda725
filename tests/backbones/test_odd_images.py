"""Pictures of every odd kind through every preset, with the same networks but few layers."""

import dataclasses
import time

import numpy as np
import pytest
from PIL import Image

from uvl_plugin.backbones.presets import presets
from uvl_plugin.media.images import read_image

MEGAPIXELS = (4000, 3000)
PATIENCE = 20  # seconds on a busy machine, reading and the network included


def colours(width, height) -> Image.Image:
    """A smooth picture with all three colours."""
    across, down = np.linspace(0, 255, width), np.linspace(0, 255, height)
    pixels = np.stack(
        [
            np.broadcast_to(across, (height, width)),
            np.broadcast_to(down[:, None], (height, width)),
            np.broadcast_to(255 - across, (height, width)),
        ],
        axis=2,
    )
    return Image.fromarray(pixels.astype(np.uint8))


def deep(width, height) -> Image.Image:
    return Image.fromarray(np.arange(width * height, dtype=np.uint16).reshape(height, width) * 40)


def saved_all(image, path):
    image.save(path, save_all=True, append_images=[image.rotate(90)], duration=50)


WRITE = {
    "one_pixel.png": lambda path: colours(1, 1).save(path),
    "very_wide.png": lambda path: colours(3000, 2).save(path),
    "very_tall.jpg": lambda path: colours(2, 3000).save(path),
    "gray.jpg": lambda path: colours(60, 40).convert("L").save(path),
    "gray_alpha.png": lambda path: colours(60, 40).convert("LA").save(path),
    "rgba.png": lambda path: colours(60, 40).convert("RGBA").save(path),
    "palette.png": lambda path: colours(60, 40).convert("P").save(path),
    "bilevel.png": lambda path: colours(60, 40).convert("1").save(path),
    "cmyk.jpg": lambda path: colours(60, 40).convert("CMYK").save(path),
    "deep.png": lambda path: deep(60, 40).save(path),
    "deep.tif": lambda path: deep(60, 40).save(path),
    "animated.gif": lambda path: saved_all(colours(60, 40), path),
    "animated.webp": lambda path: saved_all(colours(60, 40), path),
    "megapixels.jpg": lambda path: colours(*MEGAPIXELS).save(path),
    "megapixels.webp": lambda path: colours(*MEGAPIXELS).save(path, method=0),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    for name, write in WRITE.items():
        write(folder / name)
    return folder


def shallow(backbone):
    """The backbone with random weights, and one layer where it can be told so."""
    if backbone.name == "timm":
        options = '{"depth": 1}' if backbone.model.startswith("vit_") else ""
        return dataclasses.replace(backbone, weights="untrained", options=options)
    if backbone.name == "open_clip":  # a smaller one, prepared in the same way
        small = "ViT-S-32-alt" if backbone.model == "ViT-B-32" else "MobileCLIP2-S0"
        return dataclasses.replace(backbone, model=small, pretrained="untrained")
    return (
        backbone
        if backbone.name == "pixels"
        else dataclasses.replace(backbone, weights="untrained")
    )


@pytest.fixture(scope="module", params=presets)
def encoder(request):
    preset = presets[request.param]
    loaded = shallow(preset.backbone).load("cpu")
    if preset.backbone.name != "open_clip":
        assert loaded.dim == preset.dim
    return loaded


@pytest.mark.parametrize("name", WRITE)
def test_odd_pictures_get_vectors(name, encoder, files):
    start = time.perf_counter()
    prepare = encoder.preprocess
    image = prepare(read_image(str(files / name), enough=prepare.smallest_source))
    assert image.shape == (prepare.size, prepare.size, 3)
    assert image.dtype == np.uint8
    (vector,) = encoder.encode([image])
    assert time.perf_counter() - start < PATIENCE
    assert vector.shape == (encoder.dim,)
    assert np.isfinite(vector).all()

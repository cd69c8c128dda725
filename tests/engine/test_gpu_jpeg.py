"""The parts of decoding on a GPU that a processor can do too; on a machine with one, that itself."""

import numpy as np
import pytest
import torch
from PIL import Image

from uvl_plugin.backbones.base import Encoder
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.engine.gpu_jpeg import GpuJpegEncoder
from uvl_plugin.engine.precision import cosines
from uvl_plugin.media.images import JpegFile, read_image, read_jpeg

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
    ),
]


@pytest.fixture(params=DEVICES)
def encoders(request):
    preprocess = Preprocess(size=24, resize=32, interpolation="BICUBIC")
    plain = Encoder(torch.nn.Flatten(), preprocess, torch.device(request.param))
    return plain, GpuJpegEncoder(plain)


@pytest.fixture
def photos(tmp_path):
    """JPEG files in all orientations, of several sizes, grey, CMYK; a PNG; truncated ones."""
    across, down = np.meshgrid(np.linspace(0, 9, 90), np.linspace(0, 7, 70))
    waves = [np.sin(across * k) * np.cos(down / k) for k in (1, 2, 3)]
    image = Image.fromarray((127.5 + 127.5 * np.stack(waves, axis=2)).astype(np.uint8))
    files = {}
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        files[f"{orientation}.jpg"] = lambda path, exif=exif: image.save(path, exif=exif)
    files["grey.jpg"] = image.convert("L").save
    files["cmyk.jpg"] = image.convert("CMYK").save
    files["wide.jpg"] = image.resize((900, 20)).save
    files["photo.png"] = image.save
    for name, save in files.items():
        save(tmp_path / name)
    return [str(tmp_path / name) for name in files]


def test_the_vectors_are_those_of_the_processor(encoders, photos):
    plain, on_device = encoders
    given = [on_device.preprocess(read_jpeg(path)) for path in photos]
    assert sum(isinstance(image, JpegFile) for image in given) == len(photos) - 2
    vectors = on_device.encode(given)
    expected = plain.encode([plain.preprocess(read_image(path)) for path in photos])
    assert cosines(vectors, expected).min() > 0.9999
    assert np.abs(vectors - expected).mean() < 0.004  # of 1: one level of 255


def test_a_file_that_the_device_cannot_decode_costs_only_itself(encoders, photos, tmp_path):
    plain, on_device = encoders
    broken = JpegFile(str(tmp_path / "gone.jpg"), b"\xff\xd8 nothing \xff\xd9", 1)
    given = [read_jpeg(photos[0]), broken, read_jpeg(photos[3])]
    vectors = on_device.encode(given)
    assert np.isnan(vectors[1]).all()
    expected = plain.encode([plain.preprocess(read_image(path)) for path in (photos[0], photos[3])])
    assert cosines(vectors[[0, 2]], expected).min() > 0.9999


def test_incomplete_files_are_judged_by_the_processor(photos, tmp_path):
    path = tmp_path / "half.jpg"
    with open(photos[0], "rb") as file:
        path.write_bytes(file.read()[:-200])
    with pytest.raises(ValueError, match="truncated"):
        read_jpeg(str(path))


def test_precision_is_that_of_the_network(encoders):
    plain, on_device = encoders
    on_device.precision = "bf16"
    assert plain.precision == "bf16"
    assert on_device.dim == plain.dim
    assert len(on_device.buffer(3)) == 3

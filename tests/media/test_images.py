"""Files as people have them, each compared with the picture that went in."""

import os

import numpy as np
import pytest
from PIL import Image, ImageOps

from uvl_plugin.core.errors import DataError
from uvl_plugin.media.images import image_size, read_image

# How each EXIF orientation stores an upright picture, by the words of the standard: where the
# first row and the first column of the file lie in the picture.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[:, ::-1],
}


def pixels(path) -> np.ndarray:
    """What is read, shape (height, width, 3)."""
    found = read_image(str(path))
    assert found.dtype == np.uint8
    return found


@pytest.fixture
def grey():
    """A gradient of all 256 values, 8 rows."""
    return np.tile(np.arange(256, dtype=np.uint8), (8, 1))


@pytest.fixture
def colours():
    """A picture of 20 x 30 with no symmetry."""
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_grey_becomes_equal_colours(tmp_path, grey):
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert (pixels(tmp_path / "grey.png") == grey[..., None]).all()


def test_one_bit_becomes_black_and_white(tmp_path, grey):
    bits = grey > 99
    Image.fromarray(bits).save(tmp_path / "bits.png")
    with Image.open(tmp_path / "bits.png") as stored:
        assert stored.mode == "1"
    assert (pixels(tmp_path / "bits.png") == bits[..., None] * 255).all()


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp"])
def test_a_palette_becomes_its_colours(tmp_path, suffix):
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 200, 0, 0, 0, 90])
    image.putdata([2, 0, 1])
    image.save(tmp_path / f"palette.{suffix}")
    expected = [[[0, 0, 90], [255, 0, 0], [0, 200, 0]]]
    assert pixels(tmp_path / f"palette.{suffix}").tolist() == expected


@pytest.mark.parametrize(
    ("suffix", "transparency"), [("png", 2), ("gif", 2), ("png", bytes([255, 255, 0]))]
)
def test_the_transparent_part_of_a_palette_becomes_white(tmp_path, suffix, transparency):
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 200, 0, 0, 0, 90])
    image.putdata([2, 0, 1])
    image.save(tmp_path / f"palette.{suffix}", transparency=transparency)
    expected = [[[255, 255, 255], [255, 0, 0], [0, 200, 0]]]
    assert pixels(tmp_path / f"palette.{suffix}").tolist() == expected


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
def test_transparency_is_laid_on_white(tmp_path, colours, suffix):
    alpha = np.random.default_rng(1).integers(0, 256, (20, 30, 1), dtype=np.uint8)
    image = Image.fromarray(np.concatenate([colours, alpha], axis=2))
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    image.save(tmp_path / f"rgba.{suffix}", **options)
    on_white = 255 + (colours.astype(float) - 255) * (alpha / 255)
    assert np.abs(pixels(tmp_path / f"rgba.{suffix}") - on_white).max() <= 1


def test_grey_with_transparency_is_laid_on_white(tmp_path, grey):
    alpha = np.full_like(grey, 51)  # one fifth
    Image.fromarray(np.stack([grey, alpha], axis=2)).save(tmp_path / "la.png")
    on_white = 255 + (grey.astype(float) - 255) / 5
    assert np.abs(pixels(tmp_path / "la.png") - on_white[..., None]).max() <= 1


def test_a_transparent_colour_becomes_white(tmp_path):
    image = Image.fromarray(np.array([[[0, 0, 0], [10, 20, 30]]], np.uint8))
    image.save(tmp_path / "rgb.png", transparency=(0, 0, 0))
    assert pixels(tmp_path / "rgb.png").tolist() == [[[255, 255, 255], [10, 20, 30]]]


def test_cmyk_becomes_its_colour(tmp_path):
    printed = Image.new("RGB", (16, 16), (200, 60, 30)).convert("CMYK")
    printed.save(tmp_path / "cmyk.jpg", quality=95)
    assert np.abs(pixels(tmp_path / "cmyk.jpg") - [200.0, 60.0, 30.0]).max() <= 4


def test_sixteen_bits_keep_order_and_brightness(tmp_path):
    values = np.linspace(0, 65535, 8 * 512).astype(np.uint16).reshape(8, 512)
    Image.fromarray(values).save(tmp_path / "deep.png")
    with Image.open(tmp_path / "deep.png") as stored:
        assert stored.mode == "I;16"
    seen = pixels(tmp_path / "deep.png")
    assert (np.diff(seen[..., 0].ravel().astype(int)) >= 0).all()
    assert np.abs(seen - values[..., None] / 257).max() <= 0.5
    assert seen.mean() == pytest.approx(127.5, abs=0.5)


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_other_deep_values_are_stretched(tmp_path, kind):
    values = np.linspace(-70_000, 140_000, 64).astype(kind).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / "deep.tiff")
    expected = (values.astype(float) + 70_000) * (255 / 210_000)
    assert np.abs(pixels(tmp_path / "deep.tiff") - expected[..., None]).max() <= 0.51


def test_float_pixels_without_a_value_are_darkest_and_harm_no_other(tmp_path):
    values = np.array([[0, 1], [np.nan, 0.5], [np.inf, -np.inf]], np.float32)
    Image.fromarray(values).save(tmp_path / "holes.tiff")
    expected = [[0, 255], [0, 128], [255, 0]]
    assert pixels(tmp_path / "holes.tiff")[..., 0].tolist() == expected


@pytest.mark.parametrize("value", [7.0, np.nan])
def test_float_pixels_all_alike_give_one_grey(tmp_path, value):
    Image.fromarray(np.full((2, 2), value, np.float32)).save(tmp_path / "flat.tiff")
    assert len(np.unique(pixels(tmp_path / "flat.tiff"))) == 1


def test_of_an_animation_the_first_frame_counts(tmp_path):
    red, blue = Image.new("RGB", (8, 8), (250, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 250))
    red.save(tmp_path / "moves.gif", save_all=True, append_images=[blue, red])
    assert (pixels(tmp_path / "moves.gif") == [250, 0, 0]).all()


def test_of_a_double_jpeg_the_first_picture_counts(tmp_path):
    red, blue = Image.new("RGB", (16, 16), (250, 0, 0)), Image.new("RGB", (16, 16), (0, 0, 250))
    red.save(tmp_path / "stereo.mpo", save_all=True, append_images=[blue])
    with Image.open(tmp_path / "stereo.mpo") as stored:
        assert stored.format == "MPO"
    assert np.abs(pixels(tmp_path / "stereo.mpo") - [250.0, 0.0, 0.0]).max() <= 3


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("mode", ["RGB", "L", "I;16"])
def test_every_exif_orientation_gives_the_same_picture(tmp_path, colours, orientation, mode):
    upright = {"RGB": colours, "L": colours[..., 0], "I;16": colours[..., 0].astype("u2") * 257}
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright[mode])))
    assert stored.mode == mode
    stored.save(tmp_path / "turned.png", exif=exif)
    expected = colours if mode == "RGB" else colours[..., :1]
    assert (pixels(tmp_path / "turned.png") == expected).all()


@pytest.mark.parametrize("broken", [b"nonsense", b"II*\0\x08\0\0\0\xff\xff\x12\x01\x03"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_does_not_cost_the_picture(tmp_path, colours, broken):
    Image.fromarray(colours).save(tmp_path / "a.jpg", quality=95, exif=b"Exif\0\0" + broken)
    Image.fromarray(colours).save(tmp_path / "b.jpg", quality=95)
    assert (pixels(tmp_path / "a.jpg") == pixels(tmp_path / "b.jpg")).all()


def missing(path):
    """Writes nothing."""


def empty(path):
    path.touch()


def folder(path):
    path.mkdir()


def words(path):
    path.write_text("404: Not Found")


def pipe(path):
    os.mkfifo(path)


def cut_off(path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [
        ("a.jpg", missing, "file not found"),
        ("a.jpg", empty, "empty file"),
        ("a.jpg", folder, "not a regular file"),
        ("a.jpg", pipe, "not a regular file"),
        ("a.jpg", words, "not an image that can be read"),
        ("a.jpg", cut_off, "OSError: image file is truncated"),
        ("a.png", cut_off, "image file is truncated"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_without_its_path(tmp_path, name, write, reason):
    path = tmp_path / name
    write(path)
    with pytest.raises(DataError) as caught:
        read_image(str(path))
    assert reason in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_picture_of_too_many_pixels_is_refused(tmp_path, monkeypatch, colours):
    Image.fromarray(colours).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="too many pixels"):
        read_image(str(tmp_path / "bomb.png"))


def test_the_size_is_width_and_height(tmp_path, colours):
    Image.fromarray(colours).save(tmp_path / "a.png")
    assert image_size(str(tmp_path / "a.png")) == (30, 20)
    with pytest.raises(DataError, match="file not found"):
        image_size(str(tmp_path / "b.png"))


@pytest.mark.real_data
def test_photographs_in_all_orientations_look_alike(real_data):
    files = sorted((real_data / "images_unlabelled/exif_orientation").glob("Landscape_*"))
    assert len(files) == 9
    small = [Image.fromarray(read_image(str(path))).resize((48, 32)) for path in files]
    first, *others = (np.asarray(image, dtype=float) for image in small)
    assert first.std() > 40  # there is something to see
    for other in others:
        assert np.abs(other - first).mean() < 3


@pytest.mark.real_data
def test_a_photograph_of_nine_megapixels_with_a_second_picture(real_data):
    path = next((real_data / "images_unlabelled/hires_drone").glob("*.JPG"))
    assert pixels(path).shape == (2250, 4000, 3)


def photo(height, width):
    """Smooth, as photographs are: a JPEG file keeps it."""
    across, down = np.meshgrid(np.linspace(0, 3, width), np.linspace(0, 2, height))
    waves = [np.sin(across * k) * np.cos(down * (k + 1)) for k in (1, 2, 3)]
    return Image.fromarray((127.5 + 127.5 * np.stack(waves, axis=2)).astype(np.uint8))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"progressive": True}, {"quality": 30}]
)
@pytest.mark.parametrize("orientation", range(9))
def test_jpeg_files_give_the_pixels_that_pillow_gives(tmp_path, mode, options, orientation):
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo(45, 70).convert(mode).save(path, exif=exif, **options)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert np.array_equal(pixels(path), expected)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    ("asked", "eighths"),
    [((60, 80), 1), ((61, 80), 2), ((181, 100), 4), ((480, 1), 8), ((1, 1), 1)],
)
def test_a_jpeg_file_is_decoded_at_the_smallest_scale_that_is_enough(
    tmp_path, orientation, asked, eighths
):
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo(480, 640).save(path, exif=exif)
    seen = []

    def enough(height, width):
        seen.append((height, width))
        return asked

    found = read_image(str(path), enough)
    assert seen == [(480, 640)]
    upright = (480, 640) if orientation == 1 else (640, 480)
    assert found.shape[:2] == tuple(side * eighths // 8 for side in upright)
    whole = Image.fromarray(read_image(str(path))).resize(found.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(np.asarray(whole, float) - found).mean() < 2


def test_only_jpeg_files_are_decoded_at_a_smaller_scale(tmp_path):
    photo(64, 64).save(tmp_path / "photo.png")
    assert read_image(str(tmp_path / "photo.png"), lambda *size: (8, 8)).shape == (64, 64, 3)


def test_a_jpeg_file_with_a_fault_that_pillow_forgives_is_read_as_pillow_reads_it(tmp_path):
    photo(64, 96).save(tmp_path / "photo.jpg", quality=95)
    data = bytearray((tmp_path / "photo.jpg").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4] = b"\x00\x55\xaa\x55"
    (tmp_path / "fault.jpg").write_bytes(data)
    with Image.open(tmp_path / "fault.jpg") as image:
        expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(pixels(tmp_path / "fault.jpg"), expected)

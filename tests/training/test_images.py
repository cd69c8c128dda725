import numpy as np
import pytest
from PIL import Image

from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.core.errors import DataError
from uvl_plugin.media.sources import Crops, ImageFile
from uvl_plugin.training.images import TrainingImages, drawn

SIDE = 12
AMPLE, SCARCE = 2**20, 1  # bytes
BOTH = pytest.mark.parametrize("memory", [AMPLE, SCARCE], ids=["kept", "read"])


@pytest.fixture
def sources(tmp_path):
    """Twenty noisy files; their ids are not in the order of anything."""

    def write(n=20, colour=True):
        random = np.random.default_rng(0)
        names = random.permutation(n)
        found = []
        for name in names:
            shape = (16, 20, 3) if colour else (16, 20)
            path = tmp_path / f"{name}.png"
            Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(path)
            found.append(ImageFile(f"id {name}", str(path)))
        return found

    return write


def training_images(sources, memory=AMPLE, **settings) -> TrainingImages:
    preprocess = Preprocess(size=SIDE, fit="squash")
    return TrainingImages(sources, preprocess, memory=memory, threads=2, **settings)


def by_id(images, batches) -> dict[str, np.ndarray]:
    return {
        key: row
        for ids, pixels in images.batches(batches)
        for key, row in zip(ids, pixels.numpy(), strict=True)
    }


def expected(source) -> np.ndarray:
    with Image.open(source.path) as image:
        pixels = Preprocess(size=SIDE, fit="squash")(np.asarray(image.convert("RGB")))
    return pixels.transpose(2, 0, 1)


@BOTH
def test_each_id_has_its_own_pixels_in_the_order_that_was_asked_for(sources, memory):
    files = sources()
    images = training_images(files, memory)
    assert images.ids == [file.key for file in files]
    assert images.kept is (memory == AMPLE)
    order = sorted(images.ids, reverse=True)
    batches = [order[:8], order[8:16], order[16:]]
    for batch, (ids, pixels) in zip(batches, images.batches(batches), strict=True):
        assert ids == batch
        assert pixels.shape == (len(batch), 3, SIDE, SIDE)
        assert str(pixels.dtype) == "torch.uint8"
    found = by_id(images, batches)
    assert all((found[file.key] == expected(file)).all() for file in files)


@BOTH
def test_batches_can_be_asked_for_again(sources, memory):
    images = training_images(sources(), memory)
    first, again = (by_id(images, [images.ids[:10], images.ids[10:]]) for _ in range(2))
    other = by_id(images, [images.ids[::2], images.ids[1::2]])
    for key, pixels in first.items():
        assert (pixels == again[key]).all()
        assert (pixels == other[key]).all()


def test_memory_decides_to_the_byte(sources):
    files = sources(5)
    needed = 5 * 3 * SIDE**2
    assert training_images(files, needed).kept
    assert not training_images(files, needed - 1).kept


def test_colourless_images_are_kept_with_one_channel(sources):
    files = sources(6, colour=False)
    grey = training_images(files)
    assert grey.channels == 1
    found = by_id(grey, [grey.ids])
    for file in files:
        assert found[file.key].shape == (1, SIDE, SIDE)
        assert (found[file.key] == expected(file)[:1]).all()


def test_one_pixel_of_colour_is_not_lost(sources, tmp_path):
    files = sources(6, colour=False)
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[0, 0] = (9, 9, 8)
    Image.fromarray(pixels).save(tmp_path / "coloured.png")
    images = training_images([*files, ImageFile("coloured", str(tmp_path / "coloured.png"))])
    assert images.channels == 3
    assert by_id(images, [["coloured"]])["coloured"][:, 0, 0].tolist() == [9, 9, 8]


def test_images_that_are_read_again_and_again_have_three_channels(sources):
    images = training_images(sources(4, colour=False), SCARCE)
    ((_, pixels),) = images.batches([images.ids])
    assert images.channels == pixels.shape[1] == 3


@pytest.fixture
def with_bad(sources, tmp_path):
    """Good files with three bad ones among them."""
    files = sources(9)
    (tmp_path / "empty.png").touch()
    (tmp_path / "words.png").write_text("no picture")
    for place, name in ((0, "empty"), (4, "missing"), (7, "words")):
        files.insert(place, ImageFile(name, str(tmp_path / f"{name}.png")))
    return files


BAD = {"empty", "missing", "words"}


def test_bad_files_are_left_out_of_what_is_kept(with_bad):
    images = training_images(with_bad)
    good = [file for file in with_bad if file.key not in BAD]
    assert images.ids == [file.key for file in good]
    assert images.failures.keys() == BAD
    assert all(f"{name}.png: " in reason for name, reason in images.failures.items())
    assert "file not found" in images.failures["missing"]
    found = by_id(images, [images.ids])
    assert all((found[file.key] == expected(file)).all() for file in good)


def test_bad_files_are_replaced_within_their_batch(with_bad):
    images = training_images(with_bad, SCARCE)
    assert set(images.ids) > BAD
    good = {file.key: expected(file) for file in with_bad if file.key not in BAD}
    batches = [images.ids[:6], images.ids[6:]]  # empty and missing, then words
    for batch, (ids, pixels) in zip(batches, images.batches(batches), strict=True):
        assert len(ids) == len(pixels) == len(batch)
        assert set(ids) == set(batch) - BAD
        assert ids[: len(set(ids))] == [key for key in batch if key not in BAD]
        for key, row in zip(ids, pixels.numpy(), strict=True):
            assert (row == good[key]).all()
    assert images.failures.keys() == BAD


def test_more_bad_than_good_files_still_fill_a_batch(with_bad):
    images = training_images(with_bad, SCARCE)
    one, other = (key for key in images.ids[:4] if key not in BAD and key != images.ids[1])
    ((ids, pixels),) = images.batches([[*sorted(BAD), one]])
    assert ids == [one] * 4
    assert (pixels == pixels[0]).all()
    ((ids, _),) = images.batches([[one, *sorted(BAD), other]])
    assert ids == [one, other, one, other, one]  # in turn


@pytest.mark.parametrize("n", [0, 3])
def test_nothing_that_can_be_read_is_an_error(with_bad, n):
    bad = [file for file in with_bad if file.key in BAD][:n]
    words = "empty.png: empty file" if n else "there are none"
    with pytest.raises(DataError, match=f"None of the {n} images could be read.*{words}"):
        training_images(bad)


def test_a_batch_of_which_nothing_can_be_read_is_an_error(with_bad):
    images = training_images(with_bad, SCARCE)
    with pytest.raises(DataError, match=r"None of the 3 images of a batch.*empty.png: empty file"):
        list(images.batches([["empty", "missing", "words"]]))


@BOTH
def test_crops_are_images_of_their_own(sources, memory):
    file = sources(1)[0]
    boxes = {
        "left": (0.0, 0.0, 0.5, 1.0),
        "nothing": (0.2, 0.2, 0.0, 0.5),
        "right": (0.5, 0.0, 0.5, 1.0),
    }
    images = training_images([Crops(file.path, boxes)], memory)
    asked = [["right", "left"]] if memory == AMPLE else [["right", "nothing", "left"]]
    found = by_id(images, asked)
    assert images.failures.keys() == {"nothing"}
    assert "holds nothing of the image" in images.failures["nothing"]
    with Image.open(file.path) as image:
        whole = np.asarray(image)
    squeeze = Preprocess(size=SIDE, fit="squash")
    for key, half in (("left", whole[:, :10]), ("right", whole[:, 10:])):
        assert (found[key] == squeeze(half).transpose(2, 0, 1)).all()


@BOTH
def test_what_is_left_out_is_forgotten_and_the_others_keep_their_pixels(sources, memory):
    files = sources(6)
    images = training_images(files, memory)
    images.leave_out({files[0].key, files[3].key})
    assert images.ids == [file.key for file in files if file not in (files[0], files[3])]
    found = by_id(images, [images.ids])
    assert (found[files[4].key] == expected(files[4])).all()


def test_progress_goes_forward_to_the_end(with_bad):
    seen = []
    training_images(with_bad, progress=lambda fraction, message: seen.append((fraction, message)))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert all(message.startswith("read ") for _, message in seen)


@pytest.mark.parametrize("n", [0, 1, 7, 20, 99])
def test_some_are_drawn_by_id(sources, n):
    files = sources()
    first, shuffled = drawn(files, n, seed=3), drawn(files[::-1], n, seed=3)
    keys = {key for source in first for key in source.keys}
    assert len(keys) == min(n, 20)
    assert keys == {key for source in shuffled for key in source.keys}
    if n in (7, 20):
        other = {key for source in drawn(files, n, seed=4) for key in source.keys}
        assert (keys == other) is (n == 20)


def test_drawn_crops_are_read_from_their_file(sources):
    boxes = {f"box {i}": (i / 10, 0.0, 0.1, 1.0) for i in range(10)}
    some = drawn([Crops(sources(1)[0].path, boxes)], 4, seed=0)
    (part,) = some
    images = training_images(some)
    assert set(images.ids) == set(part.keys)
    assert len(images.ids) == 4
    whole = training_images([Crops(part.path, boxes)])
    found, known = by_id(images, [images.ids]), by_id(whole, [whole.ids])
    assert all((found[key] == known[key]).all() for key in found)


@pytest.mark.real_data
def test_real_digits_are_kept_without_colour_and_flowers_with(real_data):
    for pattern, channels in (("mnist/3/*.png", 1), ("flowers5/daisy/*.jpg", 3)):
        paths = sorted((real_data / "images").glob(pattern))[:12]
        files = [ImageFile(path.name, str(path)) for path in paths]
        kept, read = training_images(files), training_images(files, SCARCE)
        assert (kept.channels, len(kept.ids)) == (channels, 12)
        first, second = (by_id(images, [images.ids]) for images in (kept, read))
        assert all((first[key] == second[key][:channels]).all() for key in first)

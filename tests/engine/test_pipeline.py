import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from uvl_plugin.backbones.base import Encoder
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.core.errors import DataError
from uvl_plugin.engine.pipeline import Plan, embed_sources
from uvl_plugin.media.images import read_image
from uvl_plugin.media.sources import Crops, ImageFile

N = 20
BAD = {3: "not an image", 4: "truncated", 11: "file not found", 19: "empty file"}


@pytest.fixture(scope="module")
def encoder():
    """A tiny network with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, 2),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
        )
    return Encoder(network, Preprocess(size=16, resize=16), torch.device("cpu"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty PNG files 0.png to 19.png, all good; and the bad ones, bad_3.png and so on."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for number in range(N):
        picture = random.integers(0, 256, (20 + number, 24, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{number}.png")
    whole = (folder / "0.png").read_bytes()
    (folder / "bad_3.png").write_text("404: Not Found")
    (folder / "bad_4.png").write_bytes(whole[: len(whole) // 2])
    (folder / "bad_19.png").touch()
    return folder


def embed_files(encoder, files, *, batch_size, threads=3, sharing=True, networks=1):
    plan = Plan(
        networks=[encoder.encode] * networks,
        buffer=encoder.buffer,
        prepare=encoder.preprocess,
        batch_size=batch_size,
        threads=threads,
        sharing=sharing,
    )
    return embed_sources((ImageFile(key, path) for key, path in files), plan)


def good(folder) -> list[tuple[str, str]]:
    return [(f"id {number}", str(folder / f"{number}.png")) for number in range(N)]


def with_bad(folder) -> list[tuple[str, str]]:
    return [
        (key, str(folder / f"bad_{number}.png") if number in BAD else path)
        for number, (key, path) in enumerate(good(folder))
    ]


@pytest.fixture(scope="module")
def expected(encoder, folder):
    """Vectors of the good files, each embedded alone."""
    return {
        key: encoder.encode([encoder.preprocess(read_image(path))])[0] for key, path in good(folder)
    }


@given(
    order=st.permutations(range(N)),
    batch_size=st.integers(1, N + 2),
    threads=st.integers(1, 5),
    networks=st.integers(0, 3),
)
def test_a_bad_file_costs_only_itself(
    encoder, folder, expected, order, batch_size, threads, networks
):
    files = [with_bad(folder)[number] for number in order]
    how = {"sharing": False, "networks": networks} if networks else {}
    chunks = list(embed_files(encoder, files, batch_size=batch_size, threads=threads, **how))
    vectors, failures = {}, {}
    for chunk in chunks:
        vectors.update(chunk.vectors)
        failures.update(chunk.failures)
    assert list(vectors) == [f"id {number}" for number in order if number not in BAD]
    assert list(failures) == [f"id {number}" for number in order if number in BAD]
    for key, vector in vectors.items():
        assert vector == pytest.approx(expected[key], rel=1e-4, abs=1e-5)
    for number, reason in BAD.items():
        path = str(folder / f"bad_{number}.png")
        assert failures[f"id {number}"].startswith(f"{path}: ")
        assert reason in failures[f"id {number}"]
    sizes = [len(chunk) for chunk in chunks]
    assert sum(sizes) == N
    assert set(sizes[:-1]) <= {batch_size}


def test_other_pictures_have_other_vectors(expected):
    vectors = np.stack(list(expected.values()))
    assert len(np.unique(vectors.round(4), axis=0)) == N


def test_no_files_give_nothing(encoder):
    assert list(embed_files(encoder, [], batch_size=4)) == []


def test_a_batch_of_bad_files_only_is_no_error(encoder, tmp_path):
    path = tmp_path / "missing.png"
    files = [(str(number), str(path)) for number in range(3)]
    (chunk,) = embed_files(encoder, files, batch_size=4)
    assert chunk.vectors == {}
    assert chunk.failures == dict.fromkeys("012", f"{path}: file not found")


def test_vectors_that_are_not_finite_are_failures(encoder, folder):
    def half_broken(images):
        vectors = encoder.encode(images)
        vectors[1, 3] = np.inf
        return vectors

    plan = Plan([half_broken], encoder.buffer, encoder.preprocess, batch_size=3)
    (chunk,) = embed_sources([ImageFile(*file) for file in good(folder)[:3]], plan)
    assert list(chunk.vectors) == ["id 0", "id 2"]
    assert chunk.failures == {"id 1": f"{folder / '1.png'}: the network gave NaN or infinity"}


@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    batch_size=st.integers(1, 7),
    threads=st.integers(1, 4),
)
def test_crops_of_one_image_may_lie_in_several_batches(
    encoder, counts, batch_size, threads, folder
):
    boxes = {
        f"{number}-{crop}": (0.05 * crop, 0.1, 0.3, 0.5)
        for number, count in enumerate(counts)
        for crop in range(count)
    }
    boxes["0-0"] = (0.5, 0.5, 0.0, 0.0)  # empty
    sources = [
        Crops(
            good(folder)[number][1],
            {key: box for key, box in boxes.items() if key.startswith(f"{number}-")},
        )
        for number in range(len(counts))
    ]
    plan = Plan([encoder.encode], encoder.buffer, encoder.preprocess, batch_size, threads)
    vectors, failures = {}, {}
    for chunk in embed_sources(sources, plan):
        vectors |= chunk.vectors
        failures |= chunk.failures
    assert list(failures) == ["0-0"]
    assert list(vectors) == [key for key in boxes if key != "0-0"]
    for key, vector in vectors.items():
        image = read_image(good(folder)[int(key[0])][1])
        height, width = image.shape[:2]
        left, top, wide, high = boxes[key]
        right, bottom = int(width * (left + wide)), int(height * (top + high))
        part = image[int(height * top) : bottom, int(width * left) : right]
        alone = encoder.encode([encoder.preprocess(part)])[0]
        assert vector == pytest.approx(alone, rel=1e-4, abs=1e-5)


def test_every_crop_of_an_unreadable_image_fails_and_no_other(encoder, folder):
    box = (0.0, 0.0, 1.0, 1.0)
    sources = [
        Crops(good(folder)[0][1], {"a": box, "b": box}),
        Crops(str(folder / "bad_4.png"), {"c": box, "d": box, "e": box}),
        ImageFile("f", good(folder)[1][1]),
    ]
    plan = Plan([encoder.encode], encoder.buffer, encoder.preprocess, batch_size=2, threads=2)
    chunks = list(embed_sources(sources, plan))
    assert [key for chunk in chunks for key in chunk.vectors] == ["a", "b", "f"]
    assert [key for chunk in chunks for key in chunk.failures] == ["c", "d", "e"]


def test_a_source_that_forgets_an_item_costs_only_that_item(encoder, folder):
    class Forgetful(Crops):
        def read(self, reader):
            yield from list(super().read(reader))[:-1]

    box = (0.0, 0.0, 1.0, 1.0)
    plan = Plan([encoder.encode], encoder.buffer, encoder.preprocess, batch_size=2)
    source = Forgetful(good(folder)[0][1], {"a": box, "b": box})
    (chunk,) = embed_sources([source], plan)
    assert list(chunk.vectors) == ["a"]
    assert chunk.failures == {"b": f"{source.path}: not found in its file"}


def test_an_error_of_the_list_of_files_reaches_the_caller(encoder, folder):
    def files():
        yield from good(folder)
        raise DataError("the database went away")

    before = threading.active_count()
    with pytest.raises(DataError, match="the database went away"):
        list(embed_files(encoder, files(), batch_size=3))
    assert threading.active_count() == before


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("threads", [1, 3])
def test_files_are_read_only_a_few_batches_ahead(encoder, folder, batch_size, threads):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield str(taken), good(folder)[0][1]

    chunks = embed_files(encoder, endless(), batch_size=batch_size, threads=threads)
    for done in range(1, 8):
        assert len(next(chunks)) == batch_size
        assert taken <= (done + threads + 3) * batch_size + threads
    chunks.close()


def test_room_for_images_is_used_again(encoder, folder):
    made = []

    def buffer(n):
        made.append(n)
        return encoder.buffer(n)

    plan = Plan([encoder.encode], buffer, encoder.preprocess, batch_size=2, threads=2)
    files = [ImageFile(str(number), good(folder)[0][1]) for number in range(300)]
    assert sum(len(chunk) for chunk in embed_sources(files, plan)) == 300
    assert len(made) <= 6


def test_stopping_early_leaves_no_threads(encoder, folder):
    before = threading.active_count()
    chunks = embed_files(encoder, good(folder) * 20, batch_size=2)
    next(chunks)
    assert threading.active_count() > before
    chunks.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("sharing", [True, False])
def test_an_error_of_the_network_leaves_no_threads(encoder, folder, sharing):
    def broken(images):
        raise RuntimeError("a kernel failed")

    before = threading.active_count()
    plan = Plan([broken], encoder.buffer, encoder.preprocess, 2, threads=3, sharing=sharing)
    with pytest.raises(RuntimeError, match="a kernel failed"):
        list(embed_sources([ImageFile(*file) for file in good(folder) * 20], plan))
    assert threading.active_count() == before

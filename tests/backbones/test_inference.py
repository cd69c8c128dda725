import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from uvl_plugin.backbones.base import Encoder, Preprocess
from uvl_plugin.backbones.inference import embed_files

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
        key: encoder.encode([encoder.preprocess(Image.open(path).convert("RGB"))])[0]
        for key, path in good(folder)
    }


@given(order=st.permutations(range(N)), batch_size=st.integers(1, N + 2))
def test_a_bad_file_costs_only_itself(encoder, folder, expected, order, batch_size):
    files = [with_bad(folder)[number] for number in order]
    chunks = list(embed_files(encoder, files, batch_size=batch_size))
    vectors, failures = {}, {}
    for chunk in chunks:
        vectors.update(chunk.vectors)
        failures.update(chunk.failures)
    assert list(vectors) == [f"id {number}" for number in order if number not in BAD]
    assert list(failures) == [f"id {number}" for number in order if number in BAD]
    for key, vector in vectors.items():
        assert vector == pytest.approx(expected[key], rel=1e-4, abs=1e-5)
    for number, reason in BAD.items():
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
    files = [(str(number), str(tmp_path / "missing.png")) for number in range(3)]
    (chunk,) = embed_files(encoder, files, batch_size=4)
    assert chunk.vectors == {}
    assert chunk.failures == dict.fromkeys("012", "file not found")


def test_vectors_that_are_not_finite_are_failures(encoder, folder):
    encoder = Encoder(torch.nn.Flatten(), encoder.preprocess, encoder.device)
    encoder.module = lambda images: torch.where(images.mean() > 0, images.flatten(1), torch.nan)
    encoder._mean = torch.ones(1, 3, 1, 1)  # every value of the network's input is below zero
    (chunk,) = embed_files(encoder, good(folder)[:2], batch_size=2)
    assert chunk.failures == dict.fromkeys(["id 0", "id 1"], "the network gave NaN or infinity")


@pytest.mark.parametrize("batch_size", [1, 4])
def test_files_are_read_only_a_few_batches_ahead(encoder, folder, batch_size):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield str(taken), good(folder)[0][1]

    chunks = embed_files(encoder, endless(), batch_size=batch_size)
    for done in range(1, 8):
        assert len(next(chunks)) == batch_size
        assert taken <= (done + 3) * batch_size
    chunks.close()


def test_stopping_early_leaves_no_threads(encoder, folder):
    before = threading.active_count()
    chunks = embed_files(encoder, good(folder) * 20, batch_size=2)
    next(chunks)
    assert threading.active_count() > before
    chunks.close()
    assert threading.active_count() == before


def test_an_error_of_the_network_leaves_no_threads(encoder, folder):
    def broken(images):
        raise RuntimeError("out of memory")

    before = threading.active_count()
    encoder = Encoder(torch.nn.Flatten(), encoder.preprocess, encoder.device)
    encoder.module = broken
    with pytest.raises(RuntimeError, match="out of memory"):
        list(embed_files(encoder, good(folder) * 20, batch_size=2))
    assert threading.active_count() == before

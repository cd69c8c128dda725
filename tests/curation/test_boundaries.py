import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.montages import KINDS, matched, montage
from uvl_plugin.backbones.torchvision import TorchVision
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.curation.boundaries import Boundaries, boundaries

DIM = 48
NONE = np.empty(0, np.int64)


def shots(lengths, seed=0, noise=0.05) -> np.ndarray:
    """Vectors of shots, each around a random direction of its own, ``(sum of lengths, DIM)``."""
    random = np.random.default_rng(seed)
    middles = random.normal(size=(len(lengths), DIM))
    vectors = np.repeat(middles, lengths, axis=0)
    return (vectors + noise * random.normal(size=vectors.shape)).astype(np.float32)


def found(vectors, rate=15.0, step=1, **settings) -> np.ndarray:
    numbers = 1 + step * np.arange(len(vectors))
    return boundaries(numbers, vectors, rate, Boundaries(**settings))


def starts(lengths, step=1) -> list[int]:
    return (1 + step * np.cumsum(lengths)[:-1]).tolist()


LENGTHS = st.lists(st.integers(16, 60), min_size=1, max_size=8)


@given(LENGTHS, st.integers(0, 99))
def test_planted_steps_are_found_exactly(lengths, seed):
    assert found(shots(lengths, seed)).tolist() == starts(lengths)


@given(LENGTHS, st.integers(0, 99))
def test_the_length_of_a_vector_does_not_matter(lengths, seed):
    vectors = shots(lengths, seed, noise=0.3)
    scales = np.random.default_rng(seed).uniform(0.01, 100.0, (len(vectors), 1))
    assert found(vectors * scales).tolist() == found(vectors).tolist()


@given(LENGTHS, st.integers(0, 99))
def test_backwards_the_boundaries_are_mirrored(lengths, seed):
    vectors = shots(lengths, seed)
    mirrored = len(vectors) + 2 - found(vectors[::-1])
    assert mirrored[::-1].tolist() == found(vectors).tolist()


@given(st.integers(0, 40), st.integers(0, 99), st.floats(0.5, 120.0))
def test_boundaries_are_frames_in_order_but_never_the_first(t, seed, rate):
    random = np.random.default_rng(seed)
    numbers = np.sort(random.choice(1000, t, replace=False)) + 1
    loose = Boundaries(contrast=0.0, unrest=0.0, least=0.0)
    chosen = boundaries(numbers, random.normal(size=(t, 5)), rate, loose)
    assert np.isin(chosen, numbers[1:]).all()
    assert (np.diff(chosen) > 0).all()


@pytest.mark.parametrize("step", [1, 3, 6, 15])  # 30, 10, 5 and 2 frames a second
def test_fewer_frames_a_second_give_the_same_boundaries(step):
    lengths = np.array([120, 90, 150, 60, 105])
    vectors = shots(lengths)[::step]
    chosen = found(vectors, rate=30.0, step=step)
    assert chosen == pytest.approx(starts(lengths), abs=step)
    assert len(chosen) == 4


def test_gaps_between_the_numbers_do_no_harm():
    lengths = [40, 50, 40]
    vectors, numbers = shots(lengths), 1 + np.arange(130)
    kept = np.random.default_rng(0).random(130) > 0.2
    kept[60:75] = False
    chosen = boundaries(numbers[kept], vectors[kept], 15.0, Boundaries())
    assert chosen.tolist() == [numbers[kept & (numbers > end)][0] for end in (40, 90)]


@pytest.mark.parametrize("flash", [1, 2, 3])
def test_a_flash_splits_no_shot(flash):
    vectors = shots([60, 60])
    vectors[30 : 30 + flash] = vectors[80 : 80 + flash] = 9.0
    assert found(vectors).tolist() == [61]


def test_what_counts_as_a_flash_can_be_said():
    vectors = shots([60])
    vectors[30:36] = 9.0
    assert found(vectors, flash=0.4).tolist() == []
    assert found(vectors, flash=0.0, window=0.2, shortest=0.2).tolist() == [31, 37]


def test_shots_are_never_shorter_than_allowed():
    vectors = shots([20] * 8, noise=0.2)
    assert found(vectors).tolist() == starts([20] * 8)
    chosen = found(vectors, shortest=2.0)
    assert len(chosen) >= 3
    assert np.diff([1, *chosen, len(vectors) + 1]).min() >= 30


def test_a_cross_fade_is_one_boundary_in_its_middle():
    first, second = shots([50], 1), shots([50], 2)
    share = np.clip((np.arange(100) - 44) / 12, 0.0, 1.0)[:, None]
    vectors = (1 - share) * first.repeat(2, axis=0) + share * second.repeat(2, axis=0)
    chosen = found(vectors)
    assert len(chosen) == 1
    assert chosen[0] == pytest.approx(51, abs=3)


def test_slow_drift_noise_and_a_still_picture_are_one_shot():
    random = np.random.default_rng(0)
    turn = np.linspace(0.0, np.pi, 600)
    drift = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    assert found(drift).tolist() == []
    assert found(random.normal(size=(400, DIM))).tolist() == []
    assert found(np.ones((100, DIM))).tolist() == []
    assert found(np.zeros((100, DIM))).tolist() == []


@pytest.mark.parametrize("t", range(11))
def test_very_short_videos(t):
    assert found(np.ones((t, 3)), rate=2.0).tolist() == []
    halves = np.repeat(np.eye(2), [t // 2, t - t // 2], axis=0)
    assert found(halves, rate=2.0).tolist() == ([t // 2 + 1] if t >= 6 else [])


def test_each_threshold_can_refuse_a_boundary():
    vectors = shots([40, 40, 40], noise=0.3)
    assert found(vectors).tolist() == [41, 81]
    for settings in ({"unrest": 1000.0}, {"least": 2.0}, {"contrast": 2.0, "faint": 2.0}):
        assert found(vectors, **settings).tolist() == []


def test_what_cannot_be_is_refused():
    vectors = np.ones((3, 2))
    with pytest.raises(DataError, match=r"numbers \(t,\) and vectors \(t, dim\), got \(2,\)"):
        boundaries(np.arange(2), vectors, 15.0, Boundaries())
    with pytest.raises(DataError, match="must increase"):
        boundaries(np.array([1, 3, 3]), vectors, 15.0, Boundaries())
    with pytest.raises(DataError, match=r"must be above 0, got 0\.0"):
        boundaries(np.arange(3), vectors, 0.0, Boundaries())
    with pytest.raises(SettingsError, match=r"Boundaries\.window must be at least 0"):
        Boundaries(window=-1.0)


def _embedded(encoder, pictures) -> np.ndarray:
    images = [encoder.preprocess(picture) for picture in pictures]
    return np.concatenate([encoder.encode(images[i : i + 32]) for i in range(0, len(images), 32)])


@pytest.fixture(scope="module")
def encoder(real_data):
    weights = real_data / "weights/torchvision/squeezenet1_1_imagenet.pth"
    return TorchVision(model="squeezenet1_1", input_size=128, weights=str(weights)).load("cpu")


@pytest.mark.real_data
def test_shots_of_photographs_are_found(real_data, encoder):
    photos = sorted((real_data / "images/flowers5").glob("*/*.jpg"))
    hits = {}
    chosen = wanted = 0
    for kind in KINDS:
        made = montage(photos, kind, seed=203, rate=5.0, size=128)
        found = boundaries(
            made.numbers, _embedded(encoder, made.pictures()), made.rate, Boundaries()
        )
        hits[kind] = matched(found, made.starts, made.tolerances)
        assert hits[kind] >= 0.6 * len(made.starts), kind
        chosen, wanted = chosen + len(found), wanted + len(made.starts)
    assert 2 * sum(hits.values()) / (chosen + wanted) >= 0.85


@pytest.mark.real_data
@pytest.mark.parametrize("suffix", ["mp4", "avi"])
def test_every_cut_of_a_real_video_is_found(real_data, encoder, suffix):
    import av

    with av.open(str(real_data / f"videos/multiscene_dev.{suffix}")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][::3]
    numbers = 1 + 3 * np.arange(len(frames))
    found = boundaries(numbers, _embedded(encoder, frames), 15.0, Boundaries())
    truth = json.loads((real_data / "videos/multiscene_dev.scenes.json").read_text())
    starts = np.array([segment["first_frame"] + 1 for segment in truth["segments"]])[1:]
    assert matched(found, starts, 3) == len(starts)
    assert len(found) <= len(starts) + 3  # to this network a car in front of an empty road is new

"""The training of a temporal encoder: it learns, goes on where it stopped, and warns."""

import numpy as np
import pytest

from uvl_plugin.core.errors import Cancelled, DataError, SettingsError
from uvl_plugin.pooling.base import FramePath
from uvl_plugin.temporal.encoder import load_temporal
from uvl_plugin.temporal.gru import TemporalGRU
from uvl_plugin.temporal.train import train_temporal

QUICK = TemporalGRU(hidden=8, n_components=4, epochs=4, batch_size=16)


def train(paths, method=QUICK, name="round", **more):
    return train_temporal(lambda: iter(paths), method, name=name, device="cpu", **more)


def vectors(paths, name="round"):
    encoder = load_temporal(name)
    return np.stack([encoder(path) for path in paths])


class StopAt:
    """Progress that is cancelled in its n-th call that speaks of an epoch."""

    def __init__(self, calls):
        self.left = calls
        self.fractions = []

    def __call__(self, fraction, message=""):
        self.fractions.append(fraction)
        self.left -= message.startswith("epoch")
        if self.left == 0:
            raise Cancelled("stopped")


def test_the_loss_falls_also_on_videos_that_are_held_out(circling):
    done = train(circling, TemporalGRU(n_components=4, epochs=15, batch_size=16))
    assert done.state == "finished"
    for name in ("loss", "validation_loss"):
        assert done.curve[-1][name] < 0.7 * done.curve[0][name]


def test_the_best_epoch_is_that_of_the_least_validation_loss(circling):
    done = train(circling)
    losses = [entry["validation_loss"] for entry in done.curve]
    assert done.best == 1 + int(np.argmin(losses))


def test_an_interrupted_training_goes_on_to_the_same_weights(circling):
    train(circling, name="whole")
    progress = StopAt(calls=4 * 2 + 2)  # in the third epoch
    with pytest.raises(Cancelled):
        train(circling, progress=progress)
    assert vectors(circling).shape == (60, 8)  # those of the best epoch so far
    done = train(circling)
    assert done.resumed == 2
    assert [entry["epoch"] for entry in done.curve] == [1, 2, 3, 4]
    assert np.array_equal(vectors(circling), vectors(circling, "whole"))


def test_progress_rises_to_1(circling):
    progress = StopAt(calls=-1)
    train(circling, progress=progress)
    assert progress.fractions == sorted(progress.fractions)
    assert progress.fractions[-1] == 1.0


def test_a_finished_training_is_not_repeated(circling):
    first = train(circling)
    progress = StopAt(calls=1)
    again = train(circling, progress=progress)
    assert again.curve == first.curve
    assert again.state == "finished"


def test_another_order_of_the_videos_is_the_same_training(circling):
    train(circling)
    train(circling[::-1], progress=StopAt(calls=1))


@pytest.mark.parametrize("change", ["settings", "seed", "data"])
def test_a_name_that_is_taken_is_refused_unless_overwritten(circling, change):
    train(circling)
    asked = {
        "settings": {"method": TemporalGRU(hidden=9, n_components=4, epochs=1)},
        "seed": {"seed": 1},
        "data": {},
    }[change]
    paths = circling[1:] if change == "data" else circling
    with pytest.raises(DataError, match="overwrite=True"):
        train(paths, **asked)
    before = vectors(circling)
    train(paths, overwrite=True, **asked)
    assert not np.array_equal(vectors(circling), before)


def test_the_seed_decides(circling):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(circling, name=name, seed=seed)
    assert np.array_equal(vectors(circling, "a"), vectors(circling, "b"))
    assert not np.array_equal(vectors(circling, "a"), vectors(circling, "c"))


def test_it_ends_when_nothing_gets_better(circling):
    method = TemporalGRU(
        hidden=8, n_components=4, epochs=50, patience=2, learning_rate=0.0, batch_size=64
    )
    done = train(circling, method)
    assert len(done.curve) < 10
    assert done.state == "finished"


def test_a_loss_that_is_no_number_is_told(circling):
    method = TemporalGRU(hidden=8, n_components=4, epochs=3, learning_rate=1e30)
    done = train(circling, method)
    assert done.state == "diverged"
    assert any("learning rate" in text for text in done.warnings)


def test_noise_that_cannot_be_foreseen_is_told():
    random = np.random.default_rng(0)
    start = [
        FramePath(f"{n}", [1, 2, 3, 4], np.cumsum(random.normal(size=(4, 6)), axis=0))
        for n in range(80)
    ]
    done = train(start, TemporalGRU(hidden=4, n_components=6, epochs=6, learning_rate=0.0))
    assert any("not foreseen" in text for text in done.warnings)


def test_few_windows_are_told(circling):
    assert any("only 9 windows" in text for text in train(circling[:10]).warnings)
    assert not train(circling, name="many").warnings


def test_one_video_is_enough(circling):
    done = train(circling[:1])
    assert "validation_loss" not in done.curve[0]
    assert np.isfinite(vectors(circling[:1])).all()


def test_videos_that_are_too_short_leave_nothing_behind(own_checkpoints):
    short = [FramePath("v", [1, 2, 3], np.ones((3, 6)))]
    with pytest.raises(DataError, match="at least 4 embedded frames, and the longest has 3"):
        train(short)
    assert not own_checkpoints.exists()


def test_a_name_that_cannot_be_is_refused(circling):
    with pytest.raises(SettingsError, match="cannot be the name"):
        train(circling, name="../up")

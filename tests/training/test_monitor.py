import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from uvl_plugin.training import monitor
from uvl_plugin.training.monitor import Epoch, Monitor, consistency, effective_rank, spread

seeds = st.integers(0, 1000)


def normal(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def rank_by_hand(vectors) -> float:
    values = np.linalg.svd(vectors.astype(float), compute_uv=False)
    shares = [value / values.sum() for value in values if value > 1e-9 * values.sum()]
    return math.exp(-sum(share * math.log(share) for share in shares))


@given(st.integers(1, 20), st.integers(1, 20), seeds)
def test_the_effective_rank_is_the_formula(n, dim, seed):
    vectors = normal(n, dim, seed=seed)
    assert effective_rank(vectors) == pytest.approx(rank_by_hand(vectors), rel=1e-4)
    assert 1 <= effective_rank(vectors) <= min(n, dim) + 1e-6
    assert effective_rank(7 * vectors) == pytest.approx(effective_rank(vectors))


@pytest.mark.parametrize(("n", "dim"), [(400, 16), (16, 400)])
def test_the_effective_rank_counts_planted_directions(n, dim):
    left, right = (np.linalg.qr(normal(size, 3))[0] for size in (n, dim))
    assert effective_rank(left @ right.T) == pytest.approx(3, abs=0.01)
    assert effective_rank(np.tile(normal(1, dim), (n, 1))) == pytest.approx(1, abs=0.01)
    assert effective_rank(np.zeros((n, dim), np.float32)) == 0


def test_spread_is_one_everywhere_and_zero_for_parallel_vectors():
    everywhere = normal(5000, 32)
    assert spread(everywhere) == pytest.approx(1, abs=0.01)
    assert spread(everywhere * np.arange(1, 5001)[:, None]) == pytest.approx(spread(everywhere))
    parallel = np.outer(np.arange(1, 50), normal(32))
    assert spread(parallel) == pytest.approx(0, abs=1e-6)
    assert spread(np.zeros((9, 4), np.float32)) == 0


@pytest.mark.parametrize("rows", [1024, 7])
def test_consistency_is_the_share_that_finds_itself(rows, monkeypatch):
    monkeypatch.setattr(monitor, "_ROWS", rows)
    first = normal(60, 32)
    second = first * 3 + normal(60, 32, seed=1) * 0.1
    assert consistency(first, second) == 1
    second[:15] = second[[*range(1, 15), 0]]  # of 60, 15 have another's view
    assert consistency(first, second) == 0.75
    same = np.ones((60, 32), np.float32)
    assert consistency(same, same) == pytest.approx(1 / 60)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_network_that_has_blown_up_gives_no_figures(number):
    vectors = normal(5, 3)
    vectors[2, 1] = number
    figures = effective_rank(vectors), spread(vectors), consistency(normal(5, 3), vectors)
    assert all(math.isnan(figure) for figure in figures)
    watcher = watch()
    for _ in range(2):
        said = watcher.after(epoch(9, loss=math.nan, effective_rank=figures[0], spread=figures[1]))
    assert not watcher.collapsed
    assert said == []


def epoch(number=1, **changed) -> Epoch:
    healthy = {
        "loss": 1 / number, "learning_rate": 0.002, "effective_rank": 20.0, "spread": 0.4,
        "consistency": 0.5, "seconds": 3.0, "images_per_second": 900.0,
    }  # fmt: skip
    return Epoch(epoch=number, **{**healthy, **changed})


def watch(**changed) -> Monitor:
    plan = {
        "method": "SimSiam", "smallest_batch": 32, "batch_size": 64, "n_images": 2000, "epochs": 30,
    }  # fmt: skip
    return Monitor(**{**plan, **changed})


def test_an_epoch_comes_back_from_json():
    for one in (epoch(3), epoch(4, validation_loss=0.25)):
        assert Epoch.from_dict(json.loads(json.dumps(one.to_dict()))) == one
    broken = Epoch.from_dict(json.loads(json.dumps(epoch(loss=math.nan).to_dict())))
    assert math.isnan(broken.loss)
    assert broken.validation_loss is None


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({}, []),
        ({"n_images": 199, "batch_size": 40}, ["only 199 images"]),
        ({"n_images": 1000, "batch_size": 256}, ["only 1000 images"]),
        ({"batch_size": 16}, ["SimSiam learns little from batches below 32, and these are of 16"]),
        (
            {"n_images": 20, "batch_size": 64},
            ["only 20 images", "batch of 64 is larger than the 20", "these are of 20"],
        ),
    ],
)
def test_bad_plans_are_said_before_the_start(plan, said):
    found = watch(**plan).before()
    assert len(found) == len(said)
    assert all(words in text for words, text in zip(said, found, strict=True))


def test_a_healthy_training_gives_no_warning():
    watcher = watch()
    assert [watcher.after(epoch(number)) for number in range(1, 31)] == [[]] * 30


@pytest.mark.parametrize(
    "parallel", [{"spread": 0.02}, {"spread": 0.09, "effective_rank": 2.0}, {"spread": 0.0}]
)
def test_collapse_is_said_once_after_the_second_epoch_in_a_row(parallel):
    watcher = watch()
    for number in range(1, 4):  # warm-up: a network that has learnt nothing yet
        assert watcher.after(epoch(number, **parallel)) == []
    assert watcher.after(epoch(4, **parallel)) == []
    assert not watcher.collapsed
    (said,) = watcher.after(epoch(5, **parallel))
    assert watcher.collapsed
    assert "Epoch 5: the vectors have collapsed" in said
    assert f"spread {parallel['spread']:.3f}" in said
    assert "learning rate (0.002) to a tenth" in said
    assert watcher.after(epoch(6, **parallel)) == []
    assert watcher.after(epoch(7)) == []
    assert not watcher.collapsed


def test_one_bad_epoch_or_few_directions_alone_are_no_collapse():
    watcher = watch()
    for number in range(1, 30):
        bad = {"spread": 0.01} if number % 2 else {"effective_rank": 2.0}
        assert watcher.after(epoch(number, **bad)) == []


def test_a_loss_that_is_no_number_is_said_once():
    watcher = watch()
    (said,) = watcher.after(epoch(1, loss=math.nan))
    assert "loss is nan" in said
    assert watcher.after(epoch(2, loss=math.inf)) == []


@pytest.mark.parametrize("slope", [0.0, 0.01, -0.0001])
def test_a_loss_that_does_not_fall_is_said_after_a_fifth_of_the_epochs(slope):
    watcher = watch(epochs=50)
    said = [
        watcher.after(epoch(number, loss=4 + slope * number + 0.01 * (number % 2)))
        for number in range(1, 21)
    ]
    assert said[:9] == [[]] * 9
    assert "loss does not fall" in said[9][0]
    assert said[10:] == [[]] * 10


@given(seeds)
def test_a_noisy_loss_that_falls_is_no_trouble(seed):
    noise = 0.02 * normal(40, seed=seed)
    watcher = watch(epochs=40)
    for number in range(1, 41):
        loss = 3 + 2 * math.exp(-number / 8) + float(noise[number - 1])
        assert watcher.after(epoch(number, loss=loss)) == []


def train(learning_rate: float, epochs: int = 6) -> tuple[Monitor, list[str]]:
    """A network learns to give two noisy copies of a vector the same direction: no negatives."""
    torch.manual_seed(0)
    images = torch.randn(512, 16)
    network = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
    optimiser = torch.optim.SGD(network.parameters(), learning_rate)
    watcher, said = watch(epochs=epochs), []
    for number in range(1, epochs + 1):
        for batch in images.split(64):
            first, second = (network(batch + torch.randn_like(batch)) for _ in range(2))
            loss = -nn.functional.cosine_similarity(first, second).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        vectors = network(images).detach().numpy()
        said += watcher.after(
            epoch(
                number,
                loss=float(loss.detach()),
                effective_rank=effective_rank(vectors),
                spread=spread(vectors),
            )
        )
    return watcher, said


def test_a_network_that_collapses_is_caught_before_the_end_and_a_slow_one_is_not():
    watcher, said = train(learning_rate=10.0)
    assert watcher.collapsed
    assert said[0].startswith("Epoch 3: the vectors have collapsed")
    assert train(learning_rate=0.01)[1] == []

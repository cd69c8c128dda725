import math
import pickle
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from uvl_plugin.training.optimizers import optimizer_of, schedule_of
from uvl_plugin.training.recipe import Recipe

NAMES = next(spec.choices for spec in Recipe.specs() if spec.name == "optimizer")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5), nn.LayerNorm(5)
    )


def rates(warmup, steps) -> list[float]:
    """Of every step, as the loop goes through them."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = schedule_of(optimizer, warmup=warmup, steps=steps)
    found = []
    for step in range(steps):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        if step + 1 < steps:
            schedule.step()
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_optimiser_lowers_a_loss(name):
    parts = network()
    optimizer = optimizer_of(Recipe(optimizer=name), parts, 0.01)
    images = torch.randn(32, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    losses = []
    for _ in range(60):
        loss = (parts(images) - images.flatten(1)[:, :5]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.98 * losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_without_a_gradient_only_matrices_decay(name):
    parts = network()
    before = {key: weight.clone() for key, weight in parts.named_parameters()}
    optimizer = optimizer_of(Recipe(optimizer=name, weight_decay=0.5), parts, 0.1)
    for weight in parts.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    moved = {
        key for key, weight in parts.named_parameters() if not torch.equal(weight, before[key])
    }
    matrices = {"0.weight", "3.weight"}
    assert moved == (set() if name == "lars" else matrices)  # lars: no gradient, no step at all
    assert all(parts.get_parameter(key).abs().sum() < before[key].abs().sum() for key in moved)


@pytest.mark.parametrize("name", ["adamw", "nadam"])
def test_decay_does_not_depend_on_the_gradient(name):
    ends = []
    for gradient in (0.0, 1e-6):  # which an adaptive rate makes as large as any other
        weight = nn.Parameter(torch.ones(2, 2))
        optimizer = optimizer_of(
            Recipe(optimizer=name, weight_decay=0.5), nn.ParameterList([weight]), 1e-2
        )
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
        ends.append(float(weight.detach()[0, 0]))
    assert ends[0] == pytest.approx(1 - 0.5e-2)
    assert ends[1] < ends[0] - 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_groups_say_what_decays_and_leave_out_what_is_frozen(name):
    parts = network()
    parts[0].requires_grad_(False)
    optimizer = optimizer_of(Recipe(optimizer=name, weight_decay=0.5), parts, 0.1)
    matrices, vectors = optimizer.param_groups
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.5, 0.0)
    assert [id(weight) for weight in matrices["params"]] == [id(parts[3].weight)]
    expected = [parts[1].weight, parts[1].bias, parts[3].bias, parts[4].weight, parts[4].bias]
    assert {id(weight) for weight in vectors["params"]} == set(map(id, expected))
    assert {group["lr"] for group in optimizer.param_groups} == {0.1}


def test_the_names_are_the_algorithms():
    found = {name: type(optimizer_of(Recipe(optimizer=name), network(), 0.1)) for name in NAMES}
    assert {name: cls.__name__.lower() for name, cls in found.items()} == {
        name: name for name in NAMES
    }
    for name in ("sgd", "lars"):
        assert optimizer_of(Recipe(optimizer=name), network(), 0.1).defaults["momentum"] == 0.9


def by_hand(step, warm, steps) -> float:
    if step < warm:
        return (step + 1) / warm
    share = (step - warm) / max(1, steps - warm - 1)
    return 0.001 + 0.999 * (1 + math.cos(math.pi * share)) / 2


@given(st.floats(0, 1), st.integers(3, 200))
def test_the_rate_rises_linearly_and_falls_on_a_cosine(warmup, steps):
    warm = round(warmup * steps)
    found = rates(warmup, steps)
    if warm >= steps - 1:  # warming up to the end
        warm = steps - 1
        assert found[:-1] == pytest.approx([(step + 1) / warm for step in range(warm)])
        return
    assert found == pytest.approx([by_hand(step, warm, steps) for step in range(steps)])


@pytest.mark.parametrize("steps", [10, 50, 1000])
def test_the_rate_begins_low_and_ends_at_almost_nothing(steps):
    found = rates(0.1, steps)
    assert found[0] == pytest.approx(10 / steps)
    assert max(found) == found[steps // 10] == 1.0
    assert found[-1] == pytest.approx(0.001)
    assert found[: steps // 10] == sorted(found[: steps // 10])
    assert found[steps // 10 :] == sorted(found[steps // 10 :], reverse=True)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_shortest_trainings_have_a_rate(steps):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(0 < rate <= 1 for rate in rates(0.1, steps))


def test_a_schedule_goes_on_from_its_state():
    whole = rates(0.2, 20)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = schedule_of(optimizer, warmup=0.2, steps=20)
    for _ in range(7):
        optimizer.step()
        schedule.step()
    state = pickle.loads(pickle.dumps((optimizer.state_dict(), schedule.state_dict())))
    other = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    resumed = schedule_of(other, warmup=0.2, steps=20)
    other.load_state_dict(state[0])
    resumed.load_state_dict(state[1])
    found = [resumed.get_last_lr()[0]]
    for _ in range(12):
        other.step()
        resumed.step()
        found.append(resumed.get_last_lr()[0])
    assert found == whole[7:]

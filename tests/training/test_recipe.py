import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvl_plugin.core.errors import SettingsError
from uvl_plugin.training.recipe import Recipe


@pytest.mark.parametrize(
    ("n", "size"),
    [
        (2, 2),
        (63, 63),
        (64, 64),
        (1000, 64),
        (2047, 64),
        (2048, 128),
        (3000, 128),
        (4096, 256),
        (1_000_000, 256),
    ],
)
def test_batches_are_as_large_as_sixteen_in_an_epoch_allow(n, size):
    assert Recipe().batch_size_for(n) == size


@given(st.integers(2, 100_000))
def test_a_batch_is_never_larger_than_the_dataset(n):
    size = Recipe().batch_size_for(n)
    assert 2 <= size <= min(n, 256)
    assert size >= min(n, 64)
    assert size == n or size & (size - 1) == 0  # a power of two
    assert size <= 64 or n // size >= 16


@given(st.integers(2, 65536), st.integers(2, 100_000))
def test_the_batch_size_that_was_asked_for_is_taken(wanted, n):
    assert Recipe(batch_size=wanted).batch_size_for(n) == min(wanted, n)


@pytest.mark.parametrize(
    ("settings", "batch_size", "rate"),
    [
        ({}, 64, 2e-3),
        ({}, 256, 2e-3),
        ({"optimizer": "adam"}, 64, 2e-3),
        ({"optimizer": "nadam"}, 64, 2e-3),
        ({"optimizer": "sgd"}, 256, 0.05),
        ({"optimizer": "sgd"}, 64, 0.0125),
        ({"optimizer": "sgd", "accumulate": 4}, 64, 0.05),
        ({"optimizer": "lars"}, 4096, 0.8),
    ],
)
def test_the_learning_rate_suits_optimiser_and_batch(settings, batch_size, rate):
    recipe = Recipe(**settings)
    assert recipe.learning_rate_for(batch_size, pretrained=False) == pytest.approx(rate)
    assert recipe.learning_rate_for(batch_size, pretrained=True) == pytest.approx(rate / 10)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("pretrained", [False, True])
def test_the_learning_rate_that_was_asked_for_is_taken(optimizer, pretrained):
    recipe = Recipe(optimizer=optimizer, learning_rate=0.3, accumulate=4)
    assert recipe.learning_rate_for(64, pretrained=pretrained) == 0.3


def test_a_recipe_by_which_nothing_learns_is_refused():
    with pytest.raises(SettingsError, match="nothing would learn; set head_dim") as caught:
        Recipe(trained_stages=0)
    assert caught.value.argument == "trained_stages"
    assert Recipe(trained_stages=0, head_dim=32).head_dim == 32
    assert Recipe(trained_stages=1).head_dim is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"optimizer": "adamax"}, "must be one of adamw, adam, nadam, sgd, lars, got 'adamax'"),
        ({"batch_size": 1}, "must be at least 2"),
        ({"warmup": 1.5}, "must be at most 1"),
        ({"precision": "fp8"}, "must be one of auto, fp32, bf16, fp16"),
        ({"learning_rate": float("nan")}, "must be finite"),
    ],
)
def test_impossible_settings_are_errors_that_name_them(settings, words):
    (name,) = settings
    with pytest.raises(SettingsError, match=f"Recipe.{name} {words}") as caught:
        Recipe(**settings)
    assert caught.value.argument == name


def test_a_recipe_survives_a_record():
    recipe = Recipe(epochs=3, batch_size=32, clip_norm=1.0, head_dim=8, trained_stages=0)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe

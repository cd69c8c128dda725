import json
import math
from dataclasses import FrozenInstanceError, dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvl_plugin.backbones.base import backbones
from uvl_plugin.clustering.base import clusterers
from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.settings import Settings, Spec, setting

REGISTERED = [*backbones, *clusterers]


@dataclass(frozen=True, kw_only=True)
class Toy(Settings):
    count: int = setting(5, ge=2, le=9, help="How many.")
    rate: float = setting(0.5, ge=0.25, le=1)
    deep: bool = setting(False)
    mode: str = setting("eom", choices=("eom", "leaf"))
    path: str = setting("")
    limit: int | None = setting(None, ge=1)
    pair: tuple[float, float] = setting((0.0, 1.0))
    colour: tuple[float, float, float] | None = setting(None, ge=0)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("count", 1, "must be at least 2, got 1."),
        ("count", 10, "must be at most 9, got 10."),
        ("count", 2.5, "must be a whole number, got 2.5."),
        ("count", True, "must be a whole number, got True."),
        ("count", "3", "must be a whole number, got '3'."),
        ("count", None, "must be a whole number, got None."),
        ("count", math.nan, "must be a whole number, got nan."),
        ("count", math.inf, "must be a whole number, got inf."),
        ("rate", 0.2, "must be at least 0.25, got 0.2."),
        ("rate", 1.5, "must be at most 1, got 1.5."),
        ("rate", math.nan, "must be finite, got nan."),
        ("rate", -math.inf, "must be finite, got -inf."),
        ("rate", True, "must be a number, got True."),
        ("rate", "0.5", "must be a number, got '0.5'."),
        ("deep", 1, "must be true or false, got 1."),
        ("deep", "yes", "must be true or false, got 'yes'."),
        ("mode", "eon", "must be one of eom, leaf, got 'eon'."),
        ("path", 3, "must be text, got 3."),
        ("limit", 0, "must be at least 1, got 0."),
        ("pair", (1.0,), "must be 2 numbers, got (1.0,)."),
        ("pair", 1.0, "must be 2 numbers, got 1.0."),
        ("pair", None, "must be 2 numbers, got None."),
        ("pair", (1.0, "x"), "must be a number, got 'x'."),
        ("colour", (0.1, -1, 0.1), "must be at least 0, got -1.0."),
    ],
)
def test_bad_values_are_refused_by_name_rule_and_value(name, value, rule):
    with pytest.raises(SettingsError) as caught:
        Toy(**{name: value})
    assert str(caught.value) == f"Toy.{name} {rule}"
    assert caught.value.argument == name
    assert Toy.problems({name: value}) == {name: f"Toy.{name} {rule}"}


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("count", 2, 2),
        ("count", 9, 9),
        ("count", 3.0, 3),
        ("rate", 1, 1.0),
        ("rate", 0.25, 0.25),
        ("deep", True, True),
        ("mode", "leaf", "leaf"),
        ("limit", None, None),
        ("limit", 1, 1),
        ("pair", [1, 2], (1.0, 2.0)),
        ("colour", None, None),
        ("colour", [0, 0.5, 1], (0.0, 0.5, 1.0)),
    ],
)
def test_good_values_become_their_own_type(name, value, kept):
    held = getattr(Toy(**{name: value}), name)
    assert held == kept
    assert type(held) is type(kept)
    assert Toy.problems({name: value}) == {}


def test_problems_names_every_bad_value_and_leaves_the_rest_alone():
    found = Toy.problems({"count": 0, "mode": "x", "rate": 0.5, "not_a_setting": 1})
    assert found == {
        "count": "Toy.count must be at least 2, got 0.",
        "mode": "Toy.mode must be one of eom, leaf, got 'x'.",
    }


def test_from_dict_refuses_unknown_names():
    with pytest.raises(SettingsError, match="Toy has no setting 'cuont'. Known: colour, count,"):
        Toy.from_dict({"cuont": 3})


def test_settings_do_not_change():
    with pytest.raises(FrozenInstanceError):
        Toy().count = 3


def test_specs_describe_each_setting_in_order():
    specs = {spec.name: spec for spec in Toy.specs()}
    assert list(specs) == ["count", "rate", "deep", "mode", "path", "limit", "pair", "colour"]
    count, limit, colour = specs["count"], specs["limit"], specs["colour"]
    assert (count.kind, count.default, count.ge, count.le) == (int, 5, 2, 9)
    assert (count.optional, count.choices, count.help) == (False, None, "How many.")
    assert specs["mode"].choices == ("eom", "leaf")
    assert (limit.kind, limit.optional) == (int, True)
    assert (colour.kind, colour.length, colour.optional) == (tuple, 3, True)


@dataclass(frozen=True, kw_only=True)
class SmallToy(Toy):
    n_parts: int = setting(3)
    min_size: int = setting(1, label="Least size")


def test_labels_are_given_or_made_from_the_name_and_inherited_settings_come_last():
    labels = [(spec.name, spec.label) for spec in SmallToy.specs()]
    assert labels[:4] == [
        ("n_parts", "Number of parts"),
        ("min_size", "Least size"),
        ("count", "Count"),
        ("rate", "Rate"),
    ]


def a_value(spec: Spec) -> st.SearchStrategy:
    """Any value that the setting may have."""
    low = -1000 if spec.ge is None else spec.ge
    high = low + 1000 if spec.le is None else spec.le
    numbers = st.floats(low, high)
    kinds = {
        bool: st.booleans(),
        int: st.integers(math.ceil(low), math.floor(high)),
        float: numbers,
        str: st.sampled_from(spec.choices) if spec.choices else st.text(),
        tuple: st.tuples(*[numbers] * spec.length),
    }
    return st.none() | kinds[spec.kind] if spec.optional else kinds[spec.kind]


NAMED = {  # settings that hold names of algorithms, and what these allow
    ("consensus", "algorithms"): st.sampled_from(["kmeans", "kmeans, spectral, birch"]),
    ("consensus", "n_clusters"): st.none() | st.integers(1, 200),
}


@pytest.mark.parametrize("cls", [Toy, *REGISTERED], ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_settings_survive_json(cls, data):
    name_of = getattr(cls, "name", "")
    values = {
        spec.name: data.draw(NAMED.get((name_of, spec.name), a_value(spec)), spec.name)
        for spec in cls.specs()
    }
    settings = cls(**values)
    assert settings.to_dict() == {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items()
    }
    assert cls.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


@pytest.mark.parametrize("cls", REGISTERED, ids=lambda cls: cls.__name__)
def test_what_is_registered_describes_itself(cls):
    assert cls.name.isidentifier()
    assert cls.name.islower()
    assert cls.label
    assert cls.description.endswith(".")
    assert all(spec.help.endswith(".") for spec in cls.specs())
    assert cls() == cls(**{spec.name: spec.default for spec in cls.specs()})

"""Settings classes to forms, and forms back to settings."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import fiftyone.operators as foo
from fiftyone.operators import types

from uvl_plugin.backbones.presets import Preset
from uvl_plugin.core.errors import UVLError
from uvl_plugin.core.registry import Registry
from uvl_plugin.core.settings import Settings, Spec

S = TypeVar("S", bound=Settings)
NO_PRESETS: Mapping[str, Preset] = MappingProxyType({})


def choose(
    inputs: types.Object,
    ctx: foo.ExecutionContext,
    registry: Registry,
    key: str,
    default: str,
    *,
    settings: bool = True,
    presets: Mapping[str, Preset] = NO_PRESETS,
) -> None:
    """Adds a choice among a registry's entries, and the settings of the one chosen.

    Args:
        key: parameter that holds the chosen name; its settings are under that name.
        settings: whether to show them.
        presets: ready settings, by name, to be chosen as well.
    """
    choices = types.DropdownView()
    for preset in presets.values():
        if preset.name not in registry:  # else its settings are to be shown
            choices.add_choice(preset.name, label=preset.label, description=_described(preset))
    for entry in registry:
        choices.add_choice(entry.name, label=entry.label, description=entry.description)
    inputs.enum(
        key, choices.values(), default=default, label=registry.what.capitalize(), view=choices
    )
    name = ctx.params.get(key, default)
    if settings and name in registry:
        add_settings(inputs, registry[name], ctx, name, f"{registry[name].label} settings")


def chosen(
    ctx: foo.ExecutionContext,
    registry: Registry,
    key: str,
    default: str,
    presets: Mapping[str, Preset] = NO_PRESETS,
) -> Any:
    """The settings that :func:`choose` asked for.

    Raises:
        SettingsError: if one of them is wrong.
    """
    name = ctx.params.get(key, default)
    if name in presets and name not in registry:
        return presets[name].backbone
    return settings_of(ctx, registry[name], name)


def settings_of(ctx: foo.ExecutionContext, cls: type[S], name: str) -> S:
    """The settings that :func:`add_settings` asked for.

    Raises:
        SettingsError: if one of them is wrong.
    """
    return cls.from_dict(_values(cls, ctx.params.get(name) or {}))


def mark(inputs: types.Object, error: UVLError, fallback: str) -> None:
    """Shows the error at the input it is about, else at the input ``fallback``."""
    forms = [
        prop.type for prop in inputs.properties.values() if isinstance(prop.type, types.Object)
    ]
    for form in (inputs, *forms):
        if error.argument in form.properties:
            prop = form.properties[error.argument]
            break
    else:
        prop = inputs.properties[fallback]
    prop.invalid = True
    prop.error_message = str(error)


def free_name(stem: str, taken: Iterable[str]) -> str:
    """``stem``, or ``stem_2``, ``stem_3`` and so on: the first that is not taken."""
    taken, name, number = set(taken), stem, 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}"
    return name


def add_settings(
    inputs: types.Object, cls: type[Settings], ctx: foo.ExecutionContext, name: str, label: str
) -> None:
    """Adds the settings of a class as one group, under the parameter ``name``."""
    form = types.Object()
    problems = cls.problems(_values(cls, ctx.params.get(name) or {}))
    for spec in cls.specs():
        prop = _add_input(form, spec)
        if spec.name in problems:
            prop.invalid = True
            prop.error_message = problems[spec.name]
    inputs.define_property(name, form, label=label)


def _described(preset: Preset) -> str:
    return f"{preset.good_for} {preset.dim} numbers; {preset.megabytes} MB; {preset.licence}."


def _add_input(form: types.Object, spec: Spec) -> types.Property:
    shown = {"label": spec.label, "description": spec.help}
    default = None if spec.default is None else _as_input(spec.default)
    if spec.choices is not None:
        return form.enum(spec.name, list(spec.choices), default=default, **shown)
    add = {bool: form.bool, int: form.int, float: form.float}.get(spec.kind, form.str)
    return add(spec.name, default=default, **shown)


def _as_input(value: Any) -> Any:
    return ", ".join(f"{number:g}" for number in value) if isinstance(value, tuple) else value


def _values(cls: type[Settings], given: dict) -> dict[str, Any]:
    """A form's values as a settings class takes them: an empty input is the default."""
    specs = {spec.name: spec for spec in cls.specs()}
    return {
        name: _parsed(specs[name], value)
        for name, value in given.items()
        if name in specs and value not in (None, "")
    }


def _parsed(spec: Spec, value: Any) -> Any:
    if spec.kind is tuple and isinstance(value, str):
        try:
            return [float(number) for number in value.split(",")]
        except ValueError:
            return value  # the settings class says what is wrong with it
    return value

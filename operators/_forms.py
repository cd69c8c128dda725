"""Settings classes to forms, and forms back to settings."""

from collections.abc import Iterable
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from uvl_plugin.core.errors import UVLError
from uvl_plugin.core.registry import Registry
from uvl_plugin.core.settings import Settings, Spec


def choose(
    inputs: types.Object,
    ctx: foo.ExecutionContext,
    registry: Registry,
    key: str,
    default: str,
    *,
    settings: bool = True,
) -> None:
    """Adds a choice among a registry's entries, and the settings of the one chosen.

    Args:
        key: parameter that holds the chosen name; its settings are under that name.
        settings: whether to show them.
    """
    choices = types.DropdownView()
    for entry in registry:
        choices.add_choice(entry.name, label=entry.label, description=entry.description)
    inputs.enum(
        key, choices.values(), default=default, label=registry.what.capitalize(), view=choices
    )
    name = ctx.params.get(key, default)
    if settings and name in registry:
        _add_settings(inputs, registry[name], ctx.params.get(name) or {})


def chosen(ctx: foo.ExecutionContext, registry: Registry, key: str, default: str) -> Any:
    """The settings that :func:`choose` asked for.

    Raises:
        SettingsError: if one of them is wrong.
    """
    cls = registry[ctx.params.get(key, default)]
    return cls.from_dict(_values(cls, ctx.params.get(cls.name) or {}))


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


def _add_settings(inputs: types.Object, cls: Any, given: dict) -> None:
    form = types.Object()
    problems = cls.problems(_values(cls, given))
    for spec in cls.specs():
        prop = _add_input(form, spec)
        if spec.name in problems:
            prop.invalid = True
            prop.error_message = problems[spec.name]
    inputs.define_property(cls.name, form, label=f"{cls.label} settings")


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

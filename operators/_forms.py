"""Settings classes to forms, and forms back to settings."""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import fiftyone.operators as foo
from fiftyone.operators import types

from uvl_plugin.backbones.base import Backbone, backbones
from uvl_plugin.backbones.checkpoint import Checkpoint, checkpoint_names, read_card
from uvl_plugin.backbones.presets import Preset, presets
from uvl_plugin.core.errors import UVLError
from uvl_plugin.core.registry import Registry
from uvl_plugin.core.settings import Settings, Spec
from uvl_plugin.training.methods.base import methods

S = TypeVar("S", bound=Settings)
NO_PRESETS: Mapping[str, Preset] = MappingProxyType({})
SUITABLE = "suitable"  # the choice that leaves it to the verb, which takes None


def choose(
    inputs: types.Object,
    ctx: foo.ExecutionContext,
    registry: Registry,
    key: str,
    default: str,
    *,
    settings: bool = True,
    presets: Mapping[str, Preset] = NO_PRESETS,
    hidden: Collection[str] = (),
    suitable: str = "",
) -> None:
    """Adds a choice among a registry's entries, and the settings of the one chosen.

    Args:
        key: parameter that holds the chosen name; its settings are under that name.
        settings: whether to show them.
        presets: ready settings, by name, to be chosen as well.
        hidden: names of entries that are not offered.
        suitable: says what suits a dataset; where it is given, :data:`SUITABLE` can be chosen.
    """
    choices = types.DropdownView()
    if suitable:
        choices.add_choice(SUITABLE, label="What suits the data", description=suitable)
    for preset in presets.values():
        if preset.name not in registry:  # else its settings are to be shown
            choices.add_choice(preset.name, label=preset.label, description=_described(preset))
    for entry in registry:
        if entry.name not in hidden:
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
    """The settings that :func:`choose` asked for; None for :data:`SUITABLE`.

    Raises:
        SettingsError: if one of them is wrong.
    """
    name = ctx.params.get(key, default)
    if name == SUITABLE:
        return None
    if name in presets and name not in registry:
        return presets[name].backbone
    return settings_of(ctx, registry[name], name)


def choose_backbone(
    inputs: types.Object,
    ctx: foo.ExecutionContext,
    default: str,
    *,
    settings: bool = True,
    kind: type | tuple[type, ...] = Backbone,
    suitable: str = "",
) -> None:
    """Adds the choice of a backbone: checkpoints, presets and families.

    Args:
        settings, suitable: as for :func:`choose`.
        kind: those of another kind are not offered.
    """
    others = [entry.name for entry in backbones if not issubclass(entry, kind)]
    choose(
        inputs,
        ctx,
        backbones,
        "backbone",
        default,
        settings=settings,
        presets=_backbone_presets(kind),
        hidden=[Checkpoint.name, *others],
        suitable=suitable,
    )


def chosen_backbone(ctx: foo.ExecutionContext, default: str) -> Any:
    """The backbone that :func:`choose_backbone` asked for; None for :data:`SUITABLE`.

    Raises:
        SettingsError: if one of its settings is wrong.
    """
    return chosen(ctx, backbones, "backbone", default, _backbone_presets(Backbone))


def _backbone_presets(kind: type | tuple[type, ...]) -> dict[str, Preset]:
    """What was trained here, and the presets; a name that both have means the preset."""
    everything = {name: _trained(name) for name in checkpoint_names()} | presets
    return {
        name: preset for name, preset in everything.items() if isinstance(preset.backbone, kind)
    }


def _trained(name: str) -> Preset:
    card = read_card(name)
    method, dim = card["method"]["method"], card["how"]["dim"]
    architecture = card["architecture"]
    network = backbones[architecture["backbone"]].label
    network = architecture["settings"].get("model") or network
    method = methods[method].label if method in methods else method
    return Preset(
        name=name,
        label=f"{name} ({method}, {network}, {dim} numbers)",
        good_for=f"Trained here on '{card['dataset']}'.",
        dim=dim,
        megabytes=0,  # nothing to download
        licence=card["licence"],
        backbone=Checkpoint(name),
    )


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
    named = [
        form.properties[error.argument]
        for form in (inputs, *forms)
        if error.argument in form.properties
    ]
    if not any(prop.invalid for prop in named):  # else it is shown: several may have this name
        _invalidate(named[0] if named else inputs.properties[fallback], str(error))


def _invalidate(prop: types.Property, message: str) -> None:
    prop.invalid = True
    prop.error_message = message


def free_name(stem: str, taken: Iterable[str]) -> str:
    """``stem``, or ``stem_2``, ``stem_3`` and so on: the first that is not taken."""
    taken, name, number = set(taken), stem, 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}"
    return name


def add_settings(
    inputs: types.Object,
    cls: type[Settings],
    ctx: foo.ExecutionContext,
    name: str,
    label: str,
    *,
    hidden: Collection[str] = (),
) -> None:
    """Adds the settings of a class as one group, under the parameter ``name``; those that are
    ``hidden`` are left out."""
    form = types.Object()
    problems = cls.problems(_values(cls, ctx.params.get(name) or {}))
    for spec in cls.specs():
        if spec.name in hidden:
            continue
        prop = add_setting(form, spec)
        if spec.name in problems:
            _invalidate(prop, problems[spec.name])
    inputs.define_property(name, form, label=label)


def add_setting(form: types.Object, spec: Spec) -> types.Property:
    """Adds one setting."""
    shown = {"label": spec.label, "description": spec.help}
    default = None if spec.default is None else _as_input(spec.default)
    if spec.choices is not None:
        return form.enum(spec.name, list(spec.choices), default=default, **shown)
    add = {bool: form.bool, int: form.int, float: form.float}.get(spec.kind, form.str)
    return add(spec.name, default=default, **shown)


def _described(preset: Preset) -> str:
    return f"{preset.good_for} {preset.dim} numbers; {preset.megabytes} MB; {preset.licence}."


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

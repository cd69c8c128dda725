"""Settings: frozen dataclasses that are valid once they exist, and describe themselves.

Bounds, choices and help are said once, beside the default. The App's form, the checks, the
run record and the documentation are all made from :meth:`Settings.specs`.
"""

import dataclasses
import inspect
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from uvl_plugin.core.errors import SettingsError

if TYPE_CHECKING:
    from typing_extensions import Self

_SCALARS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def setting(
    default: Any,
    *,
    ge: float | None = None,
    le: float | None = None,
    choices: tuple[str, ...] | None = None,
    label: str = "",
    help: str = "",
) -> Any:
    """A field of a :class:`Settings` class.

    Args:
        default: value where none is given.
        ge, le: least and greatest value, for numbers.
        choices: the only values, for text.
        label: what a person reads; empty: made from the name.
        help: one sentence for forms and documentation.
    """
    described = {"ge": ge, "le": le, "choices": choices, "label": label, "help": help}
    return field(default=default, metadata=described)


@dataclass(frozen=True)
class Spec:
    """One setting, as forms and documentation need it.

    Attributes:
        kind: ``bool``, ``int``, ``float``, ``str``, or ``tuple`` for a tuple of numbers.
        length: how many numbers a tuple has; 0 for the other types.
        optional: whether None is a value.
    """

    name: str
    kind: type
    length: int
    optional: bool
    default: Any
    ge: float | None
    le: float | None
    choices: tuple[str, ...] | None
    label: str
    help: str

    def checked(self, value: Any, owner: str) -> Any:
        """Returns ``value`` as its proper type.

        Raises:
            SettingsError: if it is of another type or out of bounds.
        """
        if value is None and self.optional:
            return None
        if self.kind is tuple:
            return self._numbers(value, owner)
        value = self._scalar(value, self.kind, owner)
        if self.choices is not None and value not in self.choices:
            raise self._error(owner, f"must be one of {', '.join(self.choices)}", value)
        return value

    def _numbers(self, value: Any, owner: str) -> tuple[float, ...]:
        if not isinstance(value, list | tuple) or len(value) != self.length:
            raise self._error(owner, f"must be {self.length} numbers", value)
        return tuple(self._scalar(number, float, owner) for number in value)

    def _scalar(self, value: Any, kind: Any, owner: str) -> Any:
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if kind is int and isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON from a browser has only one kind of number
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self._error(owner, f"must be {_SCALARS[kind]}", value)
        if kind is float and not math.isfinite(value):
            raise self._error(owner, "must be finite", value)
        if self.ge is not None and value < self.ge:
            raise self._error(owner, f"must be at least {self.ge:g}", value)
        if self.le is not None and value > self.le:
            raise self._error(owner, f"must be at most {self.le:g}", value)
        return value

    def _error(self, owner: str, rule: str, value: Any) -> SettingsError:
        return SettingsError(f"{owner}.{self.name} {rule}, got {value!r}.", self.name)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of everything that a user configures."""

    def __post_init__(self) -> None:
        for spec in self.specs():
            value = spec.checked(getattr(self, spec.name), type(self).__name__)
            object.__setattr__(self, spec.name, value)

    @classmethod
    def specs(cls) -> tuple[Spec, ...]:
        """Every setting, in the order of the class; those of its base classes last."""
        hints = typing.get_type_hints(cls)
        own = inspect.get_annotations(cls)
        items = sorted(dataclasses.fields(cls), key=lambda item: item.name not in own)
        return tuple(_spec(item, hints[item.name]) for item in items)

    @classmethod
    def problems(cls, values: Mapping[str, Any]) -> dict[str, str]:
        """What is wrong with ``values``: a message by the name of each bad setting."""
        found = {}
        for spec in cls.specs():
            if spec.name in values:
                try:
                    spec.checked(values[spec.name], cls.__name__)
                except SettingsError as error:
                    found[spec.name] = str(error)
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Self":
        """The settings that :meth:`to_dict` or a form gave.

        Raises:
            SettingsError: if a value is out of bounds or a name is not a setting.
        """
        known = {spec.name for spec in cls.specs()}
        for name in values:
            if name not in known:
                raise SettingsError(
                    f"{cls.__name__} has no setting '{name}'. Known: {', '.join(sorted(known))}.",
                    name,
                )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Every setting as JSON types."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }


def json_object(text: str, setting: str, example: str) -> dict[str, Any]:
    """The object that a setting holds as JSON text; empty text is an empty one.

    Args:
        text: what the setting holds.
        setting: class and name, such as ``"Timm.options"``.
        example: for the message.

    Raises:
        SettingsError: if it is not JSON, or not an object.
    """
    name = setting.rpartition(".")[2]
    try:
        found = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise SettingsError(
            f"{setting} is not JSON ({error}); it must be JSON such as {example}, got {text!r}.",
            name,
        ) from error
    if not isinstance(found, dict):
        raise SettingsError(
            f"{setting} must be a JSON object such as {example}, got {text!r}.", name
        )
    return found


def _spec(item: dataclasses.Field, hint: Any) -> Spec:
    optional = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        optional, hint = len(kinds) < len(typing.get_args(hint)), kinds[0]
    length = len(typing.get_args(hint)) if typing.get_origin(hint) is tuple else 0
    return Spec(
        name=item.name,
        kind=tuple if length else hint,
        length=length,
        optional=optional,
        default=item.default,
        **{**item.metadata, "label": item.metadata["label"] or _label(item.name)},
    )


def _label(name: str) -> str:
    words = name.replace("_", " ")
    return f"Number of {words[2:]}" if words.startswith("n ") else words.capitalize()

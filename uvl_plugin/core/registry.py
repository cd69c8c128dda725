"""Registries: a new backbone or algorithm is one new file with one registered class.

The modules of the registry's package, and those it names beside it, are imported when the
registry is first asked; other distributions take part through an entry point of the group of
the same name.
"""

import contextlib
import difflib
import importlib
import pkgutil
import threading
from collections.abc import Iterator
from importlib import metadata
from typing import Generic, TypeVar

from uvl_plugin.core.errors import MissingPackageError, UVLError

T = TypeVar("T")


class UnknownNameError(UVLError, KeyError):
    """There is no such entry; the message names the nearest ones."""

    def __str__(self) -> str:
        return str(self.args[0])


class Registry(Generic[T]):
    """Classes by their ``name``.

    Args:
        what: what an entry is, for messages: "clustering algorithm".
        package: its modules register entries; also the entry point group.
        also: modules elsewhere that register entries; one that raises
            :class:`MissingPackageError` takes no part.
    """

    def __init__(self, what: str, package: str, *, also: tuple[str, ...] = ()):
        self.what = what
        self.package = package
        self.also = also
        self._entries: dict[str, type[T]] = {}
        self._discovered = False
        self._lock = threading.RLock()

    def register(self, cls: type[T]) -> type[T]:
        """Class decorator; ``cls.name`` is its key."""
        name = getattr(cls, "name", None)
        if not name:
            raise TypeError(f"{cls.__qualname__} needs a class attribute 'name' to be registered.")
        known = self._entries.get(name)
        if known is not None and _home(known) != _home(cls):
            raise TypeError(f"{self.what} '{name}' is {_home(known)} already.")
        self._entries[name] = cls
        return cls

    def names(self) -> list[str]:
        """Every name, sorted."""
        return sorted(self._discover())

    def __iter__(self) -> Iterator[type[T]]:
        entries = self._discover()
        return (entries[name] for name in sorted(entries))

    def __contains__(self, name: object) -> bool:
        return name in self._discover()

    def __getitem__(self, name: str) -> type[T]:
        entries = self._discover()
        if name not in entries:
            raise UnknownNameError(self._unknown(name))
        return entries[name]

    def by_class_name(self) -> dict[str, type[T]]:
        """Every entry by the name of its class."""
        return {cls.__name__: cls for cls in self}

    def _unknown(self, name: str) -> str:
        nearest = difflib.get_close_matches(str(name), self._entries, n=1)
        hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
        return f"There is no {self.what} '{name}'.{hint} Known: {', '.join(self.names())}."

    def _discover(self) -> dict[str, type[T]]:
        with self._lock:  # the App's server asks from several threads
            if not self._discovered:
                package = importlib.import_module(self.package)
                for module in pkgutil.iter_modules(package.__path__):
                    importlib.import_module(f"{self.package}.{module.name}")
                for name in self.also:
                    with contextlib.suppress(MissingPackageError):
                        importlib.import_module(name)
                for entry_point in metadata.entry_points(group=self.package):
                    entry_point.load()
                self._discovered = True
        return self._entries


def _home(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"

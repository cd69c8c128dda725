"""What every picker is: the next item to label, and why."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.progress import Progress
from uvl_plugin.core.registry import Registry
from uvl_plugin.core.settings import Settings
from uvl_plugin.picking.pool import Pool

pickers: "Registry[Picker]" = Registry("picker", "uvl_plugin.picking")


class Ranking(ABC):
    """Which item is the best one to label next; may change with each that is picked."""

    @abstractmethod
    def best(self, rows: np.ndarray) -> int:
        """The best of some rows, ``(m,)``, at least one, increasing; of equal ones the first."""

    @abstractmethod
    def picked(self, row: int) -> None:
        """Takes note of a pick."""

    @abstractmethod
    def reason(self, row: int, stands_for: int) -> str:
        """Why an item was picked, in a few words, such as "typical of look 03".

        Args:
            stands_for: how many items, itself included, have no other pick as near.
        """


class FixedRanking(Ranking):
    """Scores that no pick changes.

    Args:
        scores: shape ``(n,)``, the higher the better.
        said: the reason, by the row of an item.
    """

    def __init__(self, scores: np.ndarray, said: Callable[[int], str]):
        self._scores = scores
        self._said = said

    def best(self, rows: np.ndarray) -> int:
        return int(rows[self._scores[rows].argmax()])

    def picked(self, row: int) -> None:
        """Changes nothing."""

    def reason(self, row: int, stands_for: int) -> str:
        return self._said(row)


@dataclass(frozen=True, kw_only=True)
class Picker(Settings):
    """Settings that say which items of a cluster, or of all, are worth a label.

    Class attributes:
        name: key in the registry.
        label: what a person reads.
        description: one sentence: when to choose it.
        on_clusters: whether it works only where there are clusters.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str] = ""
    on_clusters: ClassVar[bool] = False

    @abstractmethod
    def ranking(self, pool: Pool, progress: Progress) -> Ranking:
        """Looks at all items, at least one of which is not given.

        What it finds depends on the items and ``pool.seed``, and on their order only where
        items are equally good.
        """

    def check(self, *, clusters: bool) -> None:
        """Raises :class:`SettingsError` where there are no clusters and it needs them."""
        if self.on_clusters and not clusters:
            raise SettingsError(
                f"The picker '{self.name}' works on clusters; pass the run_key of a clustering, "
                "or choose another picker.",
                "picker",
            )

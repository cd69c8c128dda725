"""Going through what was found: keep or exclude, one decision after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.adapter import decisions, review_queues
from uvl_plugin.adapter.marks import EXCLUDE, KEEP
from uvl_plugin.adapter.review_queues import Found
from uvl_plugin.adapter.samples import dataset_of
from uvl_plugin.core.errors import DataError

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection


@dataclass(frozen=True)
class Queue:
    """Items that were found, to be looked at.

    Attributes:
        name: of the queue: the field that says so, or the run and "suspects".
        label: the same for a person: "Outliers", "Near-duplicates, things".
        unit: what is in it: ``"images"``, ``"videos"``, ``"frames"``, ``"objects"``, ``"clips"``.
        n_items: how many.
        n_left: about how many nothing was decided yet.
    """

    name: str
    label: str
    unit: str
    n_items: int
    n_left: int

    def __str__(self) -> str:
        return f"{self.label}: {self.n_left:,} of {self.n_items:,} {self.unit} left"


@dataclass(frozen=True)
class Decision:
    """What :meth:`Review.keep`, :meth:`Review.exclude` or :meth:`Review.undecide` did.

    Attributes:
        decision: ``"keep"``, ``"exclude"``, or None for none.
        changed: how many items were changed, by their kind: ``"samples"``, ``"frames"`` or the
            field of objects or clips.
        n_same: about how many this was decided already.
    """

    decision: str | None
    changed: dict[str, int]
    n_same: int

    def __str__(self) -> str:
        does = {KEEP: "kept", EXCLUDE: "excluded", None: "undecided again"}[self.decision]
        parts = [f"{count:,} {_noun(kind)}" for kind, count in self.changed.items()]
        said = f"{' and '.join(parts) or 'No more items'} are {does}"
        same = f"; {self.n_same:,} were already" if self.n_same else ""
        end = " Nothing is deleted." if self.decision == EXCLUDE else ""
        return f"{said}{same}.{end}"


def _noun(kind: str) -> str:
    return kind if kind in ("samples", "frames") else f"labels of '{kind}'"


class Review:
    """What was found in a dataset, and what a person decided about it.

    A decision is a tag, ``"keep"`` or ``"exclude"``, of the sample, or of objects and clips of
    the label; frames have no tags, and have it in the field ``frames.review``. One takes the place
    of the other. Nothing is ever deleted, neither from disk nor from the dataset.

    Args:
        dataset: a dataset, or a view of it; all of it is meant.
    """

    def __init__(self, dataset: "SampleCollection"):
        self._dataset = dataset_of(dataset)

    @property
    def queues(self) -> tuple[Queue, ...]:
        """What was found: outliers, near-duplicates, copies, poor images, labels that may be wrong,
        and picks; counted anew each time."""
        return tuple(
            Queue(found.name, found.label, found.items.unit, *found.counts())
            for found in review_queues.queues(self._dataset)
        )

    def view(self, name: str, *, only_open: bool = True) -> "SampleCollection":
        """The items of a queue, each in a tile of its own.

        Args:
            name: of the queue.
            only_open: whether those are left out about which something was decided.

        Raises:
            DataError: if there is no such queue.
        """
        return self._found(name).view(only_open=only_open)

    def keep(self, items: "SampleCollection | Sequence[str]") -> Decision:
        """Decides that items are good: the tag ``"keep"``.

        Args:
            items: ids of samples, objects, clips or frames, or a view; of a view of objects, clips
                or frames these are meant.

        Raises:
            DataError: if an id is of no item; nothing is written then.
        """
        return self._decide(items, KEEP)

    def exclude(self, items: "SampleCollection | Sequence[str]") -> Decision:
        """Decides that items are not to be used: the tag ``"exclude"``; see :meth:`keep`."""
        return self._decide(items, EXCLUDE)

    def undecide(self, items: "SampleCollection | Sequence[str]") -> Decision:
        """Takes both tags away; see :meth:`keep`."""
        return self._decide(items, None)

    def undo(self) -> int:
        """Takes the last decision back, up to 20 one after the other; about how many items it was.

        Raises:
            DataError: if there is none.
        """
        n_items = decisions.undo(self._dataset)
        decisions.save_views(self._dataset)
        return n_items

    @property
    def n_undoable(self) -> int:
        """How many decisions can be taken back."""
        return decisions.n_undoable(self._dataset)

    @property
    def excluded(self) -> "SampleCollection":
        """The samples that were excluded; saved as "Excluded" with the first decision."""
        return decisions.excluded(self._dataset)

    @property
    def without_excluded(self) -> "SampleCollection":
        """Everything else, without the objects, clips and frames that were excluded; saved as
        "Without excluded"."""
        return decisions.excluded(self._dataset, kept=True)

    def __str__(self) -> str:
        queues = self.queues
        if not queues:
            return f"Nothing was found in '{self._dataset.name}' yet that could be reviewed."
        return ". ".join(map(str, queues)) + "."

    def _found(self, name: str) -> Found:
        found = {one.name: one for one in review_queues.queues(self._dataset)}
        if name not in found:
            known = ", ".join(found) or "none"
            raise DataError(f"There is no queue '{name}' to review. Queues: {known}.", "queue")
        return found[name]

    def _decide(self, items: "SampleCollection | Sequence[str]", decision: str | None) -> Decision:
        if isinstance(items, str):
            raise DataError(f"Ids must be a list, got the text {items!r}.")
        ids = list(items) if isinstance(items, Sequence | np.ndarray) else items.values("id")
        changed = decisions.decide(self._dataset, ids, decision)
        decisions.save_views(self._dataset)
        return Decision(decision, changed, len(set(ids)) - sum(changed.values()))


def review(dataset: "SampleCollection") -> Review:
    """What was found in a dataset, to be gone through; see :class:`Review`."""
    return Review(dataset)

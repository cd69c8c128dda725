"""Edits in order, with undo and redo."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from uvl_plugin.core.errors import DataError
from uvl_plugin.curation.edited import Edited, Named, RawClusters
from uvl_plugin.curation.edits import Edit


@dataclass(frozen=True)
class History:
    """A line of edits, of which the first ``n_done`` hold; the rest can be done again.

    Attributes:
        edits: oldest first.
        n_done: how many of them hold.
    """

    edits: tuple[Edit, ...] = ()
    n_done: int = 0

    @property
    def done(self) -> tuple[Edit, ...]:
        """The edits that hold, oldest first."""
        return self.edits[: self.n_done]

    @property
    def undone(self) -> tuple[Edit, ...]:
        """The edits that were undone, the next one to do again first."""
        return self.edits[self.n_done :]

    def apply(self, edit: Edit) -> "History":
        """With one more edit; those that were undone are forgotten."""
        return History((*self.done, edit), self.n_done + 1)

    def undo(self) -> "History":
        """Without the last edit that holds.

        Raises:
            DataError: if there is none.
        """
        if self.n_done == 0:
            raise DataError("There is no edit to undo.")
        return replace(self, n_done=self.n_done - 1)

    def redo(self) -> "History":
        """With the edit that was undone last.

        Raises:
            DataError: if there is none.
        """
        if not self.undone:
            raise DataError("There is no undone edit to do again.")
        return replace(self, n_done=self.n_done + 1)

    def replay(self, raw: RawClusters, named: Named | None = None) -> Edited:
        """The clusters after the edits that hold."""
        return replay(raw, self.done, named)

    def to_dict(self) -> dict[str, Any]:
        """All but the arrays, as JSON types."""
        return {"edits": [edit.to_dict() for edit in self.edits], "n_done": self.n_done}

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of all edits, by place and name: ``"3 items"``; undo and redo change none."""
        return {
            f"{place} {name}": array
            for place, edit in enumerate(self.edits)
            for name, array in edit.arrays().items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> "History":
        """The history that :meth:`to_dict` and :meth:`arrays` gave."""
        own: list[dict[str, np.ndarray]] = [{} for _ in values["edits"]]
        for key, array in arrays.items():
            place, _, name = key.partition(" ")
            own[int(place)][name] = array
        edits = [Edit.from_dict(*pair) for pair in zip(values["edits"], own, strict=True)]
        return cls(tuple(edits), values["n_done"])


def replay(raw: RawClusters, edits: tuple[Edit, ...], named: Named | None = None) -> Edited:
    """Does the edits one after the other; the same edits always give the same.

    Args:
        raw: what the algorithm found; it stays as it is.
        edits: oldest first.
        named: what a new cluster is called, by its number; None: "cluster 07".

    Raises:
        DataError: if one of them is not possible.
    """
    edited = Edited.of(raw, named)
    for edit in edits:
        after = edit.apply(edited)
        edited = replace(after, steps=(*edited.steps, edit.said(edited.names)))
    return edited

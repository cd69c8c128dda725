"""What the training of a temporal encoder did."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass
class TemporalTraining:
    """What a training did.

    Attributes:
        state: ``"finished"``, ``"stopped"`` or ``"diverged"`` (the loss is no number any more).
        curve: one entry an epoch: ``epoch``, ``loss``, ``validation_loss`` (where videos are
            held out), ``spread`` of the vectors, ``learning_rate``, ``seconds``; None for
            what is no number.
        best: number of the epoch whose weights were kept: that of the least validation loss.
        warnings: what went wrong, each said once.
        resumed: epochs that an earlier call had completed.
        how: device, videos, frames, windows learnt from and held out.
    """

    state: str = "stopped"
    curve: list[dict[str, Any]] = field(default_factory=list)
    best: int = 0
    warnings: list[str] = field(default_factory=list)
    resumed: int = 0
    how: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> "Self":
        """What :meth:`to_card` gave."""
        return cls(
            state=card["state"],
            curve=card["curve"],
            best=card["best_epoch"],
            warnings=card["warnings"],
            resumed=len(card["curve"]),
            how=card["how"],
        )

    def to_card(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "state": self.state,
            "curve": self.curve,
            "best_epoch": self.best,
            "warnings": self.warnings,
            "how": self.how,
        }

    def scores(self) -> list[float]:
        """What each epoch is judged by: the validation loss, or the loss where there is none;
        infinite where it was no number."""
        return [math.inf if score is None else score for score in map(judged_by, self.curve)]


def judged_by(entry: Mapping[str, Any]) -> float | None:
    """The validation loss of an epoch, or its loss where nothing was held out."""
    return entry["validation_loss" if "validation_loss" in entry else "loss"]


def number(value: float) -> float | None:
    """As JSON has it: None for NaN and infinity."""
    return value if math.isfinite(value) else None

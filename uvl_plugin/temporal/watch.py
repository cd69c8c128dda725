"""Early warning: whether the training of a temporal encoder goes wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

from uvl_plugin.temporal.base import TemporalMethod
from uvl_plugin.temporal.outcome import judged_by

_FEW = 50  # windows
_NO_SPREAD = 0.01
_LEARNT_LITTLE = 0.95  # of the loss of who knows nothing
_PATIENCE = 5  # epochs


def warnings_before(n_windows: int) -> list[str]:
    """What is known to go wrong before the first step; empty if nothing."""
    if n_windows >= _FEW:
        return []
    text = (
        f"There are only {n_windows} windows of frames to learn from; below {_FEW} the encoder "
        "learns them by heart. Add videos, make windows shorter, or use the pooling Signature, "
        "which needs no training."
    )
    return [text]


def warnings_of(curve: Sequence[Mapping[str, Any]], method: TemporalMethod) -> list[str]:
    """What has gone wrong up to the last epoch of the curve; the same words for the same trouble."""
    last, found = curve[-1], []
    if last["loss"] is None:
        found.append(
            f"The loss is no number any more. The learning rate ({method.learning_rate:.3g}) is "
            "too high; lower it to a tenth."
        )
    elif last["spread"] is not None and last["spread"] < _NO_SPREAD:
        found.append(
            "The vectors have collapsed, nearly all windows get the same one. Lower the learning "
            f"rate ({method.learning_rate:.3g}) to a tenth."
        )
    scores = [judged_by(entry) for entry in curve[_PATIENCE - 1 :]]
    limit = _LEARNT_LITTLE * method.chance
    if scores and all(score is not None and score > limit for score in scores):
        found.append(
            f"After {_PATIENCE} epochs the change of the frames is not foreseen better than by "
            "guessing. Embed more frames a second, or raise the horizon."
        )
    return found

"""Where temporal encoders are kept: beside the checkpoints of images, in a folder of their own.

Its name cannot be that of a checkpoint, so neither kind is offered or loaded as the other.
"""

import contextlib
import difflib
import json
from pathlib import Path
from typing import Any

from uvl_plugin.backbones.checkpoint import (
    CARD,
    checkpoint_names,
    checkpoint_path,
    checkpoints_folder,
)
from uvl_plugin.core.errors import DataError

_FOLDER = "_temporal"  # begins with what a name cannot begin with


def temporal_path(name: str) -> Path:
    """The folder of one temporal encoder; raises :class:`SettingsError` if it cannot be a name."""
    checkpoint_path(name)  # the rules of names are the same
    return checkpoints_folder() / _FOLDER / name


def temporal_names() -> list[str]:
    """Names of all temporal encoders that have weights, sorted."""
    names = []
    with contextlib.suppress(OSError):
        for folder in (checkpoints_folder() / _FOLDER).iterdir():
            with contextlib.suppress(ValueError, OSError):
                card = json.loads((folder / CARD).read_text())
                names += [folder.name] if "weights" in card else []
    return sorted(names)


def read_temporal_card(name: str) -> dict[str, Any]:
    """The card of a temporal encoder that has weights.

    Raises:
        DataError: if there is none of this name, its card is damaged, or its training has not
            completed an epoch.
    """
    path = temporal_path(name)
    try:
        card = json.loads((path / CARD).read_text())
    except FileNotFoundError as error:
        raise DataError(_unknown(name), "encoder") from error
    except ValueError as error:
        raise DataError(
            f"The card of the temporal encoder '{name}' is damaged ({error}); delete the folder "
            f"{path} and train again.",
            "encoder",
        ) from error
    if "weights" not in card:
        raise DataError(
            f"The temporal encoder '{name}' has no weights: its training has not completed an "
            "epoch; let it go on, or train it with overwrite=True.",
            "encoder",
        )
    return card


def _unknown(name: str) -> str:
    known = temporal_names()
    if name in checkpoint_names():
        hint = f" '{name}' is a backbone for images: uvl.Checkpoint('{name}')."
    else:
        nearest = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
    listed = ", ".join(known) or "none, train one with uvl.train(videos, uvl.TemporalGRU(), ...)"
    return f"There is no temporal encoder '{name}'.{hint} Known: {listed}."

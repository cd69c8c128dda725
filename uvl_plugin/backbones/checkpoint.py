"""Networks that were trained here, by name; and the folder in which they are kept.

A checkpoint is a folder with ``card.json``, that says what it is, and the weights that the card
names. Weights get a new file name whenever they change, and the card is renamed into place last,
so a reader sees the old checkpoint or the new one, never half of one.
"""

import contextlib
import difflib
import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uvl_plugin.backbones.base import Network, TrainableBackbone, backbones
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.backbones.weights import fit_weights, read_weights
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.settings import setting

if TYPE_CHECKING:
    import torch

FOLDER = "UVL_CHECKPOINTS"  # the environment variable that names the folder of all checkpoints
CARD = "card.json"
_DEFAULT_FOLDER = "~/.uvl/checkpoints"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)


@backbones.register
@dataclass(frozen=True)
class Checkpoint(TrainableBackbone):
    """A network that :func:`uvl_plugin.train` trained: ``uvl.Checkpoint("digits")``."""

    name, label = "checkpoint", "Trained here"
    description = "A network that was trained on your own images."

    checkpoint: str = setting("", help="Name that was given to the training.")

    @cached_property
    def card(self) -> dict[str, Any]:
        """What is known of it; raises :class:`DataError` where there is none of this name."""
        return read_card(self.checkpoint)

    @property
    def space(self) -> str:
        self.check()
        # a network that is trained again under its old name gives other vectors
        return f"{self.name} {self.checkpoint} {self.card['weights']['sha256'][:16]}"

    @property
    def licence(self) -> str:
        return self.card["licence"]

    def check(self) -> None:
        if "weights" not in self.card:
            raise DataError(
                f"The checkpoint '{self.checkpoint}' has no weights: its training has not "
                "completed an epoch; let it go on, train it with overwrite=True, or choose another.",
                "checkpoint",
            )

    def untrained(self) -> TrainableBackbone:
        return self._architecture.untrained()

    def network(self) -> Network:
        self.check()
        module = with_head(self._architecture.network().module, self.card["head_dims"])
        file = checkpoint_path(self.checkpoint) / self.card["weights"]["file"]
        fit_weights(module, read_weights(str(file)), ignore=(), source=str(file))
        return Network(module, preprocess_from(self.card["preprocess"]))

    @property
    def _architecture(self) -> TrainableBackbone:
        kept = self.card["architecture"]
        architecture = backbones[kept["backbone"]].from_dict(kept["settings"])
        assert isinstance(architecture, TrainableBackbone)
        return architecture


def with_head(module: "torch.nn.Module", head_dims: "list[int] | None") -> "torch.nn.Module":
    """The network with a head of two layers on it, or the network itself where there is none.

    Args:
        head_dims: lengths of the vectors before and after the head.
    """
    if head_dims is None:
        return module
    from collections import OrderedDict

    from torch import nn

    before, after = head_dims
    head = nn.Sequential(nn.Linear(before, before), nn.ReLU(), nn.Linear(before, after))
    return nn.Sequential(OrderedDict(network=module, head=head))


def checkpoints_folder() -> Path:
    """Where checkpoints are kept: the folder that ``UVL_CHECKPOINTS`` names, else
    ``~/.uvl/checkpoints``."""
    return Path(os.environ.get(FOLDER) or _DEFAULT_FOLDER).expanduser()


def checkpoint_path(name: str) -> Path:
    """The folder of one checkpoint.

    Raises:
        SettingsError: if it cannot be a name.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"'{name}' cannot be the name of a checkpoint: use letters, digits, '_', '-' and '.', "
            "and begin with a letter or digit.",
            "name",
        )
    return checkpoints_folder() / name


def read_card(name: str) -> dict[str, Any]:
    """The card of a checkpoint.

    Raises:
        DataError: if there is no such checkpoint, or its card is damaged.
    """
    folder = checkpoint_path(name)
    try:
        return json.loads((folder / CARD).read_text())
    except FileNotFoundError as error:
        known = checkpoint_names()
        nearest = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
        listed = ", ".join(known) or "none, train one with uvl.train"
        raise DataError(
            f"There is no checkpoint '{name}' in {checkpoints_folder()}.{hint} Known: {listed}.",
            "checkpoint",
        ) from error
    except ValueError as error:
        raise DataError(
            f"The card of the checkpoint '{name}' is damaged ({error}); delete the folder "
            f"{folder} and train again.",
            "checkpoint",
        ) from error


def checkpoint_names() -> list[str]:
    """Names of all checkpoints that have weights, sorted."""
    names = []
    with contextlib.suppress(FileNotFoundError):
        for folder in checkpoints_folder().iterdir():
            with contextlib.suppress(ValueError, OSError):
                if _NAME.fullmatch(folder.name):
                    card = json.loads((folder / CARD).read_text())
                    names += [folder.name] if "weights" in card else []
    return sorted(names)


def preprocess_from(kept: dict[str, Any]) -> Preprocess:
    """The preprocessing that a card keeps as JSON."""
    lists = {key: tuple(value) for key, value in kept.items() if isinstance(value, list)}
    return Preprocess(**{**kept, **lists})

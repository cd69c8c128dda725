"""What is trained on what, what came out, and the card that keeps both."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from uvl_plugin.backbones.base import Network, TrainableBackbone
from uvl_plugin.backbones.checkpoint import Checkpoint, with_head
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.packages import versions
from uvl_plugin.media.sources import Source
from uvl_plugin.training.augmentation.base import Augmentation
from uvl_plugin.training.learner import dimension
from uvl_plugin.training.methods.base import Method
from uvl_plugin.training.monitor import Epoch
from uvl_plugin.training.recipe import Recipe


@dataclass(frozen=True)
class Task:
    """What is trained on what. It can be pickled.

    Attributes:
        name: of the checkpoint.
        backbone: the network to begin with.
        method, augmentation, recipe: how.
        sources: of the training part.
        validation: sources of the validation part.
        about: what else the card says: dataset, split.
    """

    name: str
    backbone: TrainableBackbone
    method: Method
    augmentation: Augmentation
    recipe: Recipe
    sources: Sequence[Source]
    validation: Sequence[Source] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    def asked(self) -> dict[str, Any]:
        """Everything that decides what comes out, as JSON types."""
        return {
            "backbone": {"backbone": self.backbone.name, "settings": self.backbone.to_dict()},
            "method": {"method": self.method.name, "settings": self.method.to_dict()},
            "augmentation": {
                "augmentation": self.augmentation.name,
                "settings": self.augmentation.to_dict(),
            },
            "recipe": self.recipe.to_dict(),
            **self.about,
        }

    @cached_property
    def fingerprint(self) -> str:
        """Equal for tasks that ask for the same."""
        keys = sorted(key for source in self.sources for key in source.keys)
        asked = json.dumps([self.asked(), keys], sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()


@dataclass
class Outcome:
    """What a training did.

    Attributes:
        state: ``"finished"``, ``"stopped"``, ``"collapsed"`` (all vectors the same) or
            ``"diverged"`` (the loss is no number any more).
        curve: one entry an epoch, those of an earlier, interrupted call included.
        best: number of the epoch whose views found each other best.
        warnings: what went wrong, each said once.
        failures: file and reason by the id of each image that could not be read.
        resumed: epochs that an earlier call had completed.
        how: device, precision, batch size and so on.
    """

    state: str = "stopped"
    curve: list[Epoch] = field(default_factory=list)
    best: int = 0
    warnings: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    resumed: int = 0
    how: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> "Outcome":
        """What :func:`card_of` kept of it; of failures only their number was kept."""
        return cls(
            state=card["state"],
            curve=[Epoch.from_dict(entry) for entry in card["curve"]],
            best=card["best_epoch"],
            warnings=card["warnings"],
            resumed=len(card["curve"]),
            how=card["how"],
        )


def network_of(task: Task) -> Network:
    """The network to begin with, and its new head where it gets one."""
    network = task.backbone.network()
    head_dims = _head_dims(task) if task.recipe.head_dim is not None else None
    return Network(with_head(network.module, head_dims), network.preprocess)


def card_of(task: Task, preprocess: Preprocess, outcome: Outcome) -> dict[str, Any]:
    """What a checkpoint's card says of its training; the weights are added where there are some."""
    architecture = task.backbone.untrained()
    return {
        "name": task.name,
        "state": outcome.state,
        **task.asked(),
        "fingerprint": task.fingerprint,
        "architecture": {"backbone": architecture.name, "settings": architecture.to_dict()},
        "head_dims": _head_dims(task),
        "preprocess": dataclasses.asdict(preprocess),
        "licence": task.backbone.licence,
        "how": outcome.how,
        "curve": [entry.to_dict() for entry in outcome.curve],
        "best_epoch": outcome.best,
        "warnings": outcome.warnings,
        "n_failed": len(outcome.failures),
        "versions": versions(),
    }


def _head_dims(task: Task) -> list[int] | None:
    """Lengths of the vectors before and after the head; None where there is none."""
    before = task.backbone.card["head_dims"] if isinstance(task.backbone, Checkpoint) else None
    if task.recipe.head_dim is None:
        return before
    if before is not None:
        raise SettingsError(
            f"{task.backbone.space} has a head already; leave head_dim empty.",
            "head_dim",
        )
    return [dimension(task.backbone.untrained().network()), task.recipe.head_dim]

"""What every training method is: settings, the parts that it adds to a network, and a loss."""

import contextlib
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from uvl_plugin.core.registry import Registry
from uvl_plugin.core.settings import Settings

if TYPE_CHECKING:
    import torch
    from torch import nn

    from uvl_plugin.backbones.base import Backbone

methods: "Registry[Method]" = Registry("training method", "uvl_plugin.training.methods")


class Augment(Protocol):
    """Images ``(n, channels, height, width)``, uint8, to one random view of each, 0 to 1."""

    def __call__(
        self, images: "torch.Tensor", *, area: tuple[float, float] | None = None
    ) -> "torch.Tensor":
        """``area``: least and greatest share of the image in a view; None: the augmentation's."""


ENCODER = "encoder"  # the part that is trained to be a backbone


@dataclass
class Batch:
    """What a method sees in one step; row i of everything is of image i.

    Attributes:
        views: as :meth:`Method.views` made them, normalised, each ``(n, 3, height, width)``.
        targets: the teacher's vector of each image, ``(n, dim)``; None where there is no teacher.
        done: the share of the steps that lie behind, 0 to 1, for schedules.
    """

    views: "list[torch.Tensor]"
    targets: "torch.Tensor | None" = None
    done: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Method(Settings):
    """One way of training without labels. It has no state of its own: what learns are the parts.

    Class attributes:
        name: key in the registry, in run records and checkpoints.
        label: what a person reads.
        description: one sentence: what it is good for.
        smallest_batch: with fewer images in a batch it is known to learn little.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str] = ""
    smallest_batch: ClassVar[int] = 32

    @abstractmethod
    def parts(self, encoder: "nn.Module", dim: int, target_dim: int) -> "dict[str, nn.Module]":
        """What is trained together with the encoder: heads, teachers, losses with a state.

        Parameters that no gradient should reach have ``requires_grad`` False.

        Args:
            encoder: normalised images ``(n, 3, height, width)`` to vectors ``(n, dim)``.
            dim: length of its vectors.
            target_dim: length of the teacher's vectors; 0 where there is no teacher.

        Returns:
            Modules by name; the name ``"encoder"`` is taken.
        """

    def views(self, images: "torch.Tensor", augment: Augment) -> "list[torch.Tensor]":
        """The views of a batch of images ``(n, channels, height, width)``, uint8: two each."""
        return [augment(images), augment(images)]

    @abstractmethod
    def loss(self, parts: "nn.ModuleDict", batch: Batch) -> "torch.Tensor":
        """The loss of a batch, one number.

        Args:
            parts: the encoder under ``"encoder"``, and what :meth:`parts` gave.
        """

    def after_step(self, parts: "nn.ModuleDict", done: float) -> None:
        """Called after each step of the optimiser; ``done`` is the share of the steps, 0 to 1."""

    def teacher(self) -> "Backbone | None":
        """The backbone whose vectors are the targets; None for methods without."""
        return None

    def check(self) -> None:
        """Raises what training would as far as that is cheap to know; forms call it."""


def encoded(encoder: "nn.Module", views: "list[torch.Tensor]") -> "torch.Tensor":
    """Vectors of all views in one pass, ``(len(views) * n, dim)``, float32, view after view."""
    import torch

    return encoder(torch.cat(views)).float()


def full_precision(vectors: "torch.Tensor") -> "contextlib.AbstractContextManager":
    """Heads and losses inside compute in float32 where the encoder runs in half (autocast):
    they cost little, and differences of similarities are lost in eight bits."""
    import torch

    return torch.autocast(vectors.device.type, enabled=False)

"""VICReg: views agree, while every number of the vectors varies and none repeats another."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvl_plugin.core.settings import setting
from uvl_plugin.training.methods.base import (
    ENCODER,
    Batch,
    Method,
    encoded,
    full_precision,
    methods,
)

if TYPE_CHECKING:
    import torch
    from torch import nn


@methods.register
@dataclass(frozen=True, kw_only=True)
class VICReg(Method):
    """Invariance, variance and covariance of the projected views; no negatives, no teacher.

    Source: arXiv:2105.04906, section 4.1.
    """

    name, label = "vicreg", "VICReg"
    description = "Without negatives: images that look alike are not pushed apart."
    smallest_batch = 64

    invariance: float = setting(25.0, ge=0.0, le=1000.0, help="Weight of agreeing views.")
    variance: float = setting(
        25.0, ge=0.0, le=1000.0, help="Weight of a spread of at least 1 in each number."
    )
    covariance: float = setting(
        1.0, ge=0.0, le=1000.0, help="Weight of numbers that say different things."
    )
    hidden_dim: int = setting(512, ge=1, le=16384, help="Hidden units of the projector.")
    output_dim: int = setting(512, ge=2, le=16384, help="Numbers in which views are compared.")

    def parts(self, encoder: "nn.Module", dim: int, target_dim: int) -> "dict[str, nn.Module]":
        from lightly.loss import VICRegLoss
        from lightly.models.modules.heads import VICRegProjectionHead

        return {
            "projector": VICRegProjectionHead(dim, self.hidden_dim, self.output_dim),
            "criterion": VICRegLoss(
                self.invariance, self.variance, self.covariance, gather_distributed=True
            ),
        }

    def loss(self, parts: "nn.ModuleDict", batch: Batch) -> "torch.Tensor":
        vectors = encoded(parts[ENCODER], batch.views)
        with full_precision(vectors):
            first, second = parts["projector"](vectors).chunk(2)
            return parts["criterion"](first, second)

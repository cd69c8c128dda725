"""SimCLR: the two views of an image find each other among all views of the batch."""

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
class SimCLR(Method):
    """Contrastive learning with the other images of the batch as negatives.

    Source: arXiv:2002.05709, section 2.1.
    """

    name, label = "simclr", "SimCLR"
    description = "The robust choice: learns fast from a few thousand images; wants large batches."
    smallest_batch = 64

    temperature: float = setting(
        0.2, ge=0.01, le=10.0, help="Lower: harder on images that look alike."
    )
    hidden_dim: int = setting(256, ge=1, le=16384, help="Hidden units of the projector.")
    output_dim: int = setting(128, ge=1, le=16384, help="Numbers in which views are compared.")

    def parts(self, encoder: "nn.Module", dim: int, target_dim: int) -> "dict[str, nn.Module]":
        from lightly.loss import NTXentLoss
        from lightly.models.modules.heads import SimCLRProjectionHead

        return {
            "projector": SimCLRProjectionHead(
                dim, self.hidden_dim, self.output_dim, batch_norm=False
            ),
            "criterion": NTXentLoss(self.temperature, gather_distributed=True),
        }

    def loss(self, parts: "nn.ModuleDict", batch: Batch) -> "torch.Tensor":
        vectors = encoded(parts[ENCODER], batch.views)
        with full_precision(vectors):
            first, second = parts["projector"](vectors).chunk(2)
            return parts["criterion"](first, second)

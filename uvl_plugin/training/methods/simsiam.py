"""SimSiam: one view foretells the other's projection, which no gradient reaches."""

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
class SimSiam(Method):
    """Siamese networks: neither negatives nor a teacher; stopping the gradient prevents collapse.

    The loss is equation 2 of arXiv:2011.10566, -1 to 1.
    """

    name, label = "simsiam", "SimSiam"
    description = "The simplest without negatives; half the memory of BYOL."

    hidden_dim: int = setting(512, ge=1, le=16384, help="Hidden units of the projector.")
    output_dim: int = setting(512, ge=2, le=16384, help="Numbers in which views are compared.")
    predictor_dim: int = setting(
        128, ge=1, le=16384, help="Hidden units of the predictor: a quarter of its output."
    )

    def parts(self, encoder: "nn.Module", dim: int, target_dim: int) -> "dict[str, nn.Module]":
        from lightly.loss import NegativeCosineSimilarity
        from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead

        return {
            "projector": SimSiamProjectionHead(dim, self.hidden_dim, self.output_dim),
            "predictor": SimSiamPredictionHead(
                self.output_dim, self.predictor_dim, self.output_dim
            ),
            "criterion": NegativeCosineSimilarity(),
        }

    def loss(self, parts: "nn.ModuleDict", batch: Batch) -> "torch.Tensor":
        import torch

        vectors = encoded(parts[ENCODER], batch.views)
        with full_precision(vectors):
            projected = parts["projector"](vectors)
            first, second = projected.detach().chunk(2)
            return parts["criterion"](parts["predictor"](projected), torch.cat([second, first]))

"""BYOL: one view foretells what a slowly following teacher makes of the other."""

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
from uvl_plugin.training.methods.momentum import follow, teacher_of

if TYPE_CHECKING:
    import torch
    from torch import nn


@methods.register
@dataclass(frozen=True, kw_only=True)
class BYOL(Method):
    """Bootstrap your own latent: no negatives; predictor and teacher prevent collapse.

    The loss is the mean cosine with its sign turned, -1 to 1, where the paper has
    ``2 - 2 cosine`` (equation 2). Source: arXiv:2006.07733, section 3.
    """

    name, label = "byol", "BYOL"
    description = "Without negatives, for small batches too; learns slower than SimCLR."

    momentum: float = setting(
        0.99, ge=0.0, le=1.0, help="Share of the teacher that stays at each step, at the start."
    )
    hidden_dim: int = setting(512, ge=1, le=16384, help="Hidden units of the heads.")
    output_dim: int = setting(128, ge=1, le=16384, help="Numbers in which views are compared.")

    def parts(self, encoder: "nn.Module", dim: int, target_dim: int) -> "dict[str, nn.Module]":
        from lightly.loss import NegativeCosineSimilarity
        from lightly.models.modules.heads import BYOLPredictionHead, BYOLProjectionHead

        projector = BYOLProjectionHead(dim, self.hidden_dim, self.output_dim)
        return {
            "projector": projector,
            "predictor": BYOLPredictionHead(self.output_dim, self.hidden_dim, self.output_dim),
            "teacher": teacher_of(encoder),
            "teacher_projector": teacher_of(projector),
            "criterion": NegativeCosineSimilarity(),
        }

    def loss(self, parts: "nn.ModuleDict", batch: Batch) -> "torch.Tensor":
        import torch

        vectors = encoded(parts[ENCODER], batch.views)
        with torch.no_grad():
            taught = encoded(parts["teacher"], batch.views[::-1])
        with full_precision(vectors):
            foretold = parts["predictor"](parts["projector"](vectors))
            with torch.no_grad():
                targets = parts["teacher_projector"](taught)
            return parts["criterion"](foretold, targets)

    def after_step(self, parts: "nn.ModuleDict", done: float) -> None:
        follow(parts[ENCODER], parts["teacher"], self.momentum, done)
        follow(parts["projector"], parts["teacher_projector"], self.momentum, done)

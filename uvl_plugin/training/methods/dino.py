"""DINO: small crops name the same things as a teacher does that sees most of the image."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvl_plugin.core.settings import setting
from uvl_plugin.training.methods.base import (
    ENCODER,
    Augment,
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

_LOCAL_AREA = (0.05, 0.4)  # share of the image in a local view: arXiv:2104.14294, section 3.2
_N_GLOBAL = 2


@methods.register
@dataclass(frozen=True, kw_only=True)
class DINO(Method):
    """Self-distillation: a softmax over prototypes, sharpened and centred for the teacher.

    Local views keep the size of the others, so that networks of any kind take them.
    Source: arXiv:2104.14294, section 3.1.
    """

    name, label = "dino", "DINO"
    description = "For vision transformers, and photos whose parts tell what the whole is."

    local_views: int = setting(
        2, ge=0, le=12, help="Small crops of each image, beside the two large ones."
    )
    output_dim: int = setting(
        1024, ge=2, le=65536, label="Prototypes", help="Prototypes that views are compared with."
    )
    hidden_dim: int = setting(512, ge=1, le=16384, help="Hidden units of the projector.")
    bottleneck_dim: int = setting(
        128, ge=1, le=4096, help="Numbers in which views meet the prototypes."
    )
    momentum: float = setting(
        0.99, ge=0.0, le=1.0, help="Share of the teacher that stays at each step, at the start."
    )
    temperature: float = setting(0.1, ge=0.01, le=10.0, help="Of the student's softmax.")
    teacher_temperature: float = setting(
        0.04, ge=0.005, le=10.0, help="Of the teacher's softmax; lower is sharper."
    )
    warmup: float = setting(
        0.3,
        ge=0.0,
        le=1.0,
        help="Share of the steps in which the teacher's temperature rises from the first.",
    )
    first_temperature: float = setting(
        0.04, ge=0.005, le=10.0, help="Of the teacher's softmax at the start."
    )
    center_momentum: float = setting(
        0.9, ge=0.0, le=1.0, help="Share of the teacher's centre that stays at each step."
    )

    def views(self, images: "torch.Tensor", augment: Augment) -> "list[torch.Tensor]":
        """Two views as they are, then ``local_views`` of a small share of the area."""
        whole = [augment(images) for _ in range(_N_GLOBAL)]
        return whole + [augment(images, area=_LOCAL_AREA) for _ in range(self.local_views)]

    def parts(self, encoder: "nn.Module", dim: int, target_dim: int) -> "dict[str, nn.Module]":
        from lightly.loss import DINOLoss

        head = self._head(dim)
        return {
            "head": head,
            "teacher": teacher_of(encoder),
            "teacher_head": teacher_of(head),
            "criterion": DINOLoss(
                self.output_dim,
                student_temp=self.temperature,
                center_momentum=self.center_momentum,
            ),
        }

    def _head(self, dim: int) -> "nn.Module":
        """The projector, and the prototypes as rows of a matrix.

        Lightly's own head is not used: it can be neither copied nor, with today's torch, built
        without a warning.
        """
        from lightly.models.modules.heads import ProjectionHead
        from torch import nn

        hidden, bottleneck = self.hidden_dim, self.bottleneck_dim
        projector = ProjectionHead(
            [
                (dim, hidden, None, nn.GELU()),
                (hidden, hidden, None, nn.GELU()),
                (hidden, bottleneck, None, None),
            ]
        )
        return nn.Sequential(projector, nn.Linear(bottleneck, self.output_dim, bias=False))

    def loss(self, parts: "nn.ModuleDict", batch: Batch) -> "torch.Tensor":
        import torch

        vectors = encoded(parts[ENCODER], batch.views)
        with torch.no_grad():
            taught = encoded(parts["teacher"], batch.views[:_N_GLOBAL])
        with full_precision(vectors):
            said = _cosines(parts["head"], vectors)
            with torch.no_grad():
                targets = _cosines(parts["teacher_head"], taught)
            return parts["criterion"](
                list(targets.chunk(_N_GLOBAL)),
                list(said.chunk(len(batch.views))),
                teacher_temp=self.teacher_temperature_at(batch.done),
            )

    def teacher_temperature_at(self, done: float) -> float:
        """What the teacher's logits are divided by after ``done``, 0 to 1, of the steps."""
        if done >= self.warmup:
            return self.teacher_temperature
        rise = self.teacher_temperature - self.first_temperature
        return self.first_temperature + rise * done / self.warmup

    def after_step(self, parts: "nn.ModuleDict", done: float) -> None:
        follow(parts[ENCODER], parts["teacher"], self.momentum, done)
        follow(parts["head"], parts["teacher_head"], self.momentum, done)


def _cosines(head: "nn.Module", vectors: "torch.Tensor") -> "torch.Tensor":
    """Vectors ``(n, dim)`` to their cosines with the prototypes ``(n, output_dim)``."""
    from torch.nn import functional

    projector, prototypes = head.children()
    directions = functional.normalize(prototypes.get_parameter("weight"), dim=1)
    return functional.linear(functional.normalize(projector(vectors), dim=1), directions)

"""Distillation: a small network learns to see as a large one does."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uvl_plugin.backbones.base import Backbone, backbones
from uvl_plugin.backbones.presets import DEFAULT, resolve_backbone
from uvl_plugin.core.errors import SettingsError, UVLError
from uvl_plugin.core.settings import json_object, setting
from uvl_plugin.training.methods.base import (
    ENCODER,
    Augment,
    Batch,
    Method,
    encoded,
    full_precision,
    methods,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

_EXAMPLE = '{"backbone": "timm", "model": "resnet50.a1_in1k"}'


@methods.register
@dataclass(frozen=True, kw_only=True)
class Distillation(Method):
    """A linear map of the student's vector of a view meets the teacher's vector of the image.

    The loss is the mean cosine with its sign turned, -1 to 1. Sources: arXiv:1412.6550,
    section 2.2, for regression onto a teacher's inner layer; arXiv:1503.02531 for the idea.
    """

    name, label = "distillation", "Distillation"
    description = "A small, fast network for images that a large one groups well already."
    smallest_batch = 8

    taught_by: str = setting(
        DEFAULT,
        label="Teacher",
        help="Name of a preset or checkpoint, or a backbone as JSON, such as " + _EXAMPLE + ".",
    )
    center: bool = setting(
        True, help="Subtract the batch's mean from the teacher's vectors: learn what differs."
    )

    @classmethod
    def of(cls, backbone: Backbone | str, **settings: Any) -> "Distillation":
        """With this backbone, or that of this preset or checkpoint, as the teacher."""
        if isinstance(backbone, Backbone):
            backbone = json.dumps({"backbone": backbone.name, **backbone.to_dict()})
        return cls(taught_by=backbone, **settings)

    def teacher(self) -> Backbone:
        """The backbone that :attr:`taught_by` says.

        Raises:
            SettingsError: if it says none.
        """
        try:
            if not self.taught_by.lstrip().startswith("{"):
                return resolve_backbone(self.taught_by)
            values = json_object(self.taught_by, "Distillation.taught_by", _EXAMPLE)
            return backbones[str(values.pop("backbone", ""))].from_dict(values)
        except UVLError as error:
            raise SettingsError(f"Distillation has no teacher: {error}", "taught_by") from error

    def check(self) -> None:
        self.teacher().check()

    def views(self, images: "torch.Tensor", augment: Augment) -> "list[torch.Tensor]":
        """One view of each image."""
        return [augment(images)]

    def parts(self, encoder: "nn.Module", dim: int, target_dim: int) -> "dict[str, nn.Module]":
        from lightly.loss import NegativeCosineSimilarity
        from torch import nn

        return {"projector": nn.Linear(dim, target_dim), "criterion": NegativeCosineSimilarity()}

    def loss(self, parts: "nn.ModuleDict", batch: Batch) -> "torch.Tensor":
        if batch.targets is None:
            raise ValueError("Distillation needs Batch.targets, the teacher's vectors")
        vectors = encoded(parts[ENCODER], batch.views)
        with full_precision(vectors):
            targets = batch.targets.float()
            if self.center:
                targets = targets - targets.mean(dim=0)
            repeated = targets.repeat(len(batch.views), 1)
            return parts["criterion"](parts["projector"](vectors), repeated)

"""What learns, in one process: the network with the parts of its method, and the optimiser."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.backbones.base import Network, autocast, is_convolutional
from uvl_plugin.backbones.weights import seeded
from uvl_plugin.core.errors import DataError
from uvl_plugin.engine.precision import best_precision
from uvl_plugin.training.augmentation.base import Augmentation
from uvl_plugin.training.methods.base import ENCODER, Batch, Method
from uvl_plugin.training.optimizers import optimizer_of, schedule_of
from uvl_plugin.training.recipe import Recipe
from uvl_plugin.training.robustness import adversarial
from uvl_plugin.training.stages import freeze_all_but

if TYPE_CHECKING:
    import torch
    from torch import nn

    from uvl_plugin.training.distributed import Team


class Learner:
    """The network of one process, ready for its steps.

    Args:
        network: with its new head, where it gets one.
        method, augmentation, recipe: how it is trained.
        team: which process this is.
        target_dim: length of the teacher's vectors; 0 where there is no teacher.
        steps: of the optimiser, in the whole training.
        rate: highest learning rate.
        keeps_norms: whether the network's batch norms keep their statistics.

    Attributes:
        dim: length of the network's vectors.
        precision: what it computes in.
    """

    def __init__(
        self,
        network: Network,
        method: Method,
        augmentation: Augmentation,
        recipe: Recipe,
        team: "Team",
        *,
        target_dim: int,
        steps: int,
        rate: float,
        keeps_norms: bool = False,
    ):
        import torch
        from torch import nn

        self.method, self.augmentation, self.recipe = method, augmentation, recipe
        self._device, self._size = team.device, network.preprocess.size
        started_with = network.module
        if recipe.head_dim is not None:  # the new head always learns
            started_with = network.module.get_submodule("network")
        self._keeps_norms = keeps_norms
        self._frozen = freeze_all_but(started_with, recipe.trained_stages)
        self.dim = dimension(network)
        with seeded(recipe.seed):
            made = method.parts(network.module, self.dim, target_dim)
        self.parts = nn.ModuleDict({ENCODER: network.module, **made}).to(team.device)
        self._format = torch.contiguous_format
        if is_convolutional(network.module):
            self._format = torch.channels_last
            self.parts.to(memory_format=self._format)
        self._step = _as_module(method, self.parts)
        self._shared = _shared(self._step, team)
        self._mean, self._std = (
            torch.tensor(values, device=team.device).view(1, 3, 1, 1)
            for values in (network.preprocess.mean, network.preprocess.std)
        )
        self._optimizer = optimizer_of(recipe, self.parts, rate)
        self._schedule = schedule_of(self._optimizer, warmup=recipe.warmup, steps=steps)
        self._steps, self._done = steps, 0
        wanted = recipe.precision
        self.precision = best_precision(team.device) if wanted == "auto" else wanted
        self._scaler = torch.amp.GradScaler(team.device.type, enabled=self.precision == "fp16")

    @property
    def encoder(self) -> "nn.Module":
        """The network that becomes the backbone."""
        return self.parts[ENCODER]

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._schedule.get_last_lr()[0])

    def to_training_mode(self) -> None:
        """To training mode; what is frozen stays in evaluation mode, and so do batch norms that
        keep their statistics."""
        from torch.nn.modules.batchnorm import _BatchNorm

        self.parts.train()
        for frozen in self._frozen:
            frozen.eval()
        for part in self.encoder.modules() if self._keeps_norms else ():
            if isinstance(part, _BatchNorm):
                part.eval()

    def learn(
        self,
        pixels: "torch.Tensor",
        targets: "torch.Tensor | None",
        generator: "torch.Generator",
        *,
        last: bool,
    ) -> "torch.Tensor":
        """Learns from one batch.

        Args:
            pixels: uint8, ``(n, channels, height, width)``, on the device.
            targets: the teacher's vectors, ``(n, target_dim)``, on the device.
            generator: of the views.
            last: whether it is the last batch of a step of the optimiser.

        Returns:
            The loss, detached.
        """
        views = self.method.views(
            pixels, lambda images, area=None: self._view(images, generator, area)
        )
        if self.recipe.adversarial:
            self.parts.eval()  # the search must not move what batch norms know of the images
            views[0] = self._hardest(views, targets, generator)
            self.to_training_mode()
        waits = contextlib.nullcontext() if last else _no_sync(self._shared)
        with waits:
            loss = self._loss(self._shared, views, targets)
            self._scaler.scale(loss / self.recipe.accumulate).backward()
        if last:
            self._advance()
        return loss.detach()

    def vectors_of_views(
        self, pixels: "torch.Tensor", generator: "torch.Generator"
    ) -> tuple[np.ndarray, np.ndarray]:
        """The encoder's vectors ``(n, dim)`` of two views of each image, in evaluation mode."""
        import torch

        self.parts.eval()
        with torch.inference_mode(), autocast(self._device, self.precision):
            first, second = (
                self.encoder(self._normalised(self._view(pixels, generator))).float().cpu().numpy()
                for _ in range(2)
            )
        return first, second

    def state(self) -> dict[str, Any]:
        """All that is needed to go on from here."""
        return {
            "parts": self.parts.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "scaler": self._scaler.state_dict(),
            "done": self._done,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from where :meth:`state` was taken."""
        self.parts.load_state_dict(state["parts"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._scaler.load_state_dict(state["scaler"])
        self._done = state["done"]

    def _view(
        self,
        images: "torch.Tensor",
        generator: "torch.Generator",
        area: tuple[float, float] | None = None,
    ) -> "torch.Tensor":
        augmentation = self.augmentation
        if area is not None:
            augmentation = replace(augmentation, crop_area_min=area[0], crop_area_max=area[1])
        return augmentation(images, generator, self._size)

    def _hardest(
        self,
        views: "list[torch.Tensor]",
        targets: "torch.Tensor | None",
        generator: "torch.Generator",
    ) -> "torch.Tensor":
        return adversarial(
            views[0],
            lambda first: self._loss(self._step, [first, *views[1:]], targets),
            size=self.recipe.adversarial,
            steps=self.recipe.adversarial_steps,
            generator=generator,
        )

    def _loss(
        self,
        step: "nn.Module",
        views: "list[torch.Tensor]",
        targets: "torch.Tensor | None",
    ) -> "torch.Tensor":
        normalised = [self._normalised(view) for view in views]
        batch = Batch(normalised, targets, self._done / self._steps)
        with autocast(self._device, self.precision):
            return step(batch)

    def _normalised(self, images: "torch.Tensor") -> "torch.Tensor":
        normalised = (_coloured(images) - self._mean) / self._std
        return normalised.contiguous(memory_format=self._format)

    def _advance(self) -> None:
        import torch

        if self.recipe.clip_norm is not None:
            self._scaler.unscale_(self._optimizer)
            torch.nn.utils.clip_grad_norm_(self.parts.parameters(), self.recipe.clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        self._done += 1
        if self._done < self._steps:
            self._schedule.step()
        self.method.after_step(self.parts, self._done / self._steps)


def dimension(network: Network) -> int:
    """Length of a network's vectors."""
    import torch

    side = network.preprocess.size
    was_training = network.module.training
    with torch.inference_mode():
        vectors = network.module.eval()(torch.zeros(1, 3, side, side))
    network.module.train(was_training)
    if vectors.ndim != 2:
        raise DataError(
            f"The network gives an array of shape {tuple(vectors.shape[1:])} for an image, not a "
            "vector; choose another model or other options.",
            "backbone",
        )
    return vectors.shape[1]


def _coloured(images: "torch.Tensor") -> "torch.Tensor":
    return images.expand(-1, 3, -1, -1)


def _as_module(method: Method, parts: "nn.ModuleDict") -> "nn.Module":
    """The loss as a module, which torch's distributed training asks for."""
    from torch import nn

    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = parts

        def forward(self, batch: Batch) -> "torch.Tensor":
            return method.loss(self.parts, batch)

    return Step()


def _shared(step: "nn.Module", team: "Team") -> "nn.Module":
    """The same, so that all processes of the team learn alike."""
    if team.size == 1:
        return step
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    if team.device.type == "cuda":
        step = nn.SyncBatchNorm.convert_sync_batchnorm(step)
    return DistributedDataParallel(step, find_unused_parameters=True)


def _no_sync(step: "nn.Module") -> "contextlib.AbstractContextManager":
    from torch.nn.parallel import DistributedDataParallel

    if isinstance(step, DistributedDataParallel):
        return step.no_sync()
    return contextlib.nullcontext()

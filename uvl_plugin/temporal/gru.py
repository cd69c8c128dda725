"""A recurrent network that foresees how the frames will change."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvl_plugin.core.settings import setting
from uvl_plugin.temporal.arrow import arrow_loss
from uvl_plugin.temporal.base import TemporalMethod, temporal_methods

if TYPE_CHECKING:
    import torch
    from torch import nn


@temporal_methods.register
@dataclass(frozen=True, kw_only=True)
class TemporalGRU(TemporalMethod):
    """A gated recurrent unit reads the frames one after the other and predicts by how much they
    will have changed ``horizon`` frames later. Its states, which must know how things move for
    that, are the vectors. Beside it, it learns that both halves of a window show the same
    motion, and another one when played backwards, so that the mean of the states says which.

    Speed, frame rate and the choice of frames count: a frame is a step.

    Source: K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder",
    arXiv:1406.1078, section 2.3, for the unit.
    """

    name, label = "gru", "GRU"
    description = "Predicts the next change from what has been seen; learns in seconds."

    hidden: int = setting(64, ge=1, le=4096, help="Length of the state.")
    horizon: int = setting(3, ge=1, le=1024, help="Frames between now and what is predicted.")
    arrow: float = setting(
        0.3,
        ge=0.0,
        le=100.0,
        label="Arrow of time",
        help="Weight of telling a motion from the same one played backwards; 0: predict only.",
    )

    @property
    def least_frames(self) -> int:
        return self.horizon + 1

    @property
    def chance(self) -> float:
        return 1.0 + self.arrow * math.log(3)

    def network(self, n_components: int) -> "nn.Module":
        from torch import nn

        return nn.ModuleDict(
            {
                "gru": nn.GRU(n_components, self.hidden, batch_first=True),
                "change": nn.Linear(self.hidden, n_components),
            }
        )

    def loss(
        self, network: "nn.Module", frames: "torch.Tensor", lengths: "torch.Tensor"
    ) -> "torch.Tensor":
        loss = self._error(network, frames, lengths)
        if self.arrow:
            states = network.get_submodule("gru")
            loss = loss + self.arrow * arrow_loss(lambda rows: states(rows)[0], frames, lengths)
        return loss

    def states(self, network: "nn.Module", frames: "torch.Tensor") -> "torch.Tensor":
        return network.get_submodule("gru")(frames)[0]

    def _error(
        self, network: "nn.Module", frames: "torch.Tensor", lengths: "torch.Tensor"
    ) -> "torch.Tensor":
        """Mean square error over the mean square of the change: 1 for who predicts none."""
        import torch

        ahead = self.horizon
        change = frames[:, ahead:] - frames[:, :-ahead]  # (batch, t - ahead, k)
        predicted = network.get_submodule("change")(self.states(network, frames[:, :-ahead]))
        known = torch.arange(change.shape[1], device=lengths.device) < (lengths - ahead)[:, None]
        errors = (predicted - change)[known].pow(2).mean()
        return errors / change[known].pow(2).mean().clamp(min=1e-12)

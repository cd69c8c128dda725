"""The epochs of a training, a look at the held out videos after each, and what is kept."""

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.backbones.weights import seeded
from uvl_plugin.core.progress import Progress, part
from uvl_plugin.temporal.arrow import half_vectors
from uvl_plugin.temporal.base import TemporalMethod
from uvl_plugin.temporal.encoder import CENTRE, MOTION, NETWORK
from uvl_plugin.temporal.frames import Windows
from uvl_plugin.temporal.outcome import TemporalTraining, number
from uvl_plugin.temporal.watch import warnings_before, warnings_of
from uvl_plugin.training.checkpoint import CheckpointWriter
from uvl_plugin.training.monitor import spread

if TYPE_CHECKING:
    import torch
    from torch import nn

ENDED = ("finished", "diverged")
_CLIP = 1.0  # greatest norm of the gradient
_WARMUP = 0.1  # share of the steps in which the learning rate rises
_MOST_WATCHED = 1000  # windows whose vectors are looked at after an epoch


class Training:
    """One training of a temporal encoder; it goes on where an earlier one was interrupted.

    Args:
        windows: of all videos.
        parts: windows to learn from, and those held out.
        motion: principal components that the windows were made with.
        card: what the checkpoint says beside what comes out.
    """

    def __init__(
        self,
        windows: Windows,
        parts: Mapping[str, np.ndarray],
        motion: np.ndarray,
        method: TemporalMethod,
        seed: int,
        device: "torch.device",
        writer: CheckpointWriter,
        card: Mapping[str, Any],
    ):
        import torch

        self._windows, self._motion, self._method = windows, motion, method
        self._seed, self._device, self._writer, self._card = seed, device, writer, card
        self._parts = parts
        learnt, held = len(parts["train"]), len(parts["validation"])
        with seeded(seed):
            self._network = method.network(len(motion)).to(device)
        self._optimizer = torch.optim.AdamW(self._network.parameters(), lr=method.learning_rate)
        self._weights: dict[str, str] | None = None
        self.outcome = TemporalTraining(
            warnings=warnings_before(learnt),
            how={"device": str(device), "learnt_from": learnt, "held_out": held},
        )
        self._resume()

    def run(self, progress: Progress) -> None:
        """Trains the epochs that are left, or until nothing gets better."""
        epochs = self._method.epochs
        self._write_card("running")
        for epoch in range(self.outcome.resumed + 1, epochs + 1):
            if epoch > self.outcome.best + self._method.patience:
                break
            started = time.monotonic()
            share = part(progress, (epoch - 1) / epochs, epoch / epochs)
            rate, loss = self._learn(epoch, share)
            self._look(epoch, rate, loss, started)
            if not math.isfinite(loss):
                self.end("diverged")
                return
        self.end("finished")
        progress(1.0, "trained")

    def end(self, state: str) -> None:
        """Writes what came out."""
        self._write_card(state)
        if state in ENDED:
            self._writer.drop_state()

    def _learn(self, epoch: int, progress: Progress) -> tuple[float, float]:
        """Learning rate of the last step and mean loss of one epoch."""
        import torch

        which = self._parts["train"]
        shuffled = np.random.default_rng((self._seed, epoch)).permutation(which)
        batches = list(self._windows.parts(shuffled, self._method.batch_size))
        losses, rate = [], 0.0
        for step, batch in enumerate(batches):
            rate = self._rate((epoch - 1) * len(batches) + step, len(batches))
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            loss = self._method.loss(self._network, *self._loaded(batch))
            self._optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), _CLIP)
            self._optimizer.step()
            losses.append(loss.item())
            progress((step + 1) / len(batches), f"epoch {epoch}, loss {losses[-1]:.3f}")
        return rate, float(np.mean(losses))

    def _rate(self, step: int, steps_an_epoch: int) -> float:
        done = (step + 1) / (self._method.epochs * steps_an_epoch)
        rising = min(1.0, done / _WARMUP)
        falling = (1 + math.cos(math.pi * max(0.0, done - _WARMUP) / (1 - _WARMUP))) / 2
        return self._method.learning_rate * rising * falling

    def _loaded(self, which: np.ndarray) -> "tuple[torch.Tensor, torch.Tensor]":
        import torch

        frames, lengths = self._windows.batch(which)
        return torch.from_numpy(frames).to(self._device), torch.from_numpy(lengths).to(self._device)

    def _look(self, epoch: int, rate: float, loss: float, started: float) -> None:
        """Measures, warns, and keeps what was learnt."""
        held = self._parts["validation"]
        best = min(self.outcome.scores(), default=math.inf)
        entry = {"epoch": epoch, "loss": number(loss)}
        if len(held):
            entry["validation_loss"] = number(self._validation_loss(held))
        vectors = self._vectors()
        entry |= {"spread": number(spread(vectors)), "learning_rate": rate}
        entry["seconds"] = round(time.monotonic() - started, 3)
        self.outcome.curve.append(entry)
        said = warnings_of(self.outcome.curve, self._method)
        self.outcome.warnings += [text for text in said if text not in self.outcome.warnings]
        if self.outcome.scores()[-1] < best:
            self.outcome.best = epoch
            self._weights = self._writer.write_weights(
                _kept(self._network, self._motion, vectors.mean(axis=0))
            )
        self._writer.write_state(self._state())
        self._write_card("running")

    def _validation_loss(self, which: np.ndarray) -> float:
        import torch

        losses, counts = [], []
        with torch.inference_mode():
            for batch in self._windows.parts(which, self._method.batch_size):
                loss = self._method.loss(self._network, *self._loaded(batch))
                losses.append(loss.item())
                counts.append(len(batch))
        return float(np.average(losses, weights=counts))

    def _vectors(self) -> np.ndarray:
        """Of windows, many or all, ``(n, dim)``."""
        import torch

        every = np.sort(np.concatenate(list(self._parts.values())))
        chosen = every[:: -(-len(every) // _MOST_WATCHED)]
        found = []
        with torch.inference_mode():
            for batch in self._windows.parts(chosen, self._method.batch_size):
                vectors = half_vectors(
                    lambda rows: self._method.states(self._network, rows), *self._loaded(batch)
                )
                found.append(vectors.cpu().numpy())
        return np.concatenate(found)

    def _state(self) -> dict[str, Any]:
        return {
            "network": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "fingerprint": self._card["fingerprint"],
            "curve": self.outcome.curve,
            "warnings": self.outcome.warnings,
            "best": self.outcome.best,
            "weights": self._weights,
        }

    def _resume(self) -> None:
        state = self._writer.state()
        if state is None or state["fingerprint"] != self._card["fingerprint"]:
            return
        self._network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.outcome.curve, self.outcome.warnings = state["curve"], state["warnings"]
        self.outcome.best, self._weights = state["best"], state["weights"]
        self.outcome.resumed = len(self.outcome.curve)

    def _write_card(self, state: str) -> None:
        self.outcome.state = state
        card = {**self._card, **self.outcome.to_card()}
        if self._weights is not None:
            card["weights"] = self._weights
        self._writer.write_card(card)


def _kept(network: "nn.Module", motion: np.ndarray, centre: np.ndarray) -> "nn.Module":
    """What is written: the network, the components that its frames came from, and what is taken
    off its vectors."""
    import torch
    from torch import nn

    kept = nn.Module()
    kept.register_buffer(MOTION, torch.from_numpy(motion))
    kept.register_buffer(CENTRE, torch.from_numpy(centre))
    kept.add_module(NETWORK.rstrip("."), network)
    return kept

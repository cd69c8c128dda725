"""The training of a checkpoint: epochs, a look at the validation part after each, and what is kept."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.backbones.checkpoint import read_card
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.backbones.weights import seeded
from uvl_plugin.core.errors import Cancelled, DataError
from uvl_plugin.core.progress import Pace, Progress, part
from uvl_plugin.engine.loaded import LoadedBackbone
from uvl_plugin.engine.settings import Engine
from uvl_plugin.engine.threads import available_threads, library_threads
from uvl_plugin.training.augmentation.base import Augmentation
from uvl_plugin.training.checkpoint import CheckpointWriter
from uvl_plugin.training.distributed import Team, run_together
from uvl_plugin.training.images import TrainingImages, ahead, drawn
from uvl_plugin.training.learner import Learner
from uvl_plugin.training.monitor import Epoch, Monitor, consistency, effective_rank, spread
from uvl_plugin.training.task import Outcome, Task, card_of, network_of

if TYPE_CHECKING:
    import torch

_MIB = 2**20
_MOST_WATCHED = 1000  # images of the validation part that are looked at after each epoch
_ENDED = ("finished", "collapsed", "diverged")
_SMALL = 64  # pixels of a side
_LARGER = 1.15  # images are kept larger than the network sees them, where views are cut out


def train_network(task: Task, progress: Progress) -> Outcome:
    """Trains a network and writes its checkpoint, epoch by epoch.

    A training that was interrupted goes on behind its last complete epoch; one that has ended is
    not repeated.

    Raises:
        DataError: if there are too few images or none can be read.
        SettingsError: if there is no such device.
        Cancelled: if ``progress`` raised it; the checkpoint then holds the best epoch so far.
    """
    return run_together(_train, task, task.recipe.device, progress)


def _train(task: Task, team: Team, progress: Progress) -> Outcome:
    import torch

    if team.agreed(_has_ended(task)):
        return Outcome.from_card(read_card(task.name))
    cuda = [team.device] if team.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        training = _Training(task, team, part(progress, 0.0, 0.1))
        try:
            with library_threads(training.threads):
                training.run(part(progress, 0.1, 1.0))
        except (Cancelled, KeyboardInterrupt):
            training.end("stopped")
            raise
        return training.outcome


def _has_ended(task: Task) -> bool:
    card = CheckpointWriter(task.name).card()
    if card is None or card["fingerprint"] != task.fingerprint:
        return False
    return card["state"] in _ENDED


def storing(preprocess: Preprocess, augmentation: Augmentation) -> Preprocess:
    """How images are kept for training: a little larger where views are cut out of them."""
    side = preprocess.size
    if augmentation.crop_area_min < 1:
        side = round(side * _LARGER)
    fit = "squash" if preprocess.fit == "squash" else "cover"
    return Preprocess(size=side, fit=fit)


class _Training:
    def __init__(self, task: Task, team: Team, progress: Progress):
        self._task, self._team, self._recipe = task, team, task.recipe
        self.outcome = Outcome()
        self._writer = CheckpointWriter(task.name)
        with seeded(self._recipe.seed):
            network = network_of(task)
        self._preprocess = network.preprocess
        self._images, self._watched = self._read(part(progress, 0.0, 0.5))
        self._targets, target_dim = self._teach(part(progress, 0.5, 1.0))
        n = len(self._images.ids)
        self._batch_size = self._recipe.batch_size_for(n)
        if n < 2 * team.size or self._batch_size < 2 * team.size:
            raise DataError(
                f"There are {n} images to train with, in batches of {self._batch_size}, and "
                f"{team.size} processes; each needs at least two in every batch."
            )
        n_batches = n // self._batch_size
        accumulate = min(self._recipe.accumulate, n_batches)
        self._recipe = replace(self._recipe, accumulate=accumulate)
        self._n_batches = n_batches - n_batches % accumulate  # whole steps
        rate = self._recipe.learning_rate_for(self._batch_size, pretrained=task.backbone.pretrained)
        self._learner = Learner(
            network, task.method, task.augmentation, self._recipe, team,
            target_dim=target_dim, rate=rate,
            keeps_norms=self._recipe.keeps_norms(pretrained=task.backbone.pretrained),
            steps=self._recipe.epochs * (self._n_batches // accumulate),
        )  # fmt: skip
        self._monitor = Monitor(
            method=task.method.label,
            smallest_batch=task.method.smallest_batch,
            batch_size=self._batch_size,
            n_images=n,
            epochs=self._recipe.epochs,
        )
        self._best_score = -math.inf
        self._weights: dict[str, str] | None = None
        self.outcome.how = {
            "device": str(team.device),
            "processes": team.size,
            "precision": self._learner.precision,
            "batch_size": self._batch_size,
            "learning_rate": rate,
            "images": n,
            "kept_in_memory": self._images.kept,
            "dim": self._learner.dim,
        }
        self.outcome.warnings += self._monitor.before()
        self._resume()

    @property
    def threads(self) -> int:
        """For one operation of torch: on small images many would wait for each other."""
        small = self._preprocess.size <= _SMALL
        return 1 if small else self._recipe.threads or available_threads()

    def run(self, progress: Progress) -> None:
        """Trains the epochs that are left."""
        epochs = self._recipe.epochs
        self._write_card("running")
        for epoch in range(self.outcome.resumed + 1, epochs + 1):
            share = part(progress, (epoch - 1) / epochs, epoch / epochs)
            started = time.monotonic()
            loss = self._learn(epoch, share)
            self._look(epoch, loss, time.monotonic() - started)
            collapsed = self._monitor.collapsed and self._recipe.stop_when_collapsed
            if self._team.agreed(collapsed or not math.isfinite(loss)):
                self.end("collapsed" if collapsed else "diverged")
                return
        self.end("finished")
        progress(1.0, "trained")

    def end(self, state: str) -> None:
        """Writes what came out; of a training that was not finished, the best epoch."""
        self.outcome.state = state
        if state == "finished" and self._team.leads:
            self._weights = self._writer.write_weights(self._learner.encoder)
        self._write_card(state)
        if state == "finished" and self._team.leads:
            self._writer.drop_state()

    def _read(self, progress: Progress) -> "tuple[TrainingImages, TrainingImages | None]":
        task = self._task
        preprocess = storing(self._preprocess, task.augmentation)
        threads = self._recipe.threads or available_threads()
        memory = self._recipe.memory * _MIB
        images = TrainingImages(
            task.sources, preprocess, memory=memory, threads=threads, progress=progress
        )
        self.outcome.failures |= images.failures
        watched = None
        if task.validation and self._team.leads:
            some = drawn(task.validation, _MOST_WATCHED, self._recipe.seed)
            watched = TrainingImages(some, preprocess, memory=memory, threads=threads)
            self.outcome.failures |= watched.failures
        return images, watched

    def _teach(self, progress: Progress) -> tuple[dict[str, np.ndarray], int]:
        """The teacher's vector of each image, half precision, and their length."""
        teacher = self._task.method.teacher()
        if teacher is None:
            return {}, 0
        progress(0.0, f"loading the teacher, {teacher.label}")
        loaded = LoadedBackbone(teacher, Engine(device=str(self._team.device)))
        wanted = set(self._images.ids)
        found: dict[str, np.ndarray] = {}
        pace = Pace(len(wanted))
        for chunk in loaded.embed(self._task.sources, len(wanted)):
            found |= {
                key: vector.astype(np.float16)
                for key, vector in chunk.vectors.items()
                if key in wanted
            }
            progress(len(found) / len(wanted), f"asked the teacher about {pace.said(len(found))}")
        self._images.leave_out(wanted - found.keys())
        self.outcome.failures |= dict.fromkeys(wanted - found.keys(), "the teacher gave no vector")
        return found, loaded.encoder.dim

    def _learn(self, epoch: int, progress: Progress) -> float:
        import torch

        generator = _generator(self._team.device, self._recipe.seed, epoch, self._team.rank)
        torch.manual_seed(_mixed(self._recipe.seed, epoch, self._team.rank))
        self._learner.to_training_mode()
        batches = self._order(epoch)
        total = torch.zeros((), device=self._team.device)
        pace = Pace(len(batches) * self._batch_size)
        for number, (ids, pixels) in enumerate(self._loaded(batches), start=1):
            total += self._learner.learn(
                pixels.to(self._team.device, non_blocking=True),
                self._targets_of(ids),
                generator,
                last=number % self._recipe.accumulate == 0,
            )
            seen = pace.said(number * self._batch_size)
            progress(number / len(batches), f"{self._said(epoch)}: {seen}")
        self.outcome.failures |= self._images.failures
        return float(total / len(batches))

    def _loaded(self, batches: list[list[str]]) -> "Iterator[tuple[list[str], torch.Tensor]]":
        """The images of each batch; for a GPU they are made ready while it computes."""
        found = self._images.batches(batches)
        if self._team.device.type != "cuda":
            return found
        return ahead((ids, pixels.pin_memory()) for ids, pixels in found)

    def _said(self, epoch: int) -> str:
        said = f"epoch {epoch} of {self._recipe.epochs}"
        if self.outcome.curve:
            said += f", loss {self.outcome.curve[-1].loss:.3f}"
        return said

    def _order(self, epoch: int) -> list[list[str]]:
        """This process's share of each batch, in the order of this epoch."""
        ids = sorted(self._images.ids)
        shuffled = np.random.default_rng((self._recipe.seed, epoch)).permutation(len(ids))
        shape = (self._n_batches, self._batch_size)
        rows = shuffled[: self._n_batches * self._batch_size].reshape(shape)
        share = self._batch_size // self._team.size
        own = rows[:, self._team.rank * share : (self._team.rank + 1) * share]
        return [[ids[row] for row in batch] for batch in own]

    def _targets_of(self, ids: Sequence[str]) -> "torch.Tensor | None":
        if not self._targets:
            return None
        import torch

        rows = np.stack([self._targets[key] for key in ids]).astype(np.float32)
        return torch.from_numpy(rows).to(self._team.device)

    def _look(self, epoch: int, loss: float, seconds: float) -> None:
        """Measures, warns, and keeps what was learnt; only in the process that leads."""
        if not self._team.leads:
            return
        rate = self._learner.learning_rate
        figures = self._watch()
        seen = self._n_batches * self._batch_size
        entry = Epoch(
            epoch=epoch, loss=loss, learning_rate=rate, **figures,
            seconds=round(seconds, 3), images_per_second=round(seen / max(seconds, 1e-9), 1),
        )  # fmt: skip
        self.outcome.curve.append(entry)
        self.outcome.warnings += self._monitor.after(entry)
        score = figures["consistency"]
        better = not score < self._best_score  # the later of equal ones; any, without a score
        if better and math.isfinite(loss):
            self._best_score, self.outcome.best = score, epoch
            self._weights = self._writer.write_weights(self._learner.encoder)
        self._writer.write_state(self._state())
        self._write_card("running")

    def _watch(self) -> dict[str, Any]:
        """Rank, spread and consistency of the vectors of two views of the validation part."""
        if self._watched is None or len(self._watched.ids) < 2:
            return dict.fromkeys(("effective_rank", "spread", "consistency"), math.nan)
        generator = _generator(self._team.device, self._recipe.seed, 0, 0)  # the same every time
        first, second = [], []
        for _, pixels in self._watched.batches(list(_parts(self._watched.ids, self._batch_size))):
            pair = self._learner.vectors_of_views(pixels.to(self._team.device), generator)
            first.append(pair[0])
            second.append(pair[1])
        one, other = np.concatenate(first), np.concatenate(second)
        if not (np.isfinite(one).all() and np.isfinite(other).all()):
            return dict.fromkeys(("effective_rank", "spread", "consistency"), math.nan)
        return {
            "effective_rank": effective_rank(one),
            "spread": spread(one),
            "consistency": consistency(one, other),
        }

    def _state(self) -> dict[str, Any]:
        return {
            "learner": self._learner.state(),
            "fingerprint": self._task.fingerprint,
            "curve": [entry.to_dict() for entry in self.outcome.curve],
            "warnings": self.outcome.warnings,
            "best": self.outcome.best,
            "best_score": self._best_score,
            "weights": self._weights,
        }

    def _resume(self) -> None:
        state = self._writer.state()
        if state is None or state["fingerprint"] != self._task.fingerprint:
            return
        self._learner.restore(state["learner"])
        self.outcome.curve = [Epoch.from_dict(entry) for entry in state["curve"]]
        self.outcome.warnings = state["warnings"]
        self.outcome.best, self._best_score = state["best"], state["best_score"]
        self.outcome.resumed = len(self.outcome.curve)
        self._weights = state["weights"]
        for entry in self.outcome.curve:
            self._monitor.after(entry)

    def _write_card(self, state: str) -> None:
        if self._team.leads:
            self.outcome.state = state
            card = card_of(self._task, self._preprocess, self.outcome)
            if self._weights is not None:
                card["weights"] = self._weights
            self._writer.write_card(card)


def _parts(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _mixed(*numbers: int) -> int:
    """One seed of several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint32)[0])


def _generator(device: "torch.device", *numbers: int) -> "torch.Generator":
    import torch

    return torch.Generator(device).manual_seed(_mixed(*numbers))

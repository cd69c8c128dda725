"""Linear heads that learn clusters on frozen vectors: several side by side, by TEMI's loss.

Source: N. Adaloglou et al., "Exploring the Limits of Deep Image Clustering using Pretrained
Models", arXiv:2303.17896, section 3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.core.progress import Progress

if TYPE_CHECKING:
    import torch

_TEMPERATURE = 0.1  # of the softmax over the outputs of a head
_MOMENTUM = 0.99  # of the teacher and of the mean of its outputs
_WEIGHT_DECAY = 1e-4
_ROWS = 4096  # items that are looked at at a time after the training
_PAIRS = 5  # nearest neighbours of each item that the heads are judged by


@dataclass(frozen=True)
class Lesson:
    """How heads are trained.

    Attributes:
        steps: how many, each of ``batch_size`` pairs of an item and one of its neighbours.
        beta: exponent of the agreement, 0.5 to 1: the lower, the more even the clusters.
    """

    steps: int
    batch_size: int
    beta: float
    learning_rate: float
    seed: int


@dataclass(frozen=True)
class Judgement:
    """What can be said of ``heads`` without labels.

    Attributes:
        information: mean pointwise mutual information of an item's and a neighbour's cluster,
            in nats, shape ``(heads,)``.
        entropy: of the shares of the clusters, in nats, shape ``(heads,)``.
        used: clusters that have an item, shape ``(heads,)``.
    """

    information: np.ndarray
    entropy: np.ndarray
    used: np.ndarray


class Heads:
    """Several linear heads without bias, each with a softmax over its clusters.

    Args:
        weights: shape ``(heads, n_clusters, dim)``.
        vectors: of all items, shape ``(n, dim)``, float32; compared by direction, seen from the
            mean of them all.
        neighbors: of each item, shape ``(n, at least 1)``, nearest first.
    """

    def __init__(self, weights: "torch.Tensor", vectors: np.ndarray, neighbors: np.ndarray):
        self.weights = weights
        self._vectors = vectors
        self._mean = middle(vectors)
        self._neighbors = neighbors

    def trained(self, lesson: Lesson, progress: Progress) -> "Heads":
        """Heads that began as these and were trained: the teachers, which follow slowly."""
        import torch

        teacher = self.weights.clone()
        student = self.weights.clone().requires_grad_()
        optimizer = torch.optim.AdamW(
            [student], lr=lesson.learning_rate, weight_decay=_WEIGHT_DECAY
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, lesson.steps)
        marginal = self._shares()[0][:, None]  # (heads, 1, n_clusters)
        for step, rows in enumerate(self._pairs(lesson), start=1):
            pairs = self._units(rows.ravel())
            with torch.no_grad():
                taught = _log_softmax(teacher, pairs).unflatten(1, rows.shape)
                marginal.lerp_(taught.exp().mean(dim=(1, 2))[:, None], 1 - _MOMENTUM)
            learnt = _log_softmax(student, pairs).unflatten(1, rows.shape)
            optimizer.zero_grad()
            temi_loss(learnt, taught, marginal, lesson.beta).sum().backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                teacher.lerp_(student, 1 - _MOMENTUM)
            progress(step / lesson.steps, f"heads, step {step:,} of {lesson.steps:,}")
        return Heads(teacher, self._vectors, self._neighbors)

    def judged(self) -> Judgement:
        """What can be said of them without labels."""
        import torch

        shares, counts = self._shares()
        total = torch.zeros(len(self.weights), dtype=torch.float64)
        nearest = self._neighbors[:, :_PAIRS]
        for rows in _blocks(len(self._vectors)):
            own = self._probabilities(rows) / shares[:, None]
            for others in nearest[rows].T:
                ratio = (own * self._probabilities(others)).sum(dim=2)  # (heads, rows)
                total += ratio.clamp_min(1e-12).log().sum(dim=1).double().cpu()
        information = total / nearest.size
        return Judgement(
            information.numpy(),
            torch.special.entr(shares).sum(dim=1).double().cpu().numpy(),
            (counts > 0).sum(dim=1).cpu().numpy(),
        )

    def assigned(self, head: int) -> tuple[np.ndarray, np.ndarray]:
        """Cluster of each item by one head, and its probability, both of shape ``(n,)``."""
        labels = np.empty(len(self._vectors), np.int64)
        strengths = np.empty(len(self._vectors), np.float32)
        for rows in _blocks(len(self._vectors)):
            best = self._probabilities(rows)[head].max(dim=1)
            labels[rows], strengths[rows] = best.indices.cpu(), best.values.cpu()
        return labels, strengths

    def _pairs(self, lesson: Lesson) -> Iterator[np.ndarray]:
        """Items and a neighbour of each, drawn anew: shape ``(2, batch)``, ``steps`` times."""
        random = np.random.default_rng(lesson.seed)
        n, n_neighbors = self._neighbors.shape
        batch = min(n, lesson.batch_size)
        order, start = random.permutation(n), 0
        for _ in range(lesson.steps):
            if start + batch > n:
                order, start = random.permutation(n), 0
            items = order[start : start + batch]
            start += batch
            yield np.stack(
                [items, self._neighbors[items, random.integers(n_neighbors, size=batch)]]
            )

    def _shares(self) -> tuple["torch.Tensor", "torch.Tensor"]:
        """Mean probability and number of items of each cluster, ``(heads, n_clusters)``."""
        total, counts = self.weights.new_zeros((2, *self.weights.shape[:2]))
        for rows in _blocks(len(self._vectors)):
            probabilities = self._probabilities(rows)
            total += probabilities.sum(dim=1)
            found = probabilities.argmax(dim=2)
            counts.scatter_add_(1, found, counts.new_ones(found.shape))
        return total / len(self._vectors), counts

    def _probabilities(self, rows: slice | np.ndarray) -> "torch.Tensor":
        """Shape ``(heads, rows, n_clusters)``."""
        import torch

        with torch.no_grad():
            return _log_softmax(self.weights, self._units(rows)).exp()

    def _units(self, rows: slice | np.ndarray) -> "torch.Tensor":
        import torch

        return torch.from_numpy(unit_length(self._vectors[rows] - self._mean)).to(
            self.weights.device
        )


def middle(vectors: np.ndarray) -> np.ndarray:
    """Mean of ``(n, dim)`` vectors, shape ``(dim,)``, float32."""
    return vectors.mean(axis=0, dtype=np.float64).astype(np.float32)


def temi_loss(
    students: "torch.Tensor", teachers: "torch.Tensor", marginal: "torch.Tensor", beta: float
) -> "torch.Tensor":
    """Minus the weighted pointwise mutual information of the clusters of two neighbours.

    Args:
        students: log probabilities of pairs, shape ``(heads, 2, batch, n_clusters)``.
        teachers: the same of the teachers, without gradient.
        marginal: mean probabilities of the teachers, shape ``(heads, 1, n_clusters)``.
        beta: exponent of the agreement.

    Returns:
        Loss of each head, shape ``(heads,)``. A pair counts as much as the teachers, on average,
        think that its items belong together.
    """
    agreement = beta * (students + teachers.flip(1)) - marginal.clamp_min(1e-12).log()[:, None]
    information = agreement.logsumexp(dim=3)  # (heads, 2, batch)
    weights = teachers.sum(dim=1).exp().sum(dim=2).mean(dim=0)  # (batch,)
    return -(weights * information).mean(dim=(1, 2))


def _log_softmax(weights: "torch.Tensor", vectors: "torch.Tensor") -> "torch.Tensor":
    """Weights ``(heads, n_clusters, dim)`` and ``(rows, dim)`` to ``(heads, rows, n_clusters)``."""
    outputs = vectors @ weights.flatten(0, 1).T / _TEMPERATURE
    return outputs.unflatten(1, weights.shape[:2]).transpose(0, 1).log_softmax(dim=2)


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _ROWS, n)) for start in range(0, n, _ROWS))

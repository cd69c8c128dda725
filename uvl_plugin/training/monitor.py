"""Early warning: whether training goes wrong, seen from figures that need no labels."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.clustering.prepare import unit_length

if TYPE_CHECKING:
    from typing_extensions import Self

_ROWS = 1024  # that are compared with all others at a time
_FEW_IMAGES, _FEW_BATCHES = 200, 4

# Measured on digits with SimCLR, SimSiam and BYOL, on flowers and MNIST with untrained and
# pretrained networks: whatever learns keeps a spread above 0.11 and an effective rank above 4,
# at learning rates far too high 0.005 to 0.08 and 1.1 to 3.0.
_NO_SPREAD = 0.04
_LOW_SPREAD, _LOW_RANK = 0.1, 3.5
_PATIENCE = 2  # epochs in a row, since one may be bad by chance


def effective_rank(vectors: np.ndarray) -> float:
    """How many directions the vectors use: RankMe, the exponential of the entropy of the
    singular values, scaled to sum 1 (arXiv:2210.02885, equation 1).

    As in the paper the vectors are not centred: nearly parallel ones have a rank near 1, while
    centring would leave their noise, which points everywhere.

    Args:
        vectors: shape ``(n, dim)``.

    Returns:
        From 1 to ``min(n, dim)``; 0 if all vectors are zero or there are none; NaN, as from the
        functions below, if a number is not finite.
    """
    if not np.isfinite(vectors).all():
        return math.nan
    rows = vectors.astype(np.float64)
    gram = rows.T @ rows if len(rows) > rows.shape[1] else rows @ rows.T
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0.0)) if gram.size else np.zeros(1)
    shares = values[values > 0] / (values.sum() or 1.0)
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0


def spread(vectors: np.ndarray) -> float:
    """Standard deviation of the unit-length vectors, mean over the dimensions, times the root of
    their number: 1 where they point everywhere alike, 0 where all point the same way
    (arXiv:2011.10566, section 4.1).

    Args:
        vectors: shape ``(n, dim)``, ``n`` at least 1.
    """
    if not np.isfinite(vectors).all():
        return math.nan
    deviations = unit_length(vectors).std(axis=0, dtype=np.float64)
    return float(deviations.mean() * math.sqrt(vectors.shape[1]))


def consistency(first: np.ndarray, second: np.ndarray) -> float:
    """Share of images whose first view has their own second view as the nearest, by cosine,
    among the second views of all images. Chance is ``1 / n``.

    Args:
        first, second: shape ``(n, dim)``, ``n`` at least 1: row i of each is a view of image i.
    """
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return math.nan
    queries, others = unit_length(first), unit_length(second)
    found = 0
    for start in range(0, len(queries), _ROWS):
        nearest = (queries[start : start + _ROWS] @ others.T).argmax(axis=1)
        found += int((nearest == np.arange(start, start + len(nearest))).sum())
    return found / len(queries)


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What was measured in one epoch; vectors are those of the encoder, without augmentation.

    Attributes:
        epoch: which, from 1.
        loss: mean over its steps.
        validation_loss: mean on the validation part; None where there is none.
        learning_rate: of its last step.
        effective_rank, spread, consistency: see the functions of these names.
        seconds: how long it took, the measuring included.
        images_per_second: images learnt from, over the seconds that learning took.
    """

    epoch: int
    loss: float
    learning_rate: float
    effective_rank: float
    spread: float
    consistency: float
    seconds: float
    images_per_second: float
    validation_loss: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON types: None for NaN and infinity, which JSON does not have."""
        return {
            name: value if value is not None and math.isfinite(value) else None
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Self":
        """The epoch that :meth:`to_dict` gave; None is read as NaN."""
        known: dict[str, Any] = {
            name: math.nan if value is None and name != "validation_loss" else value
            for name, value in values.items()
        }
        return cls(**known)


@dataclass(kw_only=True)
class Monitor:
    """Watches one training. A training that goes on where it stopped shows it the old epochs.

    Args:
        method: what a person reads, such as ``"SimCLR"``.
        smallest_batch: below this the method is known to learn little.
        batch_size: images a step of the optimiser, those of all devices together.
        n_images: images that are learnt from.
        epochs: how many there will be.

    Attributes:
        collapsed: whether the vectors have collapsed, as far as :meth:`after` has seen.
    """

    method: str
    smallest_batch: int
    batch_size: int
    n_images: int
    epochs: int
    collapsed: bool = field(default=False, init=False)
    _losses: list[float] = field(default_factory=list, init=False)
    _parallel: int = field(default=0, init=False)  # epochs in a row
    _said: set[str] = field(default_factory=set, init=False)

    def before(self) -> list[str]:
        """What is known to go wrong before the first step; empty if nothing."""
        found = []
        if self.n_images < max(_FEW_IMAGES, _FEW_BATCHES * self.batch_size):
            found.append(
                f"There are only {self.n_images} images to learn from, in batches of "
                f"{self.batch_size}; below {_FEW_IMAGES} images or {_FEW_BATCHES} batches an "
                "epoch a network learns little. Add images, make batches smaller, or embed "
                "with a pretrained backbone instead."
            )
        if self.batch_size > self.n_images:
            found.append(
                f"A batch of {self.batch_size} is larger than the {self.n_images} images; make "
                "batches smaller."
            )
        if min(self.batch_size, self.n_images) < self.smallest_batch:
            found.append(
                f"{self.method} learns little from batches below {self.smallest_batch}, and "
                f"these are of {min(self.batch_size, self.n_images)}; make batches larger, or "
                "choose a method that is content with less."
            )
        return found

    def after(self, epoch: Epoch) -> list[str]:
        """What has gone wrong in this epoch; each kind of trouble is said once."""
        self._losses.append(epoch.loss)
        low = epoch.spread < _LOW_SPREAD and epoch.effective_rank < _LOW_RANK
        warming_up = epoch.epoch <= math.ceil(0.1 * self.epochs)
        parallel = not warming_up and (low or epoch.spread < _NO_SPREAD)
        self._parallel = self._parallel + 1 if parallel else 0
        self.collapsed = self._parallel >= _PATIENCE
        found = {
            "loss": not math.isfinite(epoch.loss) and _not_finite(epoch),
            "collapse": self.collapsed and _collapse(epoch),
            "still": self._still() and _standstill(epoch, self._losses[0]),
        }
        new = {kind: text for kind, text in found.items() if text and kind not in self._said}
        self._said |= new.keys()
        return list(new.values())

    def _still(self) -> bool:
        """Whether the last quarter of the losses is not below the first by more than they vary
        from epoch to epoch."""
        losses = np.array(self._losses)
        if len(losses) < max(5, 0.2 * self.epochs) or not np.isfinite(losses).all():
            return False
        quarter = len(losses) // 4
        fall = losses[:quarter].mean() - losses[-quarter:].mean()
        return bool(fall <= np.median(np.abs(np.diff(losses))) / math.sqrt(quarter))


def _not_finite(epoch: Epoch) -> str:
    return (
        f"Epoch {epoch.epoch}: the loss is {epoch.loss}. The learning rate "
        f"({epoch.learning_rate:.3g}) is too high; lower it to a tenth, or clip gradients."
    )


def _collapse(epoch: Epoch) -> str:
    return (
        f"Epoch {epoch.epoch}: the vectors have collapsed, nearly all images get the same one "
        f"(spread {epoch.spread:.3f} of 1, effective rank {epoch.effective_rank:.1f}). Lower the "
        f"learning rate ({epoch.learning_rate:.3g}) to a tenth, make batches larger, or choose "
        "SimCLR or VICReg, which push images apart."
    )


def _standstill(epoch: Epoch, first: float) -> str:
    return (
        f"Epoch {epoch.epoch}: the loss does not fall ({first:.3f} at first, {epoch.loss:.3f} "
        f"now). Try a learning rate three times as high or low (now {epoch.learning_rate:.3g}), "
        "more images, or weaker augmentation."
    )

"""What every temporal method is: a small network that reads frame vectors, and its loss."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from uvl_plugin.core.registry import Registry
from uvl_plugin.core.settings import Settings, setting

if TYPE_CHECKING:
    import torch
    from torch import nn

temporal_methods: "Registry[TemporalMethod]" = Registry("temporal method", "uvl_plugin.temporal")


@dataclass(frozen=True, kw_only=True)
class TemporalMethod(Settings):
    """One way of learning a temporal encoder, without labels; it has no state of its own.

    What it reads are windows of frames: vectors less the mean of their window, in the principal
    components of the motion of all videos, so what is seen all the time does not count.

    Class attributes:
        name: key in the registry and in checkpoints.
        label: what a person reads.
        description: one sentence: what it is good for.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str] = ""

    n_components: int = setting(
        8,
        ge=1,
        le=1024,
        label="Principal components",
        help="Directions in which frames are followed.",
    )
    window: int = setting(
        64,
        ge=2,
        le=4096,
        label="Frames in a window",
        help="Longer videos are read in windows of at most so many frames.",
    )
    epochs: int = setting(40, ge=1, le=100_000, help="How often every window is seen, at most.")
    patience: int = setting(
        15, ge=1, le=100_000, help="Ends after so many epochs without a better validation loss."
    )
    validation: float = setting(
        0.1, ge=0.0, le=0.8, help="Share of the videos that watches the training; not learnt from."
    )
    batch_size: int = setting(64, ge=1, le=65536, help="Windows in a batch.")
    learning_rate: float = setting(3e-3, ge=0.0, help="The highest; it falls on a cosine.")

    @property
    @abstractmethod
    def least_frames(self) -> int:
        """A window of fewer frames teaches nothing."""

    @property
    @abstractmethod
    def chance(self) -> float:
        """The loss of who knows nothing; the vectors are worth little if it stays near it."""

    @abstractmethod
    def network(self, n_components: int) -> "nn.Module":
        """The network with new weights, for frames of so many components."""

    @abstractmethod
    def loss(
        self, network: "nn.Module", frames: "torch.Tensor", lengths: "torch.Tensor"
    ) -> "torch.Tensor":
        """The loss of a batch, one number.

        Args:
            frames: shape ``(batch, t, n_components)``, zero behind the end of a window.
            lengths: frames of each window, ``(batch,)``, at least :attr:`least_frames`.
        """

    @abstractmethod
    def states(self, network: "nn.Module", frames: "torch.Tensor") -> "torch.Tensor":
        """What the network makes of each frame, ``(batch, t, dim)``; behind the end of a window
        it may be anything."""

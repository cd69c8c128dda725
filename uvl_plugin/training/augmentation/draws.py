"""Random numbers for a batch: a row of its own for every image, all from one generator."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Draws:
    """Draws for ``n`` images.

    Attributes:
        device: where the numbers are wanted.
        generator: of that device; None: torch's own.
    """

    n: int
    device: "torch.device"
    generator: "torch.Generator | None" = None

    def uniform(self, low: float, high: float, *shape: int) -> "torch.Tensor":
        """Evenly from ``low`` to ``high``, shape ``(n, *shape)``."""
        import torch

        drawn = torch.rand(self.n, *shape, device=self.device, generator=self.generator)
        return drawn.mul_(high - low).add_(low)

    def normal(self, *shape: int) -> "torch.Tensor":
        """Mean 0 and standard deviation 1, shape ``(n, *shape)``."""
        import torch

        return torch.randn(self.n, *shape, device=self.device, generator=self.generator)

    def chance(self, probability: float) -> "torch.Tensor":
        """True with that probability, shape ``(n,)``."""
        return self.uniform(0.0, 1.0) < probability

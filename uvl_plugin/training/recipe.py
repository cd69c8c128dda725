"""How a network is trained, whatever the method."""

from dataclasses import dataclass

from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.settings import Settings, setting

_LARGEST_BATCH, _SMALLEST_BATCH = 256, 64
_BATCHES = 16  # at least so many in an epoch, where the batch size is left open


@dataclass(frozen=True, kw_only=True)
class Recipe(Settings):
    """Epochs, optimiser, schedule, devices."""

    epochs: int = setting(50, ge=1, le=100_000, help="How often every image is seen.")
    batch_size: int | None = setting(
        None,
        ge=2,
        le=65536,
        help="Images in a batch, over all devices; empty: 256, or fewer for few images.",
    )
    accumulate: int = setting(
        1, ge=1, le=1024, label="Accumulated batches", help="Batches for one step of the optimiser."
    )
    optimizer: str = setting(
        "adamw",
        choices=("adamw", "adam", "nadam", "sgd", "lars"),
        label="Optimiser",
        help="sgd and lars (for very large batches) with momentum 0.9.",
    )
    learning_rate: float | None = setting(
        None,
        ge=0.0,
        help="The highest; empty: 0.002, a tenth of it for learnt weights; for sgd and lars 0.05 "
        "for each 256 images in a step.",
    )
    weight_decay: float = setting(1e-4, ge=0.0, le=10.0, help="Not on biases and norms.")
    warmup: float = setting(
        0.1, ge=0.0, le=1.0, help="Share of the steps in which the learning rate rises."
    )
    clip_norm: float | None = setting(
        None, ge=1e-6, label="Gradient clipping", help="Greatest norm of the gradient; empty: any."
    )
    trained_stages: int | None = setting(
        None,
        ge=0,
        help="Only the last so many stages of the network learn, the others stay frozen; 0: only "
        "the new head; empty: all.",
    )
    norm_statistics: str = setting(
        "auto",
        choices=("auto", "moving", "still"),
        label="Batch norms",
        help="still: they keep the means and deviations that the network came with; moving: they "
        "learn those of the batches. auto: still for learnt weights.",
    )
    head_dim: int | None = setting(
        None,
        ge=2,
        le=8192,
        label="New head",
        help="Puts a small network on the backbone that becomes part of it, and gives vectors of "
        "this length; empty: none.",
    )
    adversarial: float = setting(
        0.0,
        ge=0.0,
        le=1.0,
        label="Adversarial noise",
        help="Greatest change of a pixel, 0 to 1, by which one view is made as hard as possible "
        "(PGD); makes vectors steadier and training slower. 0: none.",
    )
    adversarial_steps: int = setting(3, ge=1, le=100, help="Steps that look for the hardest view.")
    seed: int = setting(0, ge=0, le=2**31 - 1, help="Of the order, the views and the new weights.")
    device: str = setting(
        "auto",
        help="auto, cpu, cuda, cuda:1 or mps; several GPUs of this machine: cuda:0,cuda:1 or "
        "cuda:all.",
    )
    precision: str = setting(
        "auto",
        choices=("auto", "fp32", "bf16", "fp16"),
        help="What the network computes in. auto: half precision on a GPU.",
    )
    threads: int | None = setting(
        None,
        ge=1,
        help="Processor threads that read images, and that compute where there is no GPU; empty: one "
        "for each core.",
    )
    memory: int = setting(
        2048,
        ge=1,
        label="Memory for images",
        help="MiB in which images may be kept between epochs; where they need more, files are "
        "read again in each epoch.",
    )
    stop_when_collapsed: bool = setting(
        True, help="End the training when all images get the same vector."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trained_stages == 0 and self.head_dim is None:
            raise SettingsError(
                "Recipe.trained_stages is 0, so nothing would learn; set head_dim, or let at "
                "least one stage learn.",
                "trained_stages",
            )

    def batch_size_for(self, n: int) -> int:
        """Images in a batch, where ``n`` are trained with; no more than there are."""
        if self.batch_size is not None:
            return min(self.batch_size, n)
        fitting = 1 << max(1, n // _BATCHES).bit_length() - 1
        return min(n, max(_SMALLEST_BATCH, min(_LARGEST_BATCH, fitting)))

    def keeps_norms(self, *, pretrained: bool) -> bool:
        """Whether batch norms keep their statistics."""
        return self.norm_statistics == "still" or (self.norm_statistics == "auto" and pretrained)

    def learning_rate_for(self, batch_size: int, *, pretrained: bool) -> float:
        """The highest learning rate."""
        if self.learning_rate is not None:
            return self.learning_rate
        if self.optimizer in ("sgd", "lars"):
            rate = 0.05 * batch_size * self.accumulate / 256
        else:
            rate = 2e-3
        return rate / 10 if pretrained else rate

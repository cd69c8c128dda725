"""Masked autoencoder: the vector of a view with holes and noise must redraw the whole view."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvl_plugin.core.settings import setting
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

_SIDE = 32  # of the redrawn view, pixels
_START = 4  # side of the first map of the decoder; each layer doubles it


@methods.register
@dataclass(frozen=True, kw_only=True)
class MaskedAutoencoder(Method):
    """A denoising autoencoder through the encoder's vector, so that any network will do.

    The loss is the mean squared error of all pixels of the view at 32 x 32 pixels, on the
    normalised scale. Sources: P. Vincent et al., "Extracting and composing robust features
    with denoising autoencoders", ICML 2008, page 1096; for hiding patches arXiv:2111.06377,
    section 3, where the decoder sees patches and the loss counts the hidden ones only.
    """

    name, label = "autoencoder", "Masked autoencoder"
    description = "Compares no images: for tiny batches, and for what shape and colour tell."
    smallest_batch = 8

    mask_ratio: float = setting(0.5, ge=0.0, le=0.95, help="Share of the patches to hide.")
    patch: float = setting(
        0.125, ge=0.02, le=0.5, label="Patch size", help="Side of a patch, share of the image's."
    )
    noise: float = setting(
        0.1, ge=0.0, le=2.0, help="Standard deviation of noise, on the normalised scale."
    )
    width: int = setting(32, ge=4, le=512, help="Channels of the decoder's last hidden layer.")

    def views(self, images: "torch.Tensor", augment: Augment) -> "list[torch.Tensor]":
        """One view of each image."""
        return [augment(images)]

    def parts(self, encoder: "nn.Module", dim: int, target_dim: int) -> "dict[str, nn.Module]":
        from torch import nn

        widest = 4 * self.width
        return {
            "decoder": nn.Sequential(
                nn.Linear(dim, widest * _START**2),
                nn.Unflatten(1, (widest, _START, _START)),
                nn.BatchNorm2d(widest),
                nn.ReLU(inplace=True),
                *_doubled(widest, 2 * self.width),
                *_doubled(2 * self.width, self.width),
                nn.ConvTranspose2d(self.width, 3, kernel_size=4, stride=2, padding=1),
            )
        }

    def loss(self, parts: "nn.ModuleDict", batch: Batch) -> "torch.Tensor":
        from torch.nn import functional

        clean = batch.views[0]
        vectors = encoded(parts[ENCODER], [self.spoilt(clean)])
        redrawn = parts["decoder"](vectors)
        with full_precision(vectors):
            target = functional.adaptive_avg_pool2d(clean.float(), _SIDE)
            return functional.mse_loss(redrawn.float(), target)

    def spoilt(self, views: "torch.Tensor") -> "torch.Tensor":
        """Views ``(n, channels, height, width)`` with noise, and 0 in the hidden patches of each.

        0 is the mean colour on the normalised scale.
        """
        import torch
        from torch.nn import functional

        n, _, height, width = views.shape
        cells = round(1 / self.patch)
        ranks = torch.rand(n, cells**2, device=views.device).argsort(dim=1)
        kept = ranks >= round(self.mask_ratio * cells**2)
        kept = kept.view(n, 1, cells, cells).to(views.dtype)
        noisy = views + self.noise * torch.randn_like(views)
        return noisy * functional.interpolate(kept, size=(height, width))


def _doubled(channels: int, out: int) -> "list[nn.Module]":
    """Maps ``(n, channels, side, side)`` to ``(n, out, 2 side, 2 side)``."""
    from torch import nn

    return [
        nn.ConvTranspose2d(channels, out, kernel_size=4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    ]

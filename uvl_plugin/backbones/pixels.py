"""Resized pixels: no network, and so the baseline that every network must beat."""

from dataclasses import dataclass

from uvl_plugin.backbones.base import Backbone, Encoder, backbones, resolve_device
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.core.settings import setting


@backbones.register
@dataclass(frozen=True, kw_only=True)
class Pixels(Backbone):
    """The pixels of the whole image, squeezed into a small square: ``dim = 3 * size**2``."""

    name, label = "pixels", "Pixels"
    description = "No network: small, aligned pictures such as glyphs; a baseline for the rest."

    size: int = setting(16, ge=1, le=256, help="Height and width of the small square, pixels.")

    def load(self, device: str = "auto") -> Encoder:
        import torch

        return Encoder(
            torch.nn.Flatten(), Preprocess(size=self.size, fit="squash"), resolve_device(device)
        )

"""A small convolutional network, made to be trained on small images."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvl_plugin.backbones.base import Network, TrainableBackbone, backbones
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.backbones.weights import seeded
from uvl_plugin.core.settings import setting

if TYPE_CHECKING:
    import torch

_SMALLEST = 4  # side of the maps after the last halving, pixels: less would blur all into one
_MOST_BLOCKS = 6


@backbones.register
@dataclass(frozen=True, kw_only=True)
class CompactCNN(TrainableBackbone):
    """Convolutions of stride 2, each with batch norm and ReLU, and the mean over the picture.

    The first block has ``width`` channels and each later one twice as many, up to four times
    ``width``; the last has ``dim``. There are as many as bring the picture down to 2 or 3 pixels,
    at most six.
    Its weights are random until it is trained.
    """

    name, label = "compact_cnn", "Compact CNN"
    description = "To be trained on your own small images, such as glyphs; fast without a GPU."

    input_size: int = setting(
        28, ge=8, le=256, help="Height and width to which images are squeezed, pixels."
    )
    width: int = setting(32, ge=4, le=512, help="Channels of the first block.")
    dim: int = setting(64, ge=2, le=4096, help="Length of the vectors.")
    seed: int = setting(0, ge=0, le=2**31 - 1, help="Seed of the random weights.")

    @property
    def pretrained(self) -> bool:
        return False

    @property
    def licence(self) -> str:
        return "none needed (random weights)"

    def network(self) -> Network:
        from torch import nn

        with seeded(self.seed):
            widths = self._widths()
            blocks = [
                _block(before, after) for before, after in zip((3, *widths), widths, strict=False)
            ]
            module = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        half = (0.5, 0.5, 0.5)
        preprocess = Preprocess(size=self.input_size, fit="squash", mean=half, std=half)
        return Network(module, preprocess)

    def _widths(self) -> tuple[int, ...]:
        side = self.input_size
        widths: list[int] = []
        while side >= _SMALLEST and len(widths) < _MOST_BLOCKS:
            widths.append(self.width * min(4, 2 ** len(widths)))
            side = (side + 1) // 2
        return (*widths[:-1], self.dim)


def _block(before: int, after: int) -> "torch.nn.Module":
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )

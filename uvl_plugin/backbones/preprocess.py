"""How images are resized and cropped for a network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

_WIDEST = 16  # longer side over shorter side
_FITS = ("cover", "squash", "contain")
_ON_TENSORS = {"BILINEAR": "bilinear", "BICUBIC": "bicubic"}


@dataclass(frozen=True)
class Preprocess:
    """An image as a network wants it, still as whole numbers: the mean and the standard
    deviation are applied on the device.

    Attributes:
        size: height and width of the result, pixels.
        resize: side that the image is resized to before the middle is cut out, pixels; None:
            ``size``.
        fit: ``"cover"``: ``resize`` is the shorter side, and what stands out is cut off;
            ``"squash"``: both sides; ``"contain"``: the longer side, and the rest is filled.
        interpolation: name of a ``PIL.Image.Resampling``, antialiased.
        mean, std: per colour, on a scale from 0 to 1.
        fill: rim around an image that is smaller than ``size``: 0 to 255, for all colours or for
            each.
    """

    size: int
    resize: int | None = None
    fit: str = "cover"
    interpolation: str = "BILINEAR"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    fill: int | tuple[int, int, int] = 0

    def __post_init__(self) -> None:
        if self.fit not in _FITS:
            raise ValueError(f"fit must be one of {_FITS}, got '{self.fit}'")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """RGB image ``(height, width, 3)``, uint8, to ``(size, size, 3)``, uint8."""
        import torch

        return self.on_device(torch.from_numpy(np.require(image, requirements=("C", "W")))).numpy()

    def on_device(self, image: "torch.Tensor") -> "torch.Tensor":
        """The same for a tensor, on whatever device it is."""
        side = self.resize or self.size
        if self.fit == "cover":
            image = _without_ends(image)
        height, width = self._resized_shape(image.shape[0], image.shape[1], side)
        return _centre(_resized(image, height, width, self.interpolation), self.size, self.fill)

    def smallest_source(self, height: int, width: int) -> tuple[int, int]:
        """Height and width below which an image of these sides would have to be enlarged."""
        resized = self._resized_shape(height, width, self.resize or self.size)
        return min(height, resized[0]), min(width, resized[1])

    def _resized_shape(self, height: int, width: int, side: int) -> tuple[int, int]:
        if self.fit == "squash":
            return side, side
        shorter, longer = min(height, width), max(height, width)
        if self.fit == "cover":  # as torchvision's Resize rounds
            new_shorter, new_longer = side, int(side * longer / shorter)
        else:  # as timm and open_clip round
            new_shorter, new_longer = max(1, round(shorter / (longer / side))), side
        return (new_shorter, new_longer) if height <= width else (new_longer, new_shorter)


def _without_ends(image: "torch.Tensor") -> "torch.Tensor":
    """A strip would grow beyond memory when its shorter side is resized; only its middle is
    used."""
    height, width = image.shape[:2]
    limit = _WIDEST * min(height, width)
    top, left = max(0, (height - limit) // 2), max(0, (width - limit) // 2)
    return image[top : height - top, left : width - left]


def _resized(image: "torch.Tensor", height: int, width: int, interpolation: str) -> "torch.Tensor":
    if tuple(image.shape[:2]) == (height, width):
        return image
    if interpolation not in _ON_TENSORS:
        return _resized_by_pillow(image, height, width, interpolation)
    import torch

    # On a processor four times as fast as Pillow, and at most one of 255 levels from it
    pixels = image.permute(2, 0, 1)[None]
    pixels = pixels if image.device.type == "cpu" else pixels.float()  # GPUs lack it for uint8
    mode = _ON_TENSORS[interpolation]
    resized = torch.nn.functional.interpolate(
        pixels, size=(height, width), mode=mode, antialias=True
    )
    if resized.is_floating_point():
        resized = resized.round_().clamp_(0, 255).to(torch.uint8)
    return resized[0].permute(1, 2, 0)


def _resized_by_pillow(
    image: "torch.Tensor", height: int, width: int, interpolation: str
) -> "torch.Tensor":
    import torch
    from PIL import Image

    resized = Image.fromarray(image.cpu().numpy()).resize(
        (width, height), Image.Resampling[interpolation]
    )
    return torch.from_numpy(np.array(resized)).to(image.device)


def _centre(image: "torch.Tensor", size: int, fill: int | tuple[int, int, int]) -> "torch.Tensor":
    """Cuts out the middle, as torchvision's ``CenterCrop`` does; a small image gets a rim."""
    import torch

    height, width = image.shape[:2]
    top, left = (max(0, round((side - size) / 2.0)) for side in (height, width))
    image = image[top : top + size, left : left + size]
    height, width = image.shape[:2]
    if height == width == size:
        return image
    rim = torch.tensor(fill, dtype=torch.uint8, device=image.device)
    result = rim.expand(size, size, 3).clone()
    top, left = (size - height) // 2, (size - width) // 2
    result[top : top + height, left : left + width] = image
    return result

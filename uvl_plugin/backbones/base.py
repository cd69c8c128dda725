"""What every backbone is: settings that load an encoder."""

import json
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.registry import Registry
from uvl_plugin.core.settings import Settings

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

backbones: "Registry[Backbone]" = Registry("backbone", "uvl_plugin.backbones")


_WIDEST = 16  # longer side over shorter side


@dataclass(frozen=True)
class Preprocess:
    """An image as a network wants it, still as whole numbers: the mean and the standard
    deviation are applied on the device.

    Attributes:
        size: height and width of the result, pixels.
        resize: length of the shorter side before the middle is cut out, pixels; None
            squeezes the whole image into the square.
        interpolation: name of a ``PIL.Image.Resampling``, antialiased.
        mean, std: per colour, on a scale from 0 to 1.
    """

    size: int
    resize: int | None = None
    interpolation: str = "BILINEAR"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    def __call__(self, image: "Image") -> np.ndarray:
        """RGB image to uint8 of shape ``(3, size, size)``."""
        from PIL import Image

        filter = Image.Resampling[self.interpolation]
        if self.resize is None:
            image = image.resize((self.size, self.size), filter)
        else:
            image = _cover(image, self.resize, filter)
            image = _centre(image, self.size)
        return np.ascontiguousarray(np.asarray(image, dtype=np.uint8).transpose(2, 0, 1))


def _cover(image: "Image", shorter: int, filter: int) -> "Image":
    """Resizes so that the shorter side is ``shorter``, as torchvision's ``Resize`` does."""
    width, height = image.size
    limit = _WIDEST * min(width, height)
    if max(width, height) > limit:  # a strip would grow beyond memory; only its middle is used
        image = image.crop(_middle(width, height, limit))
        width, height = image.size
    longer = int(shorter * max(width, height) / min(width, height))
    return image.resize((shorter, longer) if width <= height else (longer, shorter), filter)


def _middle(width: int, height: int, limit: int) -> tuple[int, int, int, int]:
    left, top = max(0, (width - limit) // 2), max(0, (height - limit) // 2)
    return left, top, width - left, height - top


def _centre(image: "Image", size: int) -> "Image":
    """Cuts out the middle, as torchvision's ``CenterCrop`` does; a small image gets a black rim."""
    left, top = round((image.width - size) / 2.0), round((image.height - size) / 2.0)
    return image.crop((left, top, left + size, top + size))


class Encoder:
    """A network on its device, ready to embed.

    Args:
        module: normalised images ``(batch, 3, height, width)`` to vectors ``(batch, dim)``.
        preprocess: makes the uint8 images that :meth:`encode` takes.
        device: as torch names it.
    """

    def __init__(self, module: "torch.nn.Module", preprocess: Preprocess, device: "torch.device"):
        import torch

        self.preprocess = preprocess
        self.device = device
        self.module = module.to(device).eval().requires_grad_(False)
        self._mean = torch.tensor(preprocess.mean, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(preprocess.std, device=device).view(1, 3, 1, 1)
        self.dim = self.encode([np.zeros((3, preprocess.size, preprocess.size), np.uint8)]).shape[1]

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Embeds images of shape ``(3, size, size)``, uint8: returns ``(n, dim)``, float32."""
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(np.stack(images)).to(self.device)
            batch = (batch.float() / 255.0 - self._mean) / self._std
            return self.module(batch).float().cpu().numpy()


@dataclass(frozen=True, kw_only=True)
class Backbone(Settings):
    """Settings that say which network, and load it.

    Class attributes:
        name: key in the registry and in run records.
        label: what a person reads.
        description: one sentence: what it is good for.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str] = ""

    @abstractmethod
    def load(self, device: str = "auto") -> Encoder:
        """Loads weights and puts the network on its device.

        Args:
            device: see :func:`resolve_device`.

        Raises:
            WeightsError: if weights are missing or do not fit.
            SettingsError: if there is no such model or device.
        """

    def check(self) -> None:
        """Raises what :meth:`load` would as far as that is cheap to know; forms call it."""

    @property
    def space(self) -> str:
        """Names the vectors: equal settings, equal space."""
        return f"{self.name} {json.dumps(self.to_dict(), sort_keys=True)}"


def resolve_device(device: str) -> "torch.device":
    """``"auto"``: the GPU where there is one; else what was asked for, or an error.

    Raises:
        SettingsError: if torch cannot use the device; never falls back in silence.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(
            f"device='{device}' cannot be used ({reason}); use 'cpu' or 'auto'.", "device"
        ) from error

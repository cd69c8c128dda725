"""What every backbone is: settings that load an encoder."""

import contextlib
import copy
import json
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from uvl_plugin.backbones.folding import folded
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.registry import Registry
from uvl_plugin.core.settings import Settings

if TYPE_CHECKING:
    import torch

backbones: "Registry[Backbone]" = Registry(
    "backbone", "uvl_plugin.backbones", also=("uvl_plugin.adapter.zoo",)
)


_DTYPES = {"bf16": "bfloat16", "fp16": "float16"}


class AnyEncoder(Protocol):
    """What the engine asks of a network that is ready to embed; see :class:`Encoder`.

    Attributes:
        module: the network, as far as torch knows it.
        device: where it runs.
        dim: length of the vectors.
        precision: what it computes in.
        preprocess: pixels ``(height, width, 3)``, uint8, to what :meth:`encode` takes.
        embed_texts: texts to vectors ``(n, dim)``; None where it knows images only.
        concurrent: whether several threads may call :meth:`encode` at once.
        casts: whether :attr:`precision` can be changed.
    """

    module: "torch.nn.Module"
    device: "torch.device"
    dim: int
    precision: str
    concurrent: bool
    casts: bool
    embed_texts: "Callable[[list[str]], torch.Tensor] | None"

    @property
    def preprocess(self) -> Callable[[Any], Any]: ...

    def buffer(self, n: int) -> Any:
        """Room for ``n`` images."""

    def encode(self, images: Any) -> np.ndarray:
        """Embeds images: returns ``(n, dim)``, float32."""

    def replica(self, device: "torch.device") -> "AnyEncoder":
        """The same network on another device."""


class Encoder:
    """A network on its device, ready to embed.

    Args:
        module: normalised images ``(batch, 3, height, width)`` to vectors ``(batch, dim)``.
        preprocess: makes the uint8 images that :meth:`encode` takes.
        device: as torch names it.
        embed_texts: texts to vectors ``(n, dim)`` in the space of the images, where the network
            has a text tower.

    Attributes:
        dim: length of the vectors.
        precision: what the network computes in: ``"fp32"``, ``"bf16"`` or ``"fp16"`` (autocast).
        concurrent: whether several threads may call :meth:`encode` at once.
        casts: whether :attr:`precision` can be changed.
    """

    concurrent = True
    casts = True

    def __init__(
        self,
        module: "torch.nn.Module",
        preprocess: Preprocess,
        device: "torch.device",
        *,
        embed_texts: "Callable[[list[str]], torch.Tensor] | None" = None,
    ):
        import torch

        self.preprocess = preprocess
        self.device = device
        self.embed_texts = embed_texts
        self.precision = "fp32"
        self._format = torch.contiguous_format
        self.module = module.to(device).eval().requires_grad_(False)
        if is_convolutional(module):
            side = preprocess.size
            example = torch.linspace(-2, 2, 3 * side**2, device=device).view(1, 3, side, side)
            self._format = torch.channels_last
            self.module = folded(self.module, example.cos()).to(memory_format=self._format)
        mean, std = (
            torch.tensor(values, device=device).view(1, 3, 1, 1)
            for values in (preprocess.mean, preprocess.std)
        )
        self._shift, self._scale = 255.0 * mean, 1.0 / (255.0 * std)
        vectors = self.encode(self.buffer(1))
        if vectors.ndim != 2:
            raise SettingsError(
                f"The network gives an array of shape {vectors.shape[1:]} for an image, not a "
                "vector; choose another model or other options."
            )
        self.dim = vectors.shape[1]

    def buffer(self, n: int) -> np.ndarray:
        """Room for ``n`` images, to be filled with what :attr:`preprocess` gives: pinned memory
        where the device is a GPU."""
        import torch

        size = self.preprocess.size
        pinned = self.device.type == "cuda"
        return torch.zeros((n, size, size, 3), dtype=torch.uint8, pin_memory=pinned).numpy()

    def encode(self, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Embeds images of shape ``(size, size, 3)``, uint8: returns ``(n, dim)``, float32."""
        import torch

        pixels = torch.from_numpy(np.asarray(images))
        return self.encode_pixels(pixels.to(self.device, non_blocking=True))

    def encode_pixels(self, pixels: "torch.Tensor") -> np.ndarray:
        """The same for images ``(n, size, size, 3)``, uint8, that are on the device already."""
        import torch

        with torch.inference_mode(), autocast(self.device, self.precision):
            return self.module(self._normalised(pixels)).float().cpu().numpy()

    def replica(self, device: "torch.device") -> "Encoder":
        """The same network on another device."""
        twin = Encoder(copy.deepcopy(self.module), self.preprocess, device)
        twin.precision = self.precision
        return twin

    def _normalised(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """uint8 ``(batch, height, width, 3)`` to float ``(batch, 3, height, width)``."""
        import torch

        images = pixels.permute(0, 3, 1, 2).to(torch.float32, memory_format=self._format)
        return images.sub_(self._shift).mul_(self._scale)


def autocast(device: "torch.device", precision: str) -> "contextlib.AbstractContextManager":
    """Within the block, networks on the device compute in ``precision``, see :class:`Encoder`."""
    import torch

    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, getattr(torch, _DTYPES[precision]))


def is_convolutional(module: "torch.nn.Module") -> bool:
    """Whether most of the network is convolutions: more than the one that makes patches."""
    from torch import nn

    return sum(isinstance(part, nn.Conv2d) for part in module.modules()) > 2


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
    def load(self, device: str = "auto") -> AnyEncoder:
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
    def has_text(self) -> bool:
        """Whether the encoder embeds texts too."""
        return False

    @property
    def space(self) -> str:
        """Names the vectors: equal settings, equal space."""
        return f"{self.name} {json.dumps(self.to_dict(), sort_keys=True)}"


@dataclass(frozen=True)
class Network:
    """A network as it is trained, on the processor.

    Attributes:
        module: normalised images ``(batch, 3, height, width)`` to vectors ``(batch, dim)``.
        preprocess: see :class:`Encoder`.
    """

    module: "torch.nn.Module"
    preprocess: Preprocess


@dataclass(frozen=True, kw_only=True)
class TrainableBackbone(Backbone):
    """A backbone whose network can be trained further."""

    @abstractmethod
    def network(self) -> Network:
        """Builds the network and loads its weights.

        Raises:
            WeightsError: if weights are missing or do not fit.
            SettingsError: if there is no such model.
        """

    def untrained(self) -> "TrainableBackbone":
        """The same architecture with random weights, for which nothing is fetched."""
        return self

    @property
    def licence(self) -> str:
        """Of the weights that :meth:`network` begins with."""
        return "unknown"

    @property
    def pretrained(self) -> bool:
        """Whether :meth:`network` begins with weights that were learnt, not with random ones."""
        return True

    def load(self, device: str = "auto") -> Encoder:
        target = resolve_device(device)
        network = self.network()
        return Encoder(network.module, network.preprocess, target)


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

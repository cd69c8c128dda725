"""How many images at once: what memory allows and, on a processor, what its caches like."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.backbones.base import AnyEncoder
from uvl_plugin.core.errors import UVLError

if TYPE_CHECKING:
    import torch

_logger = logging.getLogger(__name__)

# glibc gives blocks of 32 MiB and more back to the system each time, and every page of them
# faults in again: a MobileNetV2 was 2.4 times as slow with 32 images at once as with 4, and
# no network that was measured was faster with more than 8
_REUSED_BY_MALLOC = 24 * 2**20
_MOST_ON_CPU = 8
_MOST_ON_GPU = 256
_SHARE_OF_FREE = 0.4  # of a GPU's memory; two batches are under way at a time
_LIVE_ACTIVATIONS = 6  # that many of the largest may exist at once


class OutOfMemoryError(UVLError):
    """Not even one image at a time fits in the memory of the device."""


def images_at_once(encoder: AnyEncoder) -> int:
    """How many images the network should see at once: a power of two."""
    size = largest_activation(encoder)
    if encoder.device.type != "cuda":
        return _power_of_two(_REUSED_BY_MALLOC // size, _MOST_ON_CPU)
    import torch

    free, _ = torch.cuda.mem_get_info(encoder.device)
    return _power_of_two(int(free * _SHARE_OF_FREE) // (2 * _LIVE_ACTIVATIONS * size), _MOST_ON_GPU)


def largest_activation(encoder: AnyEncoder) -> int:
    """Bytes of the largest output of any layer for one image, at least those of the image."""
    found = [4 * encoder.buffer(1).size if isinstance(encoder.buffer(1), np.ndarray) else 2**20]

    def note(module: "torch.nn.Module", inputs: object, output: object) -> None:
        if hasattr(output, "nbytes"):
            found.append(int(output.nbytes))

    hooks = [part.register_forward_hook(note) for part in encoder.module.modules()]
    try:
        encoder.encode(encoder.buffer(1))
    finally:
        for hook in hooks:
            hook.remove()
    return max(found)


class Portions:
    """Gives an encoder no more images at once than fit; fewer from the first time that the
    memory runs out.

    Attributes:
        encoder: gets the images.
        at_once: how many it is given now.
    """

    def __init__(self, encoder: AnyEncoder, at_once: int):
        self.encoder = encoder
        self.at_once = at_once

    def __call__(self, images: Sequence | np.ndarray) -> np.ndarray:
        """Embeds any number of images: returns ``(n, dim)``, float32.

        Raises:
            OutOfMemoryError: if one image at a time is too much.
        """
        vectors: list[np.ndarray] = []
        done = 0
        while done < len(images):
            portion = images[done : done + self.at_once]
            try:
                vectors.append(self.encoder.encode(portion))
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                self._take_fewer(len(portion), error)
            else:
                done += len(portion)
        return np.concatenate(vectors)

    def _take_fewer(self, tried: int, error: BaseException) -> None:
        if tried == 1:
            raise OutOfMemoryError(
                f"One image at a time does not fit in the memory of {self.encoder.device}; use a "
                "smaller backbone or input_size, or another device."
            ) from error
        self.at_once = min(self.at_once, tried // 2)
        _logger.warning(
            "Out of memory on %s with %d images at once; going on with %d",
            self.encoder.device, tried, self.at_once,
        )  # fmt: skip
        if self.encoder.device.type == "cuda":
            import torch

            torch.cuda.empty_cache()


def _is_out_of_memory(error: BaseException) -> bool:
    import torch

    said = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        words in said for words in ("out of memory", "allocate memory", "not enough memory")
    )


def _power_of_two(limit: int, most: int) -> int:
    return 1 << (max(1, min(limit, most)).bit_length() - 1)

"""JPEG files decoded on the GPU, by torchvision; all other files as ever."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.backbones.base import Encoder
from uvl_plugin.core.errors import DataError
from uvl_plugin.media.images import JpegFile, read_image, upright

if TYPE_CHECKING:
    import torch


class GpuJpegEncoder:
    """An encoder that also takes JPEG files as they are, and decodes them on its device.

    Args:
        encoder: embeds what comes out.
    """

    concurrent = False
    casts = True

    def __init__(self, encoder: Encoder):
        self._encoder = encoder
        self.device = encoder.device
        self.dim = encoder.dim
        self.module = encoder.module
        self.embed_texts = encoder.embed_texts

    @property
    def precision(self) -> str:
        """See :class:`~uvl_plugin.backbones.base.Encoder`."""
        return self._encoder.precision

    @precision.setter
    def precision(self, value: str) -> None:
        self._encoder.precision = value

    def preprocess(self, image: "np.ndarray | JpegFile") -> "np.ndarray | JpegFile":
        """Leaves JPEG files to :meth:`encode`."""
        return image if isinstance(image, JpegFile) else self._encoder.preprocess(image)

    def buffer(self, n: int) -> list:
        """Room for ``n`` images or files."""
        size = self._encoder.preprocess.size
        return [np.zeros((size, size, 3), np.uint8)] * n

    def encode(self, images: "Sequence[np.ndarray | JpegFile]") -> np.ndarray:
        """Embeds images ``(size, size, 3)``, uint8, and JPEG files: returns ``(n, dim)``,
        float32; the row of a file that cannot be decoded is NaN."""
        import torch

        size = self._encoder.preprocess.size
        pixels = torch.zeros((len(images), size, size, 3), dtype=torch.uint8, device=self.device)
        files = {row: image for row, image in enumerate(images) if isinstance(image, JpegFile)}
        for row, image in enumerate(images):
            if row not in files:
                pixels[row] = torch.from_numpy(image).to(self.device)
        bad = []
        for row, decoded in zip(files, self._decoded(list(files.values())), strict=True):
            if decoded is None:
                bad.append(row)
            else:
                pixels[row] = self._encoder.preprocess.on_device(decoded)
        vectors = self._encoder.encode_pixels(pixels)
        vectors[bad] = np.nan
        return vectors

    def replica(self, device: "torch.device") -> "GpuJpegEncoder":
        """The same network on another device."""
        return GpuJpegEncoder(self._encoder.replica(device))

    def _decoded(self, files: list[JpegFile]) -> "list[torch.Tensor | None]":
        """Upright pixels ``(height, width, 3)`` of each file on the device."""
        try:
            return self._decoded_here(files)
        except RuntimeError:  # names no file
            return [self._decoded_alone(file) for file in files]

    def _decoded_alone(self, file: JpegFile) -> "torch.Tensor | None":
        import torch

        try:
            return self._decoded_here([file])[0]
        except RuntimeError:  # what the GPU does not know, the processor may
            try:
                return torch.from_numpy(read_image(file.path)).to(self.device)
            except DataError:
                return None

    def _decoded_here(self, files: list[JpegFile]) -> "list[torch.Tensor | None]":
        import torch
        from torchvision.io import ImageReadMode, decode_jpeg

        if not files:
            return []
        data = [torch.frombuffer(bytearray(file.data), dtype=torch.uint8) for file in files]
        decoded = decode_jpeg(data, mode=ImageReadMode.RGB, device=self.device)
        return [
            upright(pixels.permute(1, 2, 0), file.orientation)
            for pixels, file in zip(decoded, files, strict=True)
        ]

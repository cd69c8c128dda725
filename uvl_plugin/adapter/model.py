"""Backbones and clusterings as FiftyOne models."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import numpy as np
from fiftyone.core.models import (
    EmbeddingsMixin,
    Model,
    PromptMixin,
    SupportsGetItem,
    TorchModelMixin,
)
from fiftyone.utils.torch import GetItem
from PIL import Image

from uvl_plugin.adapter.clusterings import open_clustering
from uvl_plugin.adapter.vectors import backbone_of
from uvl_plugin.backbones.base import AnyEncoder
from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.core.embeddings import NOISE, noise_name
from uvl_plugin.core.errors import DataError
from uvl_plugin.media.images import read_image

if TYPE_CHECKING:
    import torch


class _ReadImage(GetItem):
    """File to what the encoder takes; the reason where it cannot be read."""

    def __init__(
        self, preprocess: Callable[[np.ndarray], np.ndarray], field_mapping: dict | None = None
    ):
        self.preprocess = preprocess
        super().__init__(field_mapping=field_mapping)

    @property
    def required_keys(self) -> list[str]:
        return ["filepath"]

    def __call__(self, d: dict) -> "torch.Tensor | str":
        try:
            return _as_tensor(self.preprocess(read_image(d["filepath"])))
        except DataError as error:
            return f"{d['filepath']}: {error}"


class _Transform:
    """Image in memory to what the encoder takes; FiftyOne stacks patches only as tensors."""

    def __init__(self, preprocess: Callable[[np.ndarray], np.ndarray]):
        self.preprocess = preprocess

    def __call__(self, image: Any) -> "torch.Tensor":
        return _as_tensor(self.preprocess(_rgb(image)))


class EmbeddingModel(Model, EmbeddingsMixin, PromptMixin, TorchModelMixin, SupportsGetItem):
    """A backbone as a FiftyOne model: ``compute_embeddings``, ``compute_patch_embeddings``,
    ``apply_model``, the brain's methods, and prompts where it has a text tower.

    Files are read as :func:`uvl_plugin.embed` reads them, so the vectors are the same. With
    ``apply_model`` a file that cannot be read costs only its own vector; FiftyOne's
    ``compute_embeddings`` gives up the whole batch of such a file.
    """

    def __init__(self, encoder: AnyEncoder):
        self.encoder = encoder
        self.ragged_batches = getattr(encoder, "ragged", False)  # a model of FiftyOne's zoo
        self.transforms = _Transform(encoder.preprocess)
        self.preprocess = True
        self._using_gpu = encoder.device.type == "cuda"  # FiftyOne asks before it pins memory
        self._last: np.ndarray | None = None
        self._lock = threading.Lock()

    media_type = "image"
    has_embeddings = True
    has_collate_fn = True
    ragged_batches = False  # properties in FiftyOne's classes, plain attributes here
    transforms: Any = None
    preprocess: bool = True

    @staticmethod
    def collate_fn(batch: list) -> list:
        """The batch as it is: images, and reasons of files that cannot be read."""
        return batch

    def build_get_item(self, field_mapping: dict | None = None) -> GetItem:
        return _ReadImage(self.encoder.preprocess, field_mapping)

    def predict(self, arg: Any) -> Any:
        return self.predict_all([arg])[0]

    def predict_all(self, args: Sequence) -> list:
        """Vector of each image, ``(dim,)`` float32; None where the file could not be read."""
        images = {i: self._ready(arg) for i, arg in enumerate(args) if not isinstance(arg, str)}
        results: list = [None] * len(args)
        if images:
            for i, result in zip(images, self._results(list(images.values())), strict=True):
                results[i] = result
        return results

    def embed(self, arg: Any) -> np.ndarray:
        return self.embed_all([arg])[0]

    def embed_all(self, args: Sequence) -> np.ndarray:
        """Vectors of shape ``(n, dim)``, float32.

        Args:
            args: PIL images; arrays ``(height, width)`` or ``(height, width, channels)``,
                uint8; tensors ``(channels, height, width)``, uint8 or float from 0 to 1.

        Raises:
            DataError: if a file could not be read.
        """
        bad = [arg for arg in args if isinstance(arg, str)]
        if bad:
            raise DataError("; ".join(bad))
        return self._vectors([self._ready(arg) for arg in args])

    def get_embeddings(self) -> np.ndarray:
        if self._last is None:
            raise DataError("The model has not seen an image yet.")
        return self._last

    @property
    def can_embed_prompts(self) -> bool:
        return self.encoder.embed_texts is not None

    def embed_prompt(self, arg: str) -> np.ndarray:
        return self.embed_prompts([arg])[0]

    def embed_prompts(self, args: Sequence[str]) -> np.ndarray:
        """Vectors of texts in the space of the images, ``(n, dim)``, float32.

        Raises:
            DataError: if the backbone has no text tower.
        """
        if self.encoder.embed_texts is None:
            raise DataError(
                "This backbone has no text tower, so it cannot search by text; "
                "use one that has, such as OpenCLIP."
            )
        with self._lock:
            return self.encoder.embed_texts(list(args)).float().cpu().numpy()

    def _results(self, images: list[np.ndarray]) -> list:
        return list(self._vectors(images))

    def _vectors(self, images: list[np.ndarray]) -> np.ndarray:
        with self._lock:  # the App's server may hold one model for several threads
            self._last = (
                self.encoder.encode(images)
                if images
                else np.empty((0, self.encoder.dim), np.float32)
            )
            return self._last

    def _ready(self, image: Any) -> np.ndarray:
        return np.asarray(self.transforms(image) if self.preprocess else image)


def _as_tensor(image: np.ndarray) -> "torch.Tensor":
    import torch

    return torch.from_numpy(np.array(image, order="C"))


def _rgb(image: Any) -> np.ndarray:
    """PIL image, array or tensor to ``(height, width, 3)``, uint8."""
    import torch

    if isinstance(image, torch.Tensor):
        image = image.permute(1, 2, 0).cpu()
        if image.is_floating_point():
            image = (image * 255.0).round().clamp(0, 255).to(torch.uint8)
    if not isinstance(image, Image.Image):
        pixels = np.asarray(image)
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)
    return np.array(image.convert("RGB"))


class ClusterLabeller(EmbeddingModel):
    """Puts images into the clusters of an earlier run: ``Classification(label, confidence)``."""

    def __init__(self, encoder: AnyEncoder, clusters: ClusterModel, names: Mapping[int, str]):
        super().__init__(encoder)
        self.clusters = clusters
        self.names = names

    def _results(self, images: list[np.ndarray]) -> list:
        labels, strengths = self.clusters.assign(self._vectors(images))
        return [
            fo.Classification(label=self.names[label], confidence=float(strength))
            for label, strength in zip(labels, strengths, strict=True)
        ]


def labeller(dataset: fo.Dataset, run_key: str, device: str) -> ClusterLabeller:
    """Loads the model that assigns images to the clusters of a run.

    Raises:
        DataError: if there is no such clustering, or its vectors were not made by a backbone
            of this package.
    """
    run = open_clustering(dataset, run_key)
    backbone = backbone_of(dataset, run.config.embeddings)
    names = {**run.edited.names, NOISE: noise_name(run.config.stem)}
    return ClusterLabeller(backbone.load(device), run.results.model, names)

"""Backbones and clusterings as FiftyOne models."""

import threading
from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import numpy as np
from fiftyone.core.models import EmbeddingsMixin, Model, SupportsGetItem, TorchModelMixin
from fiftyone.utils.torch import GetItem
from PIL import Image

from uvl_plugin.adapter.runs import ClusteringRunResults
from uvl_plugin.adapter.vectors import backbone_of
from uvl_plugin.backbones.base import Encoder, Preprocess
from uvl_plugin.backbones.images import read_image
from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.core.embeddings import cluster_names
from uvl_plugin.core.errors import DataError


class _ReadImage(GetItem):
    """File to the uint8 image that the encoder takes; the reason where it cannot be read."""

    def __init__(self, preprocess: Preprocess, field_mapping: dict | None = None):
        self.preprocess = preprocess
        super().__init__(field_mapping=field_mapping)

    @property
    def required_keys(self) -> list[str]:
        return ["filepath"]

    def __call__(self, d: dict) -> "np.ndarray | str":
        try:
            return self.preprocess(read_image(d["filepath"]))
        except DataError as error:
            return f"{d['filepath']}: {error}"


class EmbeddingModel(Model, EmbeddingsMixin, TorchModelMixin, SupportsGetItem):
    """A backbone that FiftyOne's ``compute_embeddings`` and ``apply_model`` take.

    Files are read as :func:`uvl_plugin.embed` reads them, so the vectors are the same. With
    ``apply_model`` a file that cannot be read costs only its own vector; FiftyOne's
    ``compute_embeddings`` gives up the whole batch of such a file.
    """

    def __init__(self, encoder: Encoder):
        self.encoder = encoder
        self._preprocess = True
        self._last: np.ndarray | None = None
        self._lock = threading.Lock()

    media_type = "image"
    ragged_batches = False
    has_embeddings = True
    has_collate_fn = True

    @staticmethod
    def collate_fn(batch: list) -> list:
        """The batch as it is: images, and reasons of files that cannot be read."""
        return batch

    @property
    def transforms(self) -> Any:
        return self._transform

    @property
    def preprocess(self) -> bool:
        return self._preprocess

    @preprocess.setter
    def preprocess(self, value: bool) -> None:
        self._preprocess = value

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

    def _results(self, images: list[np.ndarray]) -> list:
        return list(self._vectors(images))

    def _vectors(self, images: list[np.ndarray]) -> np.ndarray:
        with self._lock:  # the App's server may hold one model for several threads
            self._last = self.encoder.encode(images)
            return self._last

    def _ready(self, image: Any) -> np.ndarray:
        return self._transform(image) if self._preprocess else np.asarray(image)

    def _transform(self, image: Any) -> np.ndarray:
        """PIL image, or uint8 array of shape ``(height, width, 3)``, to the encoder's input."""
        if not isinstance(image, Image.Image):
            image = Image.fromarray(np.asarray(image))
        return self.encoder.preprocess(image.convert("RGB"))


class ClusterLabeller(EmbeddingModel):
    """Puts images into the clusters of an earlier run: ``Classification(label, confidence)``."""

    def __init__(self, encoder: Encoder, clusters: ClusterModel, run_key: str):
        super().__init__(encoder)
        self.clusters = clusters
        self.names = cluster_names(run_key, len(clusters.centroids))

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
    if not dataset.has_run(run_key):
        raise DataError(
            f"'{dataset.name}' has no run '{run_key}'. Runs: {', '.join(dataset.list_runs())}."
        )
    results = dataset.load_run_results(run_key, load_view=False)
    if not isinstance(results, ClusteringRunResults):
        raise DataError(f"The run '{run_key}' is not a clustering, so it has no clusters.")
    backbone = backbone_of(dataset, results.config.embeddings)
    return ClusterLabeller(backbone.load(device), results.model, run_key)

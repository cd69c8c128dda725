"""From image files to clusters, against labels that people gave."""

import statistics

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from uvl_plugin.backbones.pixels import Pixels
from uvl_plugin.backbones.torchvision import TorchVision
from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.quality import agreement
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.engine.loaded import LoadedBackbone
from uvl_plugin.engine.settings import Engine
from uvl_plugin.media.sources import ImageFile


def embedded(folder, classes, backbone) -> tuple[Embeddings, np.ndarray]:
    """Embeddings of all images in the folders of the classes, and their classes."""
    files = {str(path): path.parent.name for name in classes for path in folder.glob(f"{name}/*.*")}
    vectors, failures = {}, {}
    for chunk in LoadedBackbone(backbone, Engine()).embed(ImageFile(path, path) for path in files):
        vectors.update(chunk.vectors)
        failures.update(chunk.failures)
    assert not failures
    embeddings = Embeddings(list(vectors), np.stack(list(vectors.values())), backbone.space)
    return embeddings, np.array(list(files.values()))


def accuracy(embeddings, classes, **settings) -> float:
    result, _ = cluster_embeddings(embeddings, KMeans(n_clusters=len(set(classes)), **settings))
    return agreement(result.labels, classes, result.labels == -1).accuracy


def test_digits_that_come_with_scikit_learn(tmp_path):
    digits = load_digits(n_class=2)
    for name in "01":
        (tmp_path / name).mkdir()
    for number, (picture, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        grey = np.uint8(picture * (255 / 16))
        Image.fromarray(grey).save(tmp_path / str(digit) / f"{number}.png")
    assert accuracy(*embedded(tmp_path, "01", Pixels())) >= 0.99


@pytest.mark.real_data
def test_handwritten_digits(real_data):
    assert accuracy(*embedded(real_data / "images/mnist", "01", Pixels())) >= 0.99


@pytest.mark.real_data
def test_photographs_of_flowers(real_data):
    weights = real_data / "weights/torchvision/mobilenet_v2_imagenet.safetensors"
    half = (0.5, 0.5, 0.5)
    backbone = TorchVision(model="mobilenet_v2", weights=str(weights), mean=half, std=half)
    flowers = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    embeddings, classes = embedded(real_data / "images/flowers5", flowers, backbone)
    reached = [accuracy(embeddings, classes, seed=seed) for seed in range(3)]
    assert statistics.mean(reached) >= 0.54  # 0.584 to 0.599 over six orders of the files

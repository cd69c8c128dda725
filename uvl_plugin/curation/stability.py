"""How firmly images keep their clusters when they are changed in ways that should not matter."""

from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.core.embeddings import NOISE
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.progress import Pace, Progress, silent
from uvl_plugin.training.augmentation.choice import suitable_augmentation

if TYPE_CHECKING:
    from uvl_plugin.backbones.base import AnyEncoder
    from uvl_plugin.training.augmentation.base import Augmentation

_BATCH = 32  # views that are embedded at a time, or all of one image


def augmentation_stability(
    encoder: "AnyEncoder",
    model: ClusterModel,
    images: np.ndarray,
    labels: np.ndarray,
    augmentation: "Augmentation | None" = None,
    *,
    views: int = 8,
    seed: int = 0,
    progress: Progress = silent,
) -> np.ndarray:
    """Share of the random views of each image that get the cluster of the image.

    Every image is changed in the same ways, so its result depends on the image and the seed
    only: many images can be given in portions, if the augmentation is named.

    Args:
        encoder: whose vectors ``model`` is of.
        images: shape ``(n, size, size, 3)``, uint8, as ``encoder.preprocess`` gives them.
        labels: cluster of each, shape ``(n,)``; noise -1.
        augmentation: makes the views; None: what
            :func:`~uvl_plugin.training.augmentation.choice.suitable_augmentation` says.
        views: of each image, at least 1.
        seed: of the views.
        progress: of the images.

    Returns:
        Shares, 0 to 1, shape ``(n,)``, float32; 0 for noise.

    Raises:
        DataError: if there are no clusters, or not as many labels as images.
        SettingsError: if ``views`` is below 1.
    """
    model.check()
    if views < 1:
        raise SettingsError(f"views must be at least 1, got {views!r}.", "views")
    if len(images) != len(labels):
        raise DataError(f"There are {len(images)} images and {len(labels)} labels; give as many.")
    stable = np.zeros(len(images), np.float32)
    inside = np.flatnonzero(labels != NOISE)
    augmentation = augmentation or suitable_augmentation(images)
    pace, at_once = Pace(len(inside)), max(1, _BATCH // views)
    for start in range(0, len(inside), at_once):
        rows = inside[start : start + at_once]
        made = np.concatenate([_views(images[row], augmentation, views, seed) for row in rows])
        found = model.assign(encoder.encode(made))[0].reshape(len(rows), views)
        stable[rows] = np.mean(found == labels[rows, None], axis=1)
        done = start + len(rows)
        progress(done / len(inside), f"stability, {pace.said(done)}")
    return stable


def _views(image: np.ndarray, augmentation: "Augmentation", views: int, seed: int) -> np.ndarray:
    """Random views of one image, ``(views, size, size, 3)``, uint8."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    pixels = torch.from_numpy(image.transpose(2, 0, 1)).expand(views, -1, -1, -1)
    made = augmentation(pixels, generator).mul_(255.0).round_().to(torch.uint8)
    return made.permute(0, 2, 3, 1).numpy()

"""Why an image is in its cluster: which parts of it, once covered, weaken its place there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.progress import Progress, silent

if TYPE_CHECKING:
    from uvl_plugin.backbones.base import AnyEncoder

_BATCH = 32
_BLUR = 1 / 8  # standard deviation of what covers, as share of the side

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class OcclusionMap:
    """What covering each part of an image does to its place in a cluster.

    Attributes:
        values: how far the logarithm of the strength falls, shape ``(cells, cells)``, float32, of
            the square that the network sees; below 0 where it rises.
        strength: of the whole image, 0 to 1.
        box: left, top, right and bottom of that square, as shares of the width and height of the
            original; beyond 0 and 1 where it has a rim.
        shape: height and width of the original, pixels.
    """

    values: np.ndarray
    strength: float
    box: Box
    shape: tuple[int, int]

    @property
    def range(self) -> tuple[float, float]:
        """Least and greatest value."""
        return float(self.values.min()), float(self.values.max())

    def scaled(self) -> np.ndarray:
        """The map from 0 (no matter, or against the cluster) to 1 (the greatest fall): shape
        ``(cells, cells)``, float32."""
        kept = np.maximum(self.values, 0.0)
        return kept / max(float(kept.max()), np.finfo(np.float32).tiny)

    def over_image(self, longest: int = 256) -> np.ndarray:
        """:meth:`scaled` in the frame of the whole original, 0 where the network saw nothing of
        it: float32, of the shape of the original, or smaller in proportion.

        Args:
            longest: most pixels of the longer side, at least 1.
        """
        shrunk = min(1.0, longest / max(self.shape))
        height, width = (max(1, round(side * shrunk)) for side in self.shape)
        left, top, right, bottom = self.box
        down = _interpolated(height, top, bottom, len(self.values))
        across = _interpolated(width, left, right, len(self.values))
        return (down @ self.scaled() @ across.T).astype(np.float32)


def occlusion_map(
    encoder: "AnyEncoder",
    model: ClusterModel,
    image: np.ndarray,
    cluster: int,
    *,
    cells: int = 7,
    window: int = 2,
    progress: Progress = silent,
) -> OcclusionMap:
    """Covers one window of an image after the other, and sees how far it leaves its cluster.

    A window shows the blurred image where it covers: a flat colour is a shape of its own, and on
    a dark ground looks like a stroke. It has soft edges, as sharp ones alone move photographs to
    other clusters. What is followed is ``log softmax(cosine / 0.1)`` of the
    cluster, the logarithm of the strength. The value of a cell is the mean of the windows over it.

    Source: M. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks",
    arXiv:1311.2901, section 4.2; soft edges: V. Petsiuk and others, "RISE", arXiv:1806.07421,
    section 3.2.

    Args:
        encoder: whose vectors ``model`` is of.
        image: the original, shape ``(height, width, 3)``, uint8.
        cluster: 0 to ``model.n_clusters - 1``; the image need not belong to it.
        cells: rows, and columns, of the map, over what the network sees; the network runs
            ``(cells + window - 1)**2 + 1`` times.
        window: side of a window, in cells.
        progress: of the windows.

    Raises:
        DataError: if there is no such cluster.
        SettingsError: if ``cells`` or ``window`` is out of bounds, or the backbone prepares
            images in a way of its own.
    """
    preprocess = encoder.preprocess
    if not isinstance(preprocess, Preprocess):
        raise SettingsError(
            "This backbone prepares images in its own way, so no part can be covered; occlusion "
            "maps need a backbone of timm, torchvision, open_clip or one that was trained here."
        )
    _check(model, cluster, cells, window, preprocess.size)
    pixels = preprocess(image)
    covered = np.stack(list(_windows(cells, window)))
    strengths = _strengths(encoder, model, pixels, covered, cluster, progress)
    falls = np.log(strengths[0]) - np.log(strengths[1:])
    values = np.tensordot(falls, covered, axes=1) / covered.sum(axis=0)
    height, width = image.shape[:2]
    return OcclusionMap(
        values.astype(np.float32),
        float(strengths[0]),
        seen_box(preprocess, height, width),
        (height, width),
    )


def seen_box(preprocess: Preprocess, height: int, width: int) -> Box:
    """Which part of an image of these sides the network sees, see :attr:`OcclusionMap.box`.

    Exact but for the rounding of the resized sides, which is less than a pixel.
    """
    share = preprocess.size / (preprocess.resize or preprocess.size)
    if preprocess.fit == "squash":
        seen = (height * share, width * share)
    elif preprocess.fit == "cover":
        seen = (min(height, width) * share,) * 2
    else:
        seen = (max(height, width) * share,) * 2
    down, across = seen[0] / height / 2.0, seen[1] / width / 2.0
    return 0.5 - across, 0.5 - down, 0.5 + across, 0.5 + down


def _check(model: ClusterModel, cluster: int, cells: int, window: int, side: int) -> None:
    if not 1 <= cells <= side:
        raise SettingsError(
            f"cells must be from 1 to {side}, the side of what the network sees, got {cells!r}.",
            "cells",
        )
    if not 1 <= window <= cells:
        raise SettingsError(f"window must be from 1 to cells ({cells}), got {window!r}.", "window")
    if cluster not in model.owners or cluster < 0:
        raise DataError(
            f"There is no cluster {cluster} to explain; choose one of 0 to {model.n_clusters - 1}.",
            "cluster",
        )


def _windows(cells: int, window: int) -> Iterator[np.ndarray]:
    """Covered cells, ``(cells, cells)``, bool; windows reach over the edges, so that as many lie
    over each cell."""
    for top in range(1 - window, cells):
        for left in range(1 - window, cells):
            covered = np.zeros((cells, cells), dtype=bool)
            covered[max(0, top) : top + window, max(0, left) : left + window] = True
            yield covered


def _strengths(
    encoder: "AnyEncoder",
    model: ClusterModel,
    pixels: np.ndarray,
    covered: np.ndarray,
    cluster: int,
    progress: Progress,
) -> np.ndarray:
    """Strength of the image as it is, then with each window covered: ``(1 + windows,)``, above 0."""
    cells = covered.shape[1]
    instead = _blurred(pixels).astype(np.float32)
    spread = _interpolated(len(pixels), 0.0, 1.0, cells).astype(np.float32)
    pictures = np.concatenate([np.zeros((1, cells, cells), bool), covered])
    strengths = np.empty(len(pictures))
    for start in range(0, len(pictures), _BATCH):
        progress(start / len(pictures), f"covered {start} of {len(pictures)} windows")
        masks = (spread @ pictures[start : start + _BATCH] @ spread.T)[..., None]
        batch = np.rint(pixels + masks * (instead - pixels)).astype(np.uint8)
        affinities = model.affinities(model.preparation(encoder.encode(batch)))[:, cluster]
        strengths[start : start + _BATCH] = np.maximum(affinities, np.finfo(np.float32).tiny)
    progress(1.0, "covered all windows")
    return strengths


def _blurred(pixels: np.ndarray) -> np.ndarray:
    from PIL import Image, ImageFilter

    blur = ImageFilter.GaussianBlur(_BLUR * len(pixels))
    return np.asarray(Image.fromarray(pixels).filter(blur))


def _interpolated(n: int, low: float, high: float, cells: int) -> np.ndarray:
    """Weights of ``cells`` between ``low`` and ``high`` in each of ``n`` pixels between 0 and 1,
    linear between the middles of cells, 0 outside: ``(n, cells)``."""
    places = ((np.arange(n) + 0.5) / n - low) / (high - low)
    middles = (np.arange(cells) + 0.5) / cells
    weights = np.stack([np.interp(places, middles, cell) for cell in np.eye(cells)], axis=1)
    weights[(places < 0.0) | (places > 1.0)] = 0.0
    return weights

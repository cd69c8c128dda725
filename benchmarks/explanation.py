"""Whether the map "why is this image here" shows what matters, by deletion; and whether images
that augmentation moves are the wrongly assigned ones. Labels are used for scoring only."""

import os
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import photos
from benchmarks.learning import Pictures, _checkpoints, _digits, _mnist
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from uvl_plugin.backbones.base import Encoder
from uvl_plugin.backbones.checkpoint import Checkpoint
from uvl_plugin.backbones.compact import CompactCNN
from uvl_plugin.backbones.timm import Timm
from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.core.progress import silent
from uvl_plugin.curation.occlusion import occlusion_map
from uvl_plugin.curation.stability import augmentation_stability
from uvl_plugin.engine.threads import library_threads
from uvl_plugin.media.images import read_image
from uvl_plugin.media.sources import ImageFile
from uvl_plugin.training.augmentation.glyph import Glyph
from uvl_plugin.training.loop import train_network
from uvl_plugin.training.methods.simclr import SimCLR
from uvl_plugin.training.recipe import Recipe
from uvl_plugin.training.task import Task

_SEEDS = 3
_CELLS = 7
_DELETED = 12  # cells, the top quarter
_DRAWS = 4  # of random cells
_EXPLAINED = 60  # images of each dataset and seed
_BATCH = 32
_COLUMNS = ("data", "seed", "strength", "deleted by", "top cells", "random cells",
    "moved cells", "ratio", "limit",
)  # fmt: skip


@dataclass(frozen=True)
class Clustered:
    """A dataset as a network and k-means see it.

    Attributes:
        paths: of the images.
        pixels: what the network sees, ``(n, side, side, 3)``, uint8.
        labels: cluster of each.
        wrong: whether its cluster stands for another class than its own, ``(n,)``, bool.
    """

    encoder: Encoder
    model: ClusterModel
    paths: list[str]
    pixels: np.ndarray
    labels: np.ndarray
    wrong: np.ndarray


@dataclass(frozen=True)
class Row:
    """Figures of one dataset and seed.

    Attributes:
        strength: mean of the images as they are.
        drops: mean fall of the strength by way of deletion: of the top cells, of random ones, and
            of the top cells moved elsewhere.
        auroc: of instability against wrong assignments.
    """

    strength: float
    drops: dict[str, tuple[float, float, float]]
    auroc: float


def explanation(setting: Setting) -> Section:
    """The same settings for every dataset."""
    seeds = range(setting.n(_SEEDS, 1))
    found: dict[str, list[Row]] = {}
    with _checkpoints(setting.folder / "checkpoints"), library_threads(setting.threads):
        for data, load in _data(setting):
            found[data.name] = [
                _row(_clustered(data, load(seed), seed), seed, setting) for seed in seeds
            ]
    cells = [
        [name, str(seed), f"{row.strength:.2f}", way, f"{top:.3f}", f"{rest:.3f}",
         f"{moved:.3f}", _times(top, rest), _times(row.strength, rest)]
        for name, rows in found.items()
        for seed, row in enumerate(rows)
        for way, (top, rest, moved) in row.drops.items()
    ]  # fmt: skip
    verdicts = [verdict for name, rows in found.items() for verdict in _verdicts(name, rows)]
    body = (
        "The map covers windows with the blurred image. Deleted is the quarter of the cells with "
        "the greatest values, a random quarter, or the first one moved elsewhere, which keeps its "
        "shape. In its place come the colours around it (`around`), the mean colour of the image "
        "(`mean`), or, as in the map, the blurred image (`blur`), all with soft edges; `sharp` is "
        "the blurred image with sharp edges, which alone move photographs. The cells' columns are "
        "falls of the own cluster's strength; the limit, the strength by the fall for random "
        "cells, is what no ratio can exceed.\n\n"
        f"{table(_COLUMNS, cells)}"
    )
    return Section("why is this image here: deletion test, and stability", verdicts, body)


def _verdicts(name: str, rows: list[Row]) -> list[Verdict]:
    verdicts = []
    for way in ("around", "blur"):
        drops = [row.drops[way] for row in rows]
        top, rest, moved = (statistics.mean(values) for values in zip(*drops, strict=True))
        said = f"{_times(top, rest)}; {top:.3f}, {rest:.3f}; top cells moved elsewhere {moved:.3f}"
        work = f"{name}, fall for top cells to random cells, deleted by {way}"
        verdicts.append(Verdict(work, str(_EXPLAINED), "-", "-", said, "at least 4"))
    aurocs = [row.auroc for row in rows]
    said = f"{statistics.mean(aurocs):.3f} ({min(aurocs):.3f} to {max(aurocs):.3f})"
    work = f"{name}, instability finds wrong assignments (AUROC)"
    return [*verdicts, Verdict(work, "all", "-", "-", said, "-")]


def _times(more: float, less: float) -> str:
    """How many times as great; random cells may cost nothing at all."""
    return f"{more / less:.1f}" if less > more / 100 else "over 100"


def _data(setting: Setting) -> Iterator[tuple[Pictures, Callable[[int], Encoder]]]:
    """Each dataset, and what gives the network of a seed."""
    for data in (_digits(setting.folder), _mnist())[: setting.n(2, 1)]:
        yield data, partial(_trained, data, setting)
    if not setting.quick:
        files = photos.flowers()
        sources = [ImageFile(f"{number:05}", path) for number, path in enumerate(files)]
        labels = {source.key: Path(source.path).parent.name for source in sources}
        yield Pictures("flowers", sources, labels), lambda seed: _mobilenet()


def _trained(data: Pictures, setting: Setting, seed: int) -> Encoder:
    recipe = Recipe(seed=seed, device="cpu", threads=setting.threads, epochs=setting.n(50, 1))
    name = f"{data.name}-{seed}"
    task = Task(name, CompactCNN(seed=seed), SimCLR(), Glyph(), recipe, data.sources)
    train_network(task, silent)
    return Checkpoint(name).load("cpu")


def _mobilenet() -> Encoder:
    half = (0.5, 0.5, 0.5)
    file = photos.real_data() / "weights/timm/mobilenetv2_100_imagenet.safetensors"
    return Timm(
        model="mobilenetv2_100", options='{"pad_type": "same"}', weights=os.fspath(file),
        mean=half, std=half,
    ).load("cpu")  # fmt: skip


def _clustered(data: Pictures, encoder: Encoder, seed: int) -> Clustered:
    paths = [source.path for source in data.sources]
    keys = [source.key for source in data.sources]
    classes = np.array([data.labels[key] for key in keys])
    pixels = np.stack([encoder.preprocess(read_image(path)) for path in paths])
    k = len(set(classes))
    found = Embeddings(np.array(keys), _encoded(encoder, pixels))
    result, model = cluster_embeddings(found, KMeans(n_clusters=k, seed=seed))
    wrong = _wrong(result.labels, classes)
    return Clustered(encoder, model, paths, pixels, result.labels, wrong)


def _wrong(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Which items are outside the best one-to-one map of clusters to classes."""
    from scipy.optimize import linear_sum_assignment

    names, numbers = np.unique(classes, return_inverse=True)
    counts = np.zeros((labels.max() + 1, len(names)))
    np.add.at(counts, (labels, numbers), 1)
    of_cluster = dict(zip(*linear_sum_assignment(counts, maximize=True), strict=True))
    return np.array(
        [of_cluster.get(label) != number for label, number in zip(labels, numbers, strict=True)]
    )


def _row(data: Clustered, seed: int, setting: Setting) -> Row:
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(seed)
    chosen = random.permutation(len(data.paths))[: setting.n(_EXPLAINED, 3)]
    before, falls = [], []
    for row in chosen:
        strength, found = _falls(data, int(row), random)
        before.append(strength)
        falls.append(found)
    drops = {way: tuple(np.mean([fall[way] for fall in falls], axis=0)) for way in falls[0]}
    stable = augmentation_stability(data.encoder, data.model, data.pixels, data.labels, seed=seed)
    auroc = float(roc_auc_score(data.wrong, 1.0 - stable))
    return Row(float(np.mean(before)), drops, auroc)


def _falls(
    data: Clustered, row: int, random: np.random.Generator
) -> tuple[float, dict[str, list[float]]]:
    """Strength of an image, and its fall for the top cells, for random ones and for the top cells
    moved elsewhere, by each way."""
    cluster, pixels = int(data.labels[row]), data.pixels[row].astype(float)
    image, side = read_image(data.paths[row]), len(pixels)
    found = occlusion_map(data.encoder, data.model, image, cluster, cells=_CELLS)
    top = _first(-found.values)
    shifts = [tuple(random.integers(1, _CELLS, 2)) for _ in range(_DRAWS)]
    deleted = [top]
    deleted += [_first(random.random((_CELLS, _CELLS))) for _ in range(_DRAWS)]
    deleted += [np.roll(top, shift, axis=(0, 1)) for shift in shifts]
    blurred = _smooth(pixels)
    mean = np.broadcast_to(pixels.mean(axis=(0, 1)), pixels.shape)
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "around": lambda cells: _mixed(pixels, _around(pixels, _sharp(cells, side)), cells),
        "mean": lambda cells: _mixed(pixels, mean, cells),
        "blur": lambda cells: _mixed(pixels, blurred, cells),
        "sharp": lambda cells: np.where(_sharp(cells, side)[..., None], blurred, pixels),
    }
    falls = {}
    for way, without in ways.items():
        vectors = _encoded(data.encoder, np.rint([without(cells) for cells in deleted]))
        fallen = found.strength - data.model.affinities(data.model.preparation(vectors))[:, cluster]
        rest = fallen[1:].reshape(2, _DRAWS).mean(axis=1)
        falls[way] = [float(fallen[0]), *map(float, rest)]
    return found.strength, falls


def _first(order: np.ndarray) -> np.ndarray:
    """The cells with the least values, bool."""
    chosen = np.argsort(order.ravel(), kind="stable")[:_DELETED]
    return np.isin(np.arange(order.size), chosen).reshape(order.shape)


def _sharp(cells: np.ndarray, side: int) -> np.ndarray:
    """Cells as pixels, bool."""
    cell_of = np.arange(side) * _CELLS // side
    return cells[cell_of][:, cell_of]


def _mixed(pixels: np.ndarray, instead: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The other pixels in the cells, with edges that are linear from middle to middle of cells."""
    places = np.clip((np.arange(len(pixels)) + 0.5) / len(pixels) * _CELLS - 0.5, 0, _CELLS - 1)
    spread = np.maximum(1.0 - np.abs(places[:, None] - np.arange(_CELLS)), 0.0)
    return pixels + (spread @ cells @ spread.T)[..., None] * (instead - pixels)


def _around(pixels: np.ndarray, deleted: np.ndarray) -> np.ndarray:
    """Where pixels are deleted, the colours around, carried on: means over Gaussian windows that
    grow until they reach some."""
    kept = (~deleted[..., None]).astype(float)
    filled, missing = pixels.copy(), deleted.copy()
    for share in (28, 14, 7, 4, 2, 1):
        weight = _smooth(kept, 1 / share)
        reached = missing & (weight[..., 0] > 0.05)
        filled[reached] = (_smooth(pixels * kept, 1 / share) / np.maximum(weight, 1e-9))[reached]
        missing &= ~reached
    return filled


def _smooth(image: np.ndarray, share: float = 1 / 8) -> np.ndarray:
    """A blur whose standard deviation is a share of the side."""
    from scipy.ndimage import gaussian_filter

    sigma = share * len(image)
    return gaussian_filter(image, (sigma, sigma, 0.0), mode="nearest", truncate=2.0)


def _encoded(encoder: Encoder, pixels: np.ndarray) -> np.ndarray:
    starts = range(0, len(pixels), _BATCH)
    pixels = pixels.astype(np.uint8)
    return np.concatenate([encoder.encode(pixels[start : start + _BATCH]) for start in starts])

"""Clustering with the number of groups unknown; labels are used for scoring only."""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import photos
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from uvl_plugin.adapter.demo import write_digits
from uvl_plugin.backbones.base import Backbone
from uvl_plugin.backbones.checkpoint import Checkpoint
from uvl_plugin.backbones.compact import CompactCNN
from uvl_plugin.backbones.pixels import Pixels
from uvl_plugin.backbones.timm import Timm
from uvl_plugin.clustering.auto import Auto
from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.quality import agreement
from uvl_plugin.core.embeddings import NOISE, Embeddings
from uvl_plugin.core.progress import silent
from uvl_plugin.engine.loaded import LoadedBackbone
from uvl_plugin.engine.settings import Engine
from uvl_plugin.media.sources import ImageFile
from uvl_plugin.training.augmentation.glyph import Glyph
from uvl_plugin.training.loop import train_network
from uvl_plugin.training.methods.simclr import SimCLR
from uvl_plugin.training.recipe import Recipe
from uvl_plugin.training.split import Split, split_ids
from uvl_plugin.training.task import Task

_SEEDS = 3
_COLUMNS = (
    "data", "seed", "k", "k found", "accuracy", "AUROC", "gain", "noise", "sureness", "CPU s",
    "what the rules say",
)  # fmt: skip
_NEAR = 0.2  # share by which k may be off
_KEPT = 0.8  # share of the items with the greatest confidence
_SIZES = (10_000, 30_000, 100_000)


@dataclass(frozen=True)
class Labelled:
    """Vectors with the labels that score their clusters.

    Attributes:
        counts: whether it is one of the eight cases of the target.
        given: number of clusters, where it is not to be found.
    """

    name: str
    vectors: np.ndarray
    labels: np.ndarray
    counts: bool = True
    given: int | None = None


@dataclass(frozen=True)
class Run:
    """What ``Auto`` made of some data.

    Attributes:
        auroc: how well a low confidence finds wrong items; NaN where none is wrong.
        gain: of accuracy, where only the surest 80 % are kept.
    """

    data: Labelled
    seed: int
    k: int
    accuracy: float
    auroc: float
    gain: float
    noise: int
    report: dict
    cpu: float


def clusters(setting: Setting) -> Section:
    """``Auto`` with its defaults, the same for all data."""
    runs = [
        _run(data, seed) for seed in range(setting.n(_SEEDS, 1)) for data in _data(setting, seed)
    ]
    runs.sort(key=lambda run: run.data.name)
    times = {n: _seconds(n) for n in (_SIZES if not setting.quick else (500, 1000))}
    grown = "\n".join(
        f"- {n:,} x 64: {wall:.0f} s ({cpu:.0f} s CPU)" for n, (wall, cpu) in times.items()
    )
    body = (
        "`Auto`, its defaults for all data; only where k is 'given' it is told. 'accuracy': "
        "Hungarian-matched, noise counts as wrong. 'AUROC': of 1 - confidence against wrong "
        "items. 'gain': of accuracy, where the least confident 20 % are left out. Digits: 1,797 "
        "of scikit-learn, bare pixels; MNIST: 3,000, the network of the table 'learning', one "
        "training for each seed; flowers: 600 photographs, MobileNetV2 of timm.\n\n"
        f"{table(_COLUMNS, [_cells(run) for run in runs])}\n\n"
        f"Time, 30 groups that overlap a little, UMAP compiled before:\n\n{grown}"
    )  # fmt: skip
    return Section("the number of clusters unknown", _verdicts(runs, times), body)


def _run(data: Labelled, seed: int) -> Run:
    started = time.process_time()
    embeddings = Embeddings(np.arange(len(data.vectors)), data.vectors)
    result, _ = cluster_embeddings(embeddings, Auto(seed=seed, n_clusters=data.given))
    cpu = time.process_time() - started
    wrong = _wrong(result.labels, data.labels)
    surest = np.argsort(-result.strengths, kind="stable")[: int(_KEPT * len(wrong))]
    return Run(
        data, seed, result.n_clusters,
        accuracy=agreement(result.labels, data.labels, result.labels == NOISE).accuracy,
        auroc=_auroc(wrong, 1 - result.strengths),
        gain=float(wrong.mean() - wrong[surest].mean()),
        noise=result.n_noise,
        report=result.report,
        cpu=cpu,
    )  # fmt: skip


def _wrong(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Which items are not of the class that stands for their cluster (Hungarian method)."""
    from scipy.optimize import linear_sum_assignment

    _, truth = np.unique(classes, return_inverse=True)
    counts = np.zeros((labels.max() + 1, truth.max() + 1), int)
    np.add.at(counts, (labels[labels >= 0], truth[labels >= 0]), 1)
    class_of = dict(zip(*linear_sum_assignment(counts, maximize=True), strict=True))
    return np.array(
        [class_of.get(found) != true for found, true in zip(labels, truth, strict=True)]
    )


def _auroc(wrong: np.ndarray, doubt: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(wrong, doubt)) if 0 < wrong.sum() < len(wrong) else math.nan


def _data(setting: Setting, seed: int) -> Iterator[Labelled]:
    digits = write_digits(setting.folder / "digits")
    vectors = _embedded(Pixels(), [path for path, _ in digits])
    labels = np.array([label for _, label in digits])
    two = np.isin(labels, ["0", "1"])
    yield Labelled("digits 0 and 1", vectors[two], labels[two])
    yield from (_blobs(seed, *each) for each in ((1, 16, 1000), (3, 8, 600), (10, 64, 1000)))
    if setting.quick:
        return
    yield Labelled("digits", vectors, labels)
    yield _blobs(seed, 50, 32, 2500)
    yield from _clouds(seed)
    yield _mnist(setting, seed)
    folder = photos.real_data()
    files = [Path(path) for path in photos.flowers()]
    flowers = _embedded(_mobilenet(folder), files), np.array([file.parent.name for file in files])
    yield Labelled("flowers", *flowers)
    yield Labelled("flowers, k given", *flowers, counts=False, given=5)


def _blobs(seed: int, k: int, dim: int, n: int) -> Labelled:
    random = np.random.default_rng([seed, k])
    labels = np.arange(n) % k
    points = random.normal(size=(k, dim))[labels] + 0.3 * random.normal(size=(n, dim))
    return Labelled(f"blobs, {k}" if k > 1 else "one blob", points, labels)


def _clouds(seed: int) -> Iterator[Labelled]:
    """Data without groups."""
    random = np.random.default_rng(seed)
    points = {
        "cloud, 2 dimensions": 3 + random.normal(size=(1500, 2)),
        "cloud, 64 dimensions": random.normal(size=(1500, 64)),
        "cloud, long": 10 + random.normal(size=(1500, 8)) * [6, 1, 1, 1, 1, 1, 1, 1],
        "cube, evenly filled": random.uniform(size=(1500, 3)),
    }
    for name, each in points.items():
        yield Labelled(name, each, np.zeros(1500, int), counts=False)


def _mnist(setting: Setting, seed: int) -> Labelled:
    from benchmarks.learning import _checkpoints

    files = sorted((photos.real_data() / "images" / "mnist").glob("*/*.png"))
    sources = {
        f"{number:05}": ImageFile(f"{number:05}", str(file)) for number, file in enumerate(files)
    }
    parts = split_ids(list(sources), Split(seed=seed))
    task = Task(
        f"clusters-{seed}", CompactCNN(seed=seed), SimCLR(), Glyph(),
        Recipe(seed=seed, device="cpu", threads=setting.threads),
        [sources[key] for key in parts["train"]], [sources[key] for key in parts["validation"]],
    )  # fmt: skip
    with _checkpoints(setting.folder / "checkpoints"):
        train_network(task, silent)
        vectors = _embedded(Checkpoint(task.name), files)
    return Labelled("MNIST", vectors, np.array([file.parent.name for file in files]))


def _mobilenet(folder: Path) -> Timm:
    half = (0.5, 0.5, 0.5)
    return Timm(
        model="mobilenetv2_100", options='{"pad_type": "same"}', mean=half, std=half,
        weights=str(folder / "weights/timm/mobilenetv2_100_imagenet.safetensors"),
    )  # fmt: skip


def _embedded(backbone: Backbone, files: Sequence[Path]) -> np.ndarray:
    loaded, found = LoadedBackbone(backbone, Engine(device="cpu")), {}
    sources = [ImageFile(str(number), str(file)) for number, file in enumerate(files)]
    for chunk in loaded.embed(sources, len(sources)):
        found.update(chunk.vectors)
    return np.stack([found[source.key] for source in sources])


def _seconds(n: int) -> tuple[float, float]:
    """Wall and CPU time of ``Auto``."""
    random = np.random.default_rng(0)
    points = random.normal(size=(30, 64))[np.arange(n) % 30]
    points = (points + 0.5 * random.normal(size=(n, 64))).astype(np.float32)
    embeddings = Embeddings(np.arange(n), points)
    started, used = time.perf_counter(), time.process_time()
    cluster_embeddings(embeddings, Auto())
    return time.perf_counter() - started, time.process_time() - used


def _verdicts(runs: Sequence[Run], times: dict[int, tuple[float, float]]) -> list[Verdict]:
    cases = {run.data.name: _of(runs, run.data.name) for run in runs if run.data.counts}
    right = [name for name, each in cases.items() if all(map(_is_near, each))]
    missed = ", ".join(sorted(cases.keys() - set(right))) or "none"
    first, last = min(times), max(times)
    exponent = math.log(times[last][0] / times[first][0]) / math.log(last / first)
    said = f"{len(right)} of {len(cases)}; missed: {missed}"
    verdicts = [Verdict("Auto, k within 20 %, all seeds", "-", "-", "-", said, "7 of 8")]
    for name, target in (("digits", "0.90"), ("flowers, k given", "0.65"), ("MNIST", "-")):
        reached = [run.accuracy for run in _of(runs, name)]
        verdicts += [_verdict(f"Auto, {name}, accuracy", reached, target)] if reached else []
    for name in ("digits", "MNIST"):
        if found := _of(runs, name):
            verdicts.append(_verdict(f"AUROC, {name}", [run.auroc for run in found], "0.85"))
            verdicts.append(_verdict(f"gain, {name}", [run.gain for run in found], "0.06"))
    said = f"exponent {exponent:.2f}"
    return [*verdicts, Verdict("Auto, growth", f"{first:,} to {last:,}", "-", "-", said, "1.2")]


def _verdict(name: str, values: Sequence[float], target: str) -> Verdict:
    said = f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"
    return Verdict(name, "-", "-", "-", said, target)


def _of(runs: Sequence[Run], name: str) -> list[Run]:
    return [run for run in runs if run.data.name == name]


def _is_near(run: Run) -> bool:
    k = len(np.unique(run.data.labels))
    return abs(run.k - k) <= _NEAR * k


def _cells(run: Run) -> list[str]:
    number: Callable[[float], str] = lambda value: "-" if math.isnan(value) else f"{value:.3f}"
    return [
        run.data.name, str(run.seed), str(len(np.unique(run.data.labels))), str(run.k),
        number(run.accuracy), number(run.auroc), number(run.gain), str(run.noise),
        number(run.report.get("sureness", math.nan)), f"{run.cpu:.0f}", run.report["sentence"],
    ]  # fmt: skip

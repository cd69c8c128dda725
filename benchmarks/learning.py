"""What the default training learns from small pictures; labels are used for scoring only."""

import contextlib
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import photos
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from uvl_plugin.adapter.demo import write_digits
from uvl_plugin.backbones.base import Backbone
from uvl_plugin.backbones.checkpoint import FOLDER, Checkpoint
from uvl_plugin.backbones.compact import CompactCNN
from uvl_plugin.backbones.pixels import Pixels
from uvl_plugin.clustering.base import Clusterer, cluster_embeddings
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.quality import Agreement, agreement
from uvl_plugin.clustering.umap_hdbscan import UMAPHDBSCAN
from uvl_plugin.core.embeddings import NOISE, Embeddings
from uvl_plugin.core.progress import silent
from uvl_plugin.engine.loaded import LoadedBackbone
from uvl_plugin.engine.settings import Engine
from uvl_plugin.media.sources import ImageFile
from uvl_plugin.training.augmentation.glyph import Glyph
from uvl_plugin.training.evidence import measure
from uvl_plugin.training.loop import train_network
from uvl_plugin.training.methods.simclr import SimCLR
from uvl_plugin.training.recipe import Recipe
from uvl_plugin.training.split import Split, split_ids
from uvl_plugin.training.task import Task

_SEEDS = 3
_COLUMNS = (
    "data", "seed", "CPU s", "pixels", "learned", "NMI", "k found", "its accuracy", "its NMI",
    "fit", "test",
)  # fmt: skip


@dataclass(frozen=True)
class Pictures:
    """A dataset with the labels that score it, by id."""

    name: str
    sources: Sequence[ImageFile]
    labels: dict[str, str]


@dataclass(frozen=True)
class Row:
    """One training.

    Attributes:
        cpu: seconds of all threads, from the first file to the last checkpoint.
        pixels, learned: k-means with as many clusters as there are classes, all images.
        dense: UMAP + HDBSCAN on what was learnt; it finds the number of clusters.
        fit, test: accuracy of the map from clusters to classes on the validation part, which it
            was fitted to, and on the test part.
        worst: least precision and least recall of a class on the test part.
    """

    cpu: float
    pixels: Agreement
    learned: Agreement
    dense: Agreement
    fit: float
    test: float
    worst: tuple[float, float]


def learning(setting: Setting) -> Section:
    """The same settings, all of them defaults, for every dataset."""
    digits = _digits(setting.folder)
    zero_one = [source for source in digits.sources if digits.labels[source.key] in "01"]
    data = [Pictures("digits 0 and 1", zero_one, digits.labels), digits, _mnist()]
    with _checkpoints(setting.folder / "checkpoints"):
        found = {
            each.name: [_row(each, seed, setting) for seed in range(setting.n(_SEEDS, 1))]
            for each in data[: setting.n(3, 1)]
        }
    rows = [
        _cells(name, seed, row) for name, each in found.items() for seed, row in enumerate(each)
    ]
    verdicts = [v for each in data if each.name in found for v in _verdicts(each, found[each.name])]
    body = (
        f"SimCLR, CompactCNN, the augmentation Glyph and {Recipe().epochs} epochs: the defaults for "
        "small colourless pictures; nothing was chosen for one dataset. Each seed has its own split "
        "(80 % learnt from, 10 % validation, 10 % test), weights, views and clusterings. 'pixels': "
        "k-means on bare pixels; 'learned': on the 64 numbers of the network, number of clusters "
        "given; 'k found': UMAP + HDBSCAN with its defaults. 'fit' and 'test': accuracy of the map "
        "from clusters to classes on the validation part, which it was fitted to, and on the test "
        f"part.\n\n{table(_COLUMNS, rows)}"
    )
    return Section("learning without labels, small pictures", verdicts, body)


def _row(data: Pictures, seed: int, setting: Setting) -> Row:
    by_id = {source.key: source for source in data.sources}
    parts = split_ids(list(by_id), Split(seed=seed))
    sources = {name: [by_id[key] for key in ids] for name, ids in parts.items()}
    task = Task(
        f"{data.name.replace(' ', '-')}-{seed}", CompactCNN(seed=seed), SimCLR(), Glyph(),
        Recipe(seed=seed, device="cpu", threads=setting.threads),
        sources["train"], sources["validation"],
    )  # fmt: skip
    started = time.process_time()
    train_network(task, silent)
    cpu = time.process_time() - started
    learned = _embedded(Checkpoint(task.name), data.sources)
    k = len({data.labels[source.key] for source in data.sources})
    plain = KMeans(n_clusters=k, seed=seed, normalize=False, pca=0, spherical=False)
    embedded = {name: _embedded(Checkpoint(task.name), each) for name, each in sources.items()}
    (figures,) = measure({"learned": embedded}, labels=data.labels, n_clusters=k, seed=seed)
    assert figures.accuracy is not None
    assert figures.test_accuracy is not None
    return Row(
        cpu=cpu,
        pixels=_agreement(_embedded(Pixels(size=28), data.sources), plain, data.labels),
        learned=_agreement(learned, KMeans(n_clusters=k, seed=seed), data.labels),
        dense=_agreement(learned, UMAPHDBSCAN(seed=seed), data.labels),
        fit=figures.accuracy,
        test=figures.test_accuracy,
        worst=(
            min(each.precision for each in figures.classes),
            min(each.recall for each in figures.classes),
        ),
    )


def _verdicts(data: Pictures, rows: Sequence[Row]) -> list[Verdict]:
    n, name = f"{len(data.sources):,}", data.name
    learned = [row.learned.accuracy for row in rows]
    pixels = statistics.mean(row.pixels.accuracy for row in rows)
    cpu = max(row.cpu for row in rows)
    targets = {"digits 0 and 1": "1.00", "digits": "0.92, 60 s", "MNIST": "0.94, 90 s"}
    said = f"{_spread(learned)} (pixels {pixels:.3f}), at most {cpu:.0f} s CPU"
    found = [Verdict(f"{name}, k-means accuracy", n, "-", "-", said, targets[name])]
    if name == "MNIST":
        dense = [row.dense for row in rows]
        said = (
            f"k {', '.join(str(each.n_clusters) for each in dense)}; accuracy "
            f"{_spread([each.accuracy for each in dense])}, NMI {_spread([each.nmi for each in dense])}"
        )
        found.append(Verdict(f"{name}, k unknown", n, "-", "-", said, "9 to 11, 0.93, 0.89"))
        gaps = [abs(row.fit - row.test) for row in rows]
        said = (
            f"{_spread([row.test for row in rows])}, {statistics.mean(gaps):.3f} from the fit; least "
            f"precision {min(row.worst[0] for row in rows):.2f}, recall "
            f"{min(row.worst[1] for row in rows):.2f}"
        )
        found.append(Verdict(f"{name}, test part", n, "-", "-", said, "within 0.02 of the fit"))
    return found


def _spread(values: Sequence[float]) -> str:
    """Mean, least and greatest."""
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _cells(name: str, seed: int, row: Row) -> list[str]:
    return [
        name, str(seed), f"{row.cpu:.0f}", f"{row.pixels.accuracy:.3f}",
        f"{row.learned.accuracy:.3f}", f"{row.learned.nmi:.3f}", str(row.dense.n_clusters),
        f"{row.dense.accuracy:.3f}", f"{row.dense.nmi:.3f}", f"{row.fit:.3f}", f"{row.test:.3f}",
    ]  # fmt: skip


def _agreement(found: Embeddings, algorithm: Clusterer, labels: dict[str, str]) -> Agreement:
    result, _ = cluster_embeddings(found, algorithm)
    classes = np.array([labels[key] for key in result.ids])
    return agreement(result.labels, classes, result.labels == NOISE)


def _embedded(backbone: Backbone, sources: Sequence[ImageFile]) -> Embeddings:
    loaded = LoadedBackbone(backbone, Engine(device="cpu"))
    found = {
        key: vector
        for chunk in loaded.embed(sources, len(sources))
        for key, vector in chunk.vectors.items()
    }
    return Embeddings(np.array(list(found)), np.stack(list(found.values())))


def _digits(folder: Path) -> Pictures:
    files = write_digits(folder / "digits")
    return _pictures("digits", [(str(path), label) for path, label in files])


def _mnist() -> Pictures:
    files = sorted((photos.real_data() / "images" / "mnist").glob("*/*.png"))
    return _pictures("MNIST", [(str(path), path.parent.name) for path in files])


def _pictures(name: str, files: Sequence[tuple[str, str]]) -> Pictures:
    sources = [ImageFile(f"{number:05}", path) for number, (path, _) in enumerate(files)]
    labels = {source.key: label for source, (_, label) in zip(sources, files, strict=True)}
    return Pictures(name, sources, labels)


@contextlib.contextmanager
def _checkpoints(folder: Path) -> Iterator[None]:
    before = os.environ.get(FOLDER)
    os.environ[FOLDER] = str(folder)
    try:
        yield
    finally:
        os.environ.pop(FOLDER)
        if before is not None:
            os.environ[FOLDER] = before

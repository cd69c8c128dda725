"""Does `Auto` find the groups and their number, and do its strengths find the wrong ones? One
setting, all defaults, for every dataset; labels are used for scoring only."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks import photos
from benchmarks.explanation import _mobilenet, _trained, _wrong
from benchmarks.groups import vectors
from benchmarks.learning import Pictures, _checkpoints, _digits, _mnist
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from uvl_plugin.backbones.base import Encoder
from uvl_plugin.backbones.pixels import Pixels
from uvl_plugin.clustering.auto import Auto
from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.quality import Agreement, agreement
from uvl_plugin.core.embeddings import NOISE, ClusteringResult, Embeddings
from uvl_plugin.engine.threads import library_threads
from uvl_plugin.media.images import read_image

_SEEDS = 3
_BATCH = 256
_SIZES = (10_000, 30_000, 100_000)
_GROUPS = 50
_COLUMNS = (
    "data", "seed", "groups", "k found", "accuracy", "NMI", "AUROC", "gain", "CPU s", "what it said",
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """Vectors ``(n, dim)`` and the group of each, ``(n,)``."""

    vectors: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True)
class Row:
    """One clustering.

    Attributes:
        auroc: of 1 - strength against wrong assignments; NaN where none is wrong.
        gain: in accuracy when the least firm fifth is left out.
        cpu: seconds of all threads.
    """

    result: ClusteringResult
    agreed: Agreement
    auroc: float
    gain: float
    cpu: float


def clusters(setting: Setting) -> Section:
    """Every dataset with every seed."""
    seeds, found = range(setting.n(_SEEDS, 1)), {}
    with _checkpoints(setting.folder / "checkpoints"), library_threads(setting.threads):
        for name, load in _cases(setting):
            found[name] = [_row(load(seed), Auto(seed=seed)) for seed in seeds]
            if name == "flowers":
                five = [_row(load(seed), Auto(seed=seed, n_clusters=5)) for seed in seeds]
                found["flowers, k = 5"] = five
        times = {n: _cpu(n, setting) for n in _SIZES[: setting.n(3, 1)]}
    cells = [
        [name, str(seed), *_cells(row)]
        for name, rows in found.items()
        for seed, row in enumerate(rows)
    ]
    body = (
        "Digits: pixels, and nothing else. MNIST: what SimCLR learnt from 3,000 images, each seed its "
        "own training. Flowers: a MobileNetV2 learnt on ImageNet. Blobs: normal groups around "
        "normal middles. 'AUROC': of 1 - strength against assignments outside the best one-to-one "
        "map of clusters to labels. 'gain': in accuracy when the least firm fifth is left out.\n\n"
        f"{table(_COLUMNS, cells)}"
    )
    return Section(
        "Auto, the number of clusters unknown", [*_verdicts(found), *_growth(times)], body
    )


def _cases(setting: Setting) -> Iterator[tuple[str, Callable[[int], Known]]]:
    digits = _digits(setting.folder)
    pixels = _embedded(digits, Pixels().load("cpu"))
    yield "digits, pixels", lambda seed: pixels
    two = np.isin(pixels.groups, ["0", "1"])
    few = Known(pixels.vectors[two], pixels.groups[two])
    yield "digits 0 and 1, pixels", lambda seed: few
    for k, dim, spread, n in ((3, 8, 0.3, 600), (10, 64, 0.3, 1000), (50, 32, 0.3, 2500)):
        yield f"{k} blobs", partial(_blobs, k, dim, spread, n)
    yield "one blob", partial(_blobs, 1, 64, 1.0, 1000)
    if not setting.quick:
        flowers = _embedded(_flowers(), _mobilenet())
        yield "flowers", lambda seed: flowers
        mnist = _mnist()
        yield "MNIST, learned", lambda seed: _embedded(mnist, _trained(mnist, setting, seed))


def _row(known: Known, algorithm: Auto) -> Row:
    from sklearn.metrics import roc_auc_score

    ids = np.array([f"{row:06}" for row in range(len(known.groups))])
    started = time.process_time()
    result, _ = cluster_embeddings(Embeddings(ids, known.vectors), algorithm)
    cpu = time.process_time() - started
    wrong = _wrong(result.labels, known.groups) | (result.labels == NOISE)
    firm = np.argsort(-result.strengths, kind="stable")[: int(0.8 * len(wrong))]
    auroc = roc_auc_score(wrong, 1.0 - result.strengths) if wrong.any() else float("nan")
    agreed = agreement(result.labels, known.groups, result.labels == NOISE)
    return Row(result, agreed, float(auroc), float(wrong.mean() - wrong[firm].mean()), cpu)


def _cells(row: Row) -> list[str]:
    found = row.agreed
    return [
        str(found.n_classes), str(found.n_clusters), f"{found.accuracy:.3f}", f"{found.nmi:.3f}",
        f"{row.auroc:.3f}", f"{row.gain:.3f}", f"{row.cpu:.0f}", row.result.report["sentence"],
    ]  # fmt: skip


def _verdicts(found: dict[str, list[Row]]) -> Iterator[Verdict]:
    unknown = {name: rows for name, rows in found.items() if "k = 5" not in name}
    right = [name for name, rows in unknown.items() if all(map(_near, rows))]
    missed = ", ".join(name for name in unknown if name not in right) or "none"
    said = f"{len(right)} of {len(unknown)} with every seed; missed: {missed}"
    yield Verdict("number of clusters within 20 %", "-", "-", "-", said, "7 of 8")
    for name, rows in found.items():
        accuracy = _spread([row.agreed.accuracy for row in rows])
        number = ", ".join(str(row.agreed.n_clusters) for row in rows)
        targets = {"digits, pixels": "0.90", "flowers, k = 5": "0.65", "one blob": "k 1"}
        said = f"k {number}; accuracy {accuracy}"
        n = f"{rows[0].agreed.n_items:,}"
        yield Verdict(f"{name}, Auto", n, "-", "-", said, targets.get(name, "-"))
        if name in ("digits, pixels", "MNIST, learned"):
            said = (
                f"AUROC {_spread([row.auroc for row in rows])}; without the least firm fifth "
                f"{statistics.mean(row.gain for row in rows):+.3f}"
            )
            yield Verdict(
                f"{name}, strength finds the wrong ones", n, "-", "-", said, "0.85; +0.06"
            )


def _near(row: Row) -> bool:
    k = row.agreed.n_classes
    return abs(row.agreed.n_clusters - k) <= 0.2 * k


def _growth(times: dict[int, float]) -> Iterator[Verdict]:
    sizes, seconds = np.log(list(times)), np.log(list(times.values()))
    exponent = np.polyfit(sizes, seconds, 1)[0] if len(times) > 1 else float("nan")
    said = ", ".join(f"{cpu:.0f} CPU s" for cpu in times.values()) + f"; exponent {exponent:.2f}"
    n = ", ".join(f"{size:,}" for size in times)
    yield Verdict("Auto, growth", f"{n} x 64", "-", "-", said, "at most 1.2")


def _cpu(n: int, setting: Setting) -> float:
    ids = np.array([f"{row:06}" for row in range(n)])
    given = Embeddings(ids, vectors(n, 64, _GROUPS))
    started = time.process_time()
    cluster_embeddings(given, Auto())
    return time.process_time() - started


def _spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _blobs(k: int, dim: int, spread: float, n: int, seed: int) -> Known:
    random = np.random.default_rng(seed)
    groups = np.arange(n) % k
    around = random.normal(size=(k, dim))[groups] + spread * random.normal(size=(n, dim))
    return Known(around.astype(np.float32), groups.astype(str))


def _flowers() -> Pictures:
    from benchmarks.learning import _pictures

    files = photos.flowers()
    return _pictures("flowers", [(path, path.split("/")[-2]) for path in files])


def _embedded(data: Pictures, encoder: Encoder) -> Known:
    found, sources = [], list(data.sources)
    for start in range(0, len(sources), _BATCH):
        some = sources[start : start + _BATCH]
        found.append(encoder.encode([encoder.preprocess(read_image(s.path)) for s in some]))
    groups = np.array([data.labels[source.key] for source in sources])
    return Known(np.concatenate(found), groups)

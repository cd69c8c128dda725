"""Shots and scenes: montages of photographs with known boundaries, and the real videos."""

import json
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import photos
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from tests.montages import KINDS, agreement, matched, montage
from uvl_plugin.backbones.base import AnyEncoder, Backbone
from uvl_plugin.backbones.open_clip import OpenCLIP
from uvl_plugin.backbones.timm import Timm
from uvl_plugin.curation.boundaries import Boundaries, boundaries
from uvl_plugin.curation.scenes import Scenes, scenes
from uvl_plugin.engine.threads import library_threads

_FIRST = 100  # seed; the defaults were chosen on those below
_MONTAGES = 10
_RATE = 15.0
_STEPS = (1, 3, 7)  # every frame, 5 a second, 2 a second
_BATCH = 32
_LONG = (100_000, 512)
_HALF = (0.5, 0.5, 0.5)
_COLUMNS = ("frames", "backbone", "a second", "precision", "recall", "F1", "scenes right")
_REAL = ("multiscene_dev.mp4", "multiscene_dev.avi", "nasa_13013.mp4", "bigbuckbunny.mp4",
    "car-detection.mp4", "vtest_480x360.avi",
)  # fmt: skip


@dataclass
class Tally:
    """Counts over several videos.

    Attributes:
        hits, found, wanted: boundaries that are right, that were found, that there are.
        scenes: share of frames in the right scene, of each video.
    """

    hits: int
    found: int
    wanted: int
    scenes: list[float]

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.hits / max(1, self.found + self.wanted)

    def cells(self) -> list[str]:
        """For the table."""
        precision, recall = self.hits / max(1, self.found), self.hits / max(1, self.wanted)
        right = statistics.mean(self.scenes)
        return [f"{value:.3f}" for value in (precision, recall, self.f1, right)]


@dataclass(frozen=True)
class Film:
    """A video with known shots.

    Attributes:
        vectors: of the frames, ``(t, dim)``.
        starts, tolerances: see :class:`tests.montages.Montage`.
        scenes: of each frame, ``(t,)``.
    """

    vectors: np.ndarray
    rate: float
    starts: np.ndarray
    tolerances: np.ndarray
    scenes: np.ndarray


def segments(setting: Setting) -> Section:
    """Every kind of montage, then the real videos, with every backbone and the defaults."""
    rows, verdicts, shots = [], [], []
    with library_threads(setting.threads):
        for name, backbone in _backbones():
            encoder = backbone.load("cpu")
            for kind, films in _films(encoder, setting):
                for step in _STEPS:
                    tally = _tally(films, step)
                    rows.append([kind, name, f"{_RATE / step:.1f}", *tally.cells()])
                    if step == 1:
                        verdicts.append(_verdict(kind, name, tally))
            shots += [[*cells, name] for cells in _real_shots(encoder, setting)]
    verdicts += _speed(setting)
    body = (
        "A boundary is right within 0.3 s, or half a cross-fade. Frames in the right scene: under "
        "the best one-to-one map of found to true scenes. The defaults were chosen on montages of "
        f"other seeds, and on multiscene_dev.\n\n{table(_COLUMNS, rows)}\n\n"
        f"{table(('video', 'shots found', 'scenes', 'backbone'), shots)}"
    )
    return Section("Shots and scenes from the vectors of frames", verdicts, body)


def _backbones() -> Iterator[tuple[str, Backbone]]:
    weights = photos.real_data() / "weights"
    yield "MobileNetV2", Timm(
        model="mobilenetv2_100", options='{"pad_type": "same"}',
        weights=str(weights / "timm/mobilenetv2_100_imagenet.safetensors"), mean=_HALF,
        std=_HALF,
    )  # fmt: skip
    yield "small CLIP", OpenCLIP(model=str(weights / "open_clip/uvl-mnv2-minitext"))


def _films(encoder: AnyEncoder, setting: Setting) -> Iterator[tuple[str, list[Film]]]:
    files = [Path(path) for path in photos.flowers()]
    for kind in KINDS:
        plans = [
            montage(files, kind, _FIRST + seed, rate=_RATE)
            for seed in range(setting.n(_MONTAGES, 1))
        ]
        yield (
            kind,
            [
                Film(
                    _embedded(encoder, plan.pictures()),
                    _RATE,
                    plan.starts,
                    plan.tolerances,
                    plan.scenes,
                )
                for plan in plans
            ],
        )
    yield (
        "multiscene_dev",
        [_known(encoder, name) for name in _REAL if name.startswith("multiscene")],
    )


def _known(encoder: AnyEncoder, name: str) -> Film:
    folder = photos.real_data() / "videos"
    truth = json.loads((folder / "multiscene_dev.scenes.json").read_text())
    starts = np.array([shot["first_frame"] + 1 for shot in truth["segments"]])
    vectors, rate = _decoded(encoder, folder / name)
    named = np.array([shot["label"] for shot in truth["segments"]])
    which = np.searchsorted(starts, np.arange(1, len(vectors) + 1), side="right") - 1
    tolerances = np.full(len(starts) - 1, 0.3 * rate)
    return Film(vectors, rate, starts[1:], tolerances, named[which])


def _tally(films: list[Film], step: int) -> Tally:
    tally = Tally(0, 0, 0, [])
    for film in films:
        numbers = np.arange(1, len(film.vectors) + 1)[::step]
        vectors = film.vectors[::step]
        starts = boundaries(numbers, vectors, film.rate, Boundaries())
        tally.hits += matched(starts, film.starts, film.tolerances + step - 1)
        tally.found += len(starts)
        tally.wanted += len(film.starts)
        shots = scenes([("film", numbers, vectors, starts)], Scenes())["film"]
        which = np.searchsorted([shot.first for shot in shots], numbers, side="right") - 1
        found = np.array([shot.scene for shot in shots])[which]
        tally.scenes.append(agreement(found, film.scenes[::step]))
    return tally


def _verdict(kind: str, name: str, tally: Tally) -> Verdict:
    said = f"F1 {tally.f1:.3f}; scenes {statistics.mean(tally.scenes):.3f}"
    items = f"{len(tally.scenes)} videos, {tally.wanted} boundaries"
    return Verdict(f"{kind}, {name}", items, "-", "-", said, "0.95; 0.90")


def _real_shots(encoder: AnyEncoder, setting: Setting) -> Iterator[list[str]]:
    for name in _REAL[2 : setting.n(len(_REAL), 3)]:
        vectors, rate = _decoded(encoder, photos.real_data() / "videos" / name)
        numbers = np.arange(1, len(vectors) + 1)
        starts = boundaries(numbers, vectors, rate, Boundaries())
        shots = scenes([(name, numbers, vectors, starts)], Scenes())[name]
        said = ", ".join(f"{shot.first} to {shot.last}" for shot in shots)
        yield [name, said, ", ".join(str(shot.scene) for shot in shots)]


def _speed(setting: Setting) -> Iterator[Verdict]:
    t, dim = setting.n(_LONG[0], 1000), _LONG[1]
    random = np.random.default_rng(0)
    for share in (4, 1):
        vectors = random.normal(size=(t // share, dim)).astype(np.float32)
        started = time.process_time()
        boundaries(np.arange(1, len(vectors) + 1), vectors, 30.0, Boundaries())
        said = f"{time.process_time() - started:.1f} CPU s"
        yield Verdict("boundaries", f"{len(vectors):,} x {dim}", "-", "-", said, "linear")


def _decoded(encoder: AnyEncoder, path: Path) -> tuple[np.ndarray, float]:
    import av

    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].average_rate or 25)
        frames = (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
        return _embedded(encoder, frames), rate


def _embedded(encoder: AnyEncoder, pictures: Iterable[np.ndarray]) -> np.ndarray:
    images, found = [], []
    for picture in pictures:
        images.append(encoder.preprocess(picture))
        if len(images) == _BATCH:
            found.append(encoder.encode(images))
            images = []
    if images:
        found.append(encoder.encode(images))
    return np.concatenate(found)

"""Frames of videos: ``uvl.embed`` beside what FiftyOne offers, ``to_frames(sample_frames=True)`` and
``compute_embeddings`` on the pictures."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import uvl_plugin as uvl
from benchmarks import datasets, photos, theirs
from benchmarks.floors import forward_alone
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from benchmarks.timing import Contender, Time, interleaved, median, ratios, said
from uvl_plugin.engine.precision import cosines
from uvl_plugin.media.images import read_image
from uvl_plugin.media.video import Video, frames_of

_BATCH = 32
_RATE = 25  # frames a second of the film
_COPIES = 3  # of the one film, as videos of their own
_SAME, _OURS = "FiftyOne", "ours"
_DECODE, _READ, _FORWARD = "decode alone", "decode, convert, resize alone", "forward alone"
_COLUMNS = ("contender", "seconds", "frames/s", "CPU ms/frame", "times as long as ours", "by CPU")


@dataclass(frozen=True)
class Match:
    """What both sides work on.

    Attributes:
        work: in words.
        paths: the videos.
        fps: frames a second; None: every frame.
        n: frames that get a vector.
        target: how many times as fast ours should be.
    """

    work: str
    paths: Sequence[str]
    fps: float | None
    n: int
    target: float


def video(setting: Setting) -> Section:
    """720p H.264 and MPEG-4, every frame and two a second."""
    backbone = uvl.TorchVision(model="mobilenet_v3_small", weights="untrained")
    model = partial(theirs.torchvision_model, backbone, "<classifier.3")
    verdicts: list[Verdict] = []
    bodies: list[str] = []
    for codec in ("H.264", "MPEG-4"):
        paths = _films(setting, codec)
        n_frames = _n_frames(paths)
        for fps, target in ((None, 4.0), (2.0, 2.0)):
            choice = uvl.FrameChoice(fps=fps)
            n = sum(len(list(choice.numbers(_RATE, total))) for total in n_frames)
            what = "every frame" if fps is None else f"{fps:g} frames a second"
            match = Match(f"{codec} 1280x720, {what}", paths, fps, n, target)
            found = _measured(match, backbone, model, setting)
            verdicts += found.verdicts
            bodies.append(found.body)
    return Section("frames of videos, MobileNetV3-small", verdicts, "\n\n".join(bodies))


def _measured(match: Match, backbone: Any, model: Callable[[], Any], setting: Setting) -> Section:
    import torch

    torch.set_num_threads(setting.threads)
    written = {_SAME: 0, _OURS: 0}
    agreement = _agreement(match, backbone, model, setting)
    contenders: dict[str, Contender] = {
        _SAME: partial(_turn, match, partial(_theirs, match, model, setting), written, _SAME),
        _OURS: partial(_turn, match, partial(_ours, match, backbone, setting), written, _OURS),
        _DECODE: partial(_decoding, match.paths),
        _READ: partial(_reading, match, backbone.load("cpu")),
        _FORWARD: forward_alone(match.n, backbone.load("cpu"), _BATCH, setting.threads),
    }
    times = interleaved(contenders, setting.rounds)
    ours = median(times[_OURS])
    floors = {
        what: (median(times[name], "cpu") + median(times[_FORWARD], "cpu")) / setting.threads
        for what, name in (("decode", _DECODE), ("decode, convert, resize", _READ))
    }
    verdicts = [
        Verdict(
            match.work, str(match.n), f"{median(times[_SAME]):.2f} s", f"{ours:.2f} s",
            f"{said(ratios(times[_SAME], times[_OURS]))} times", f"{match.target:g} times",
        ),
        Verdict(
            f"{match.work}, bytes on disk", str(match.n), f"{written[_SAME]:,}",
            f"{written[_OURS]:,}", "", "0",
        ),
    ]  # fmt: skip
    for what, floor in floors.items():
        measured = f"{100 * floor / ours:.0f} % of {what} + forward on all cores"
        row = Verdict(
            f"{match.work}, floor", str(match.n), f"({floor:.2f} s)", f"{ours:.2f} s", measured,
            "80 %",
        )  # fmt: skip
        verdicts.append(row)
    body = "\n\n".join((f"### {match.work}", agreement, _details(match, times)))
    return Section(match.work, verdicts, body)


@contextlib.contextmanager
def _turn(
    match: Match, work: Callable[[Any, Path], object], written: dict[str, int], name: str
) -> Iterator[Callable[[], object]]:
    """A dataset and an empty folder for one turn; notes what was written to the folder."""
    dataset = datasets.of_files(match.paths)
    folder = Path(tempfile.mkdtemp(prefix="uvl-frames-"))
    try:
        yield lambda: work(dataset, folder)
        dataset.reload()
        found = sum(v is not None for v in dataset.values("frames.vector", unwind=True))
        if found != match.n:
            raise RuntimeError(f"{name}: {found} of {match.n} vectors were written")
        written[name] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    finally:
        dataset.delete()
        shutil.rmtree(folder)


def _ours(match: Match, backbone: Any, setting: Setting, dataset: Any, folder: Path) -> None:
    before = tempfile.tempdir
    tempfile.tempdir = str(folder)  # so that whatever it wrote would be seen
    try:
        uvl.embed(
            dataset, backbone, "frames.vector", fps=match.fps, batch_size=_BATCH,
            threads=setting.threads, device="cpu", progress=False,
        )  # fmt: skip
    finally:
        tempfile.tempdir = before


def _theirs(
    match: Match, model: Callable[[], Any], setting: Setting, dataset: Any, folder: Path
) -> None:
    frames = dataset.to_frames(
        sample_frames=True, fps=match.fps, output_dir=str(folder), verbose=False
    )
    vectors = frames.compute_embeddings(
        model(), batch_size=_BATCH, num_workers=setting.threads, progress=False
    )
    # on the view of frames some vectors would be lost
    values = dict(zip(frames.values("id"), vectors, strict=True))
    dataset.add_frame_field("vector", datasets.fo.VectorField)
    dataset.set_values("frames.vector", values, key_field="frames.id")


@contextlib.contextmanager
def _decoding(paths: Sequence[str]) -> Iterator[Callable[[], object]]:
    """Every picture of the videos by PyAV, and dropped."""
    import av

    def work() -> None:
        for path in paths:
            with av.open(path) as container:
                container.streams.video[0].thread_type = "AUTO"
                for _ in container.decode(video=0):
                    pass

    yield work


@contextlib.contextmanager
def _reading(match: Match, encoder: Any) -> Iterator[Callable[[], object]]:
    """The wanted frames as the network takes them, and dropped."""
    choice = uvl.FrameChoice(fps=match.fps)

    def work() -> None:
        for path in match.paths:
            for source in frames_of(Video("", path, choice)):
                for _, pixels in source.read(read_image):
                    encoder.preprocess(pixels)

    yield work


def _films(setting: Setting, codec: str) -> list[str]:
    """Copies of a film of 1280x720, since FiftyOne keeps the pictures of a file once."""
    source = photos.real_data() / "videos" / "bigbuckbunny.mp4"
    first = setting.folder / f"{codec}_0.mp4"
    if not first.exists():
        if codec == "H.264":
            shutil.copy(source, first)
        else:
            options = ["-an", "-c:v", "mpeg4", "-q:v", "4", "-bf", "2"]
            subprocess.run(
                ["ffmpeg", "-v", "error", "-i", str(source), *options, str(first)], check=True
            )
    copies = [setting.folder / f"{codec}_{i}.mp4" for i in range(setting.n(_COPIES, 1))]
    for path in copies[1:]:
        if not path.exists():
            shutil.copy(first, path)
    return [str(path) for path in copies]


def _n_frames(paths: Sequence[str]) -> list[int]:
    import av

    counts = []
    for path in paths:
        with av.open(path) as container:
            counts.append(sum(1 for _ in container.decode(video=0)))
    return counts


def _agreement(match: Match, backbone: Any, model: Callable[[], Any], setting: Setting) -> str:
    """Compares the vectors of both; those of an untrained network are all alike, so also without
    what all have in common."""
    found = []
    works: list[Callable[[Any, Path], object]] = [
        partial(_theirs, match, model, setting), partial(_ours, match, backbone, setting)
    ]  # fmt: skip
    for work in works:
        dataset = datasets.of_files(match.paths[:1])
        folder = Path(tempfile.mkdtemp(prefix="uvl-frames-"))
        try:
            work(dataset, folder)
            dataset.reload()
            found.append(np.array(dataset.values("frames.vector", unwind=True), np.float32))
        finally:
            dataset.delete()
            shutil.rmtree(folder)
    first, second = found
    common = first.mean(axis=0)
    plain, centred = cosines(first, second), cosines(first - common, second - common)
    return (
        f"Cosine of FiftyOne's vectors with ours ({len(plain)} frames): mean {plain.mean():.6f}, "
        f"least {plain.min():.6f}; less the mean vector {centred.mean():.4f}, {centred.min():.4f}."
    )


def _details(match: Match, times: dict[str, list[Time]]) -> str:
    rows = []
    for name, found in times.items():
        wall, cpu = median(found), median(found, "cpu")
        both = [said(ratios(found, times[_OURS], what)) for what in ("wall", "cpu")]
        numbers = [f"{wall:.2f}", f"{match.n / wall:.1f}", f"{1000 * cpu / match.n:.2f}"]
        rows.append([name, *numbers, *both])
    return table(_COLUMNS, rows)

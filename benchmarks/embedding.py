"""``uvl.embed`` beside ``compute_embeddings`` with the same network, weights, batch size and
threads, and with its defaults."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import uvl_plugin as uvl
from benchmarks import datasets, photos, theirs
from benchmarks.floors import decode_alone, forward_alone
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from benchmarks.timing import Contender, Time, interleaved, median, ratios, said
from uvl_plugin.adapter.target import target
from uvl_plugin.backbones.base import Backbone
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.engine.precision import cosines
from uvl_plugin.media.images import read_image
from uvl_plugin.media.sources import Reader

_BATCH = 32
_SAME, _DEFAULTS, _OURS = "FiftyOne", "FiftyOne, its defaults", "ours"
_DECODE, _FORWARD = "decode alone", "forward alone"
_COLUMNS = ("contender", "seconds", "items/s", "CPU ms/item", "times as long as ours", "by CPU")


@dataclass(frozen=True)
class Match:
    """What both sides work on.

    Attributes:
        work: in words.
        backbone, model: the same network, ours and what loads FiftyOne's.
        paths: file of each sample.
        target: how many times as fast ours should be.
        share: per cent of the floor that should be reached; 0 where none is asked for.
        decode: see :class:`~uvl_plugin.engine.settings.Engine`.
        boxes: objects of each sample to embed instead of it; 0 for the sample.
    """

    work: str
    backbone: Backbone
    model: Callable[[], Any]
    paths: Sequence[str]
    target: float
    share: int = 0
    decode: str = "exact"
    boxes: int = 0

    @property
    def n(self) -> int:
        """How many items."""
        return len(self.paths) * max(1, self.boxes)

    @property
    def field(self) -> str:
        """Where the vectors go."""
        return "boxes.detections.vector" if self.boxes else "vector"

    def ours(self, dataset: Any, threads: int) -> None:
        """Embeds with this plugin."""
        uvl.embed(
            dataset, self.backbone, "vector", patches_field="boxes" if self.boxes else None,
            batch_size=_BATCH, threads=threads, decode=self.decode, device="cpu", progress=False,
        )  # fmt: skip

    def theirs(self, dataset: Any, **how: Any) -> None:
        """Embeds with FiftyOne alone."""
        how = {"embeddings_field": "vector", "progress": False, **how}
        if self.boxes:
            dataset.compute_patch_embeddings(self.model(), "boxes", **how)
        else:
            dataset.compute_embeddings(self.model(), **how)


def light_640(setting: Setting) -> Section:
    """Light networks on photos of 640x480 pixels."""
    paths = photos.small_photos(setting.folder, setting.n(1000, 64))
    matches = [
        Match(f"{name}, 640x480", backbone, model, paths, target=1.8, share=85)
        for name, backbone, model in (_mobilenet_v3(), _mobilenet_v2())
    ]
    return _section("light networks, JPEG files of 640x480 pixels", matches, setting)


def light_12mp(setting: Setting) -> Section:
    """A light network on photos of 12 megapixels."""
    files = photos.large_photos(setting.folder, setting.n(40, 4))
    paths = list(itertools.islice(itertools.cycle(files), setting.n(120, 32)))
    name, backbone, model = _mobilenet_v3()
    match = Match(
        f"{name}, 4000x3000", backbone, model, paths, target=6, share=70, decode="reduced"
    )
    title = f"light network, JPEG files of 4000x3000 pixels ({len(files)} files), decode='reduced'"
    return _section(title, [match], setting)


def vit(setting: Setting) -> Section:
    """A network of the size that people use."""
    paths = photos.small_photos(setting.folder, setting.n(192, 32))
    backbone = uvl.Timm(model="vit_base_patch32_224", weights="untrained")
    model = partial(theirs.timm_model, backbone)
    match = Match("ViT-B/32, 640x480", backbone, model, paths, target=1.1, share=90)
    return _section("timm's vit_base_patch32_224, JPEG files of 640x480 pixels", [match], setting)


def patches(setting: Setting) -> Section:
    """Many small objects in each photo."""
    paths = photos.small_photos(setting.folder, setting.n(60, 4))
    name, backbone, model = _mobilenet_v3()
    match = Match(f"{name}, 50 objects a photo", backbone, model, paths, target=4, boxes=50)
    return _section("objects of 5 to 25 % of the sides of 640x480 photos", [match], setting)


def _mobilenet_v3() -> tuple[str, Backbone, Callable[[], Any]]:
    backbone = uvl.TorchVision(model="mobilenet_v3_small", weights="untrained")
    model = partial(theirs.torchvision_model, backbone, "<classifier.3")
    return "MobileNetV3-small", backbone, model


def _mobilenet_v2() -> tuple[str, Backbone, Callable[[], Any]]:
    file = photos.real_data() / "weights" / "torchvision" / "mobilenet_v2_imagenet.safetensors"
    grey = (0.5, 0.5, 0.5)
    backbone = uvl.TorchVision(model="mobilenet_v2", weights=str(file), mean=grey, std=grey)
    return "MobileNetV2", backbone, partial(theirs.torchvision_model, backbone, "<classifier.1")


def _section(title: str, matches: Sequence[Match], setting: Setting) -> Section:
    verdicts, bodies = [], []
    for match in matches:
        agreement = _agreement(match, setting.threads)
        times = interleaved(_contenders(match, setting), setting.rounds, once=[_DEFAULTS])
        verdicts += _verdicts(match, times, setting.threads)
        bodies.append("\n\n".join((f"### {match.work}", agreement, _details(match, times))))
    return Section(title, verdicts, "\n\n".join(bodies))


def _contenders(match: Match, setting: Setting) -> dict[str, Contender]:
    import torch

    torch.set_num_threads(setting.threads)
    how = {"batch_size": _BATCH, "num_workers": setting.threads}
    encoder = match.backbone.load("cpu")
    dataset = datasets.of_files(match.paths, match.boxes)
    items = target(dataset, "vector", patches_field="boxes" if match.boxes else None)
    sources = list(items.sources(items.ids()))
    dataset.delete()
    reader: Reader = read_image
    if match.decode == "reduced" and isinstance(encoder.preprocess, Preprocess):
        reader = partial(read_image, enough=encoder.preprocess.smallest_source)
    full = partial(datasets.on_new_dataset, match.paths, boxes=match.boxes, field=match.field)
    return {
        _SAME: full(work=partial(match.theirs, **how)),
        _OURS: full(work=partial(match.ours, threads=setting.threads)),
        _DEFAULTS: full(work=match.theirs),
        _DECODE: decode_alone(sources, encoder, reader, setting.threads),
        _FORWARD: forward_alone(match.n, encoder, _BATCH, setting.threads),
    }


def _verdicts(match: Match, times: dict[str, list[Time]], threads: int) -> list[Verdict]:
    ours = median(times[_OURS])
    found = [
        Verdict(
            work, str(match.n), f"{median(times[name]):.2f} s", f"{ours:.2f} s",
            f"{said(ratios(times[name], times[_OURS]))} times", f"{match.target} times",
        )
        for work, name in ((match.work, _SAME), (f"{match.work}, its defaults", _DEFAULTS))
    ]  # fmt: skip
    greatest = max(median(times[_DECODE]), median(times[_FORWARD]))
    cpu = (median(times[_DECODE], "cpu") + median(times[_FORWARD], "cpu")) / threads
    wanted = f"{match.share} %" if match.share else "-"
    for what, floor in (("max(decode, forward)", greatest), ("decode + forward on all cores", cpu)):
        measured = f"{100 * floor / ours:.0f} % of {what}"
        work, floor_said = f"{match.work}, floor", f"({floor:.2f} s)"
        row = Verdict(work, str(match.n), floor_said, f"{ours:.2f} s", measured, wanted)
        found.append(row)
    return found


def _details(match: Match, times: dict[str, list[Time]]) -> str:
    rows = []
    for name, found in times.items():
        wall, cpu = median(found), median(found, "cpu")
        both = [said(ratios(found, times[_OURS], what)) for what in ("wall", "cpu")]
        numbers = [f"{wall:.2f}", f"{match.n / wall:.1f}", f"{1000 * cpu / match.n:.2f}"]
        rows.append([name, *numbers, *both])
    return table(_COLUMNS, rows)


def _agreement(match: Match, threads: int) -> str:
    """Compares the vectors of a few files, also without what all of them have in common: the
    vectors of an untrained network are all alike."""
    first, second = (_vectors(match, ours, threads) for ours in (True, False))
    common = first.mean(axis=0)
    plain, centred = cosines(first, second), cosines(first - common, second - common)
    if match.decode == "exact" and plain.mean() < 0.999:
        raise RuntimeError(f"FiftyOne's vectors are others: mean cosine {plain.mean():.4f}")
    return (
        f"Cosine of FiftyOne's vectors with ours ({len(plain)} items): mean {plain.mean():.6f}, "
        f"least {plain.min():.6f}; less the mean vector {centred.mean():.4f}, {centred.min():.4f}."
    )


def _vectors(match: Match, ours: bool, threads: int) -> np.ndarray:
    dataset = datasets.of_files(match.paths[:24], match.boxes)
    try:
        if ours:
            match.ours(dataset, threads)
        else:
            match.theirs(dataset, batch_size=_BATCH)
        dataset.reload()
        return np.array(dataset.values(match.field, unwind=True), np.float32)
    finally:
        dataset.delete()

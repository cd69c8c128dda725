"""Our augmentation of a batch beside torchvision's, image by image, on one thread of the CPU."""

import statistics
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from benchmarks.timing import Contender, Time, interleaved, median, ratios, said
from uvl_plugin.training.augmentation.base import Augmentation
from uvl_plugin.training.augmentation.glyph import Glyph
from uvl_plugin.training.augmentation.photo import Photo

_TARGET = 10.0
_SMALL = 64  # pixels
_OURS = "ours"
_COLUMNS = ("recipe", "contender", "ms/image", "times as long as ours")


@dataclass(frozen=True)
class Match:
    """What both sides work on.

    Attributes:
        recipe: in words.
        ours: the batched one.
        theirs: the same operations with torchvision, before the change to floats.
        side: of the images, pixels.
        size: of the views.
        n: how many images.
    """

    recipe: str
    ours: Augmentation
    theirs: Sequence[v2.Transform]
    side: int
    size: int
    n: int


def augmentation(setting: Setting) -> Section:
    """Images in memory as uint8, views as floats in one tensor, on both sides."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = {match.recipe: (match, _times(match, setting)) for match in _matches(setting)}
    finally:
        torch.set_num_threads(before)
    rows = [row for match, times in found.values() for row in _rows(match, times)]
    body = (
        "The same operations with the same settings. Ours gets a batch of uint8 and draws for "
        "each image; torchvision's transforms (v2) get the images one by one, as tensors of "
        "uint8, as tensors of floats or as PIL images, and their views are stacked. The verdict "
        "is about the fastest of the three. Glyph is without strokes, elastic change and noise, "
        "which torchvision has not or does differently. The kernel of the blur is 23 pixels wide at "
        "224, a tenth of the side, as in SimCLR's recipe (arXiv:2002.05709, appendix A); "
        "'narrow blur': 13, three standard deviations to each side, which is where ours ends. "
        f"One thread.\n\n{table(_COLUMNS, rows)}"
    )
    verdicts = [_verdict(match, times) for match, times in found.values()]
    return Section("views of a batch, against torchvision image by image", verdicts, body)


def _matches(setting: Setting) -> list[Match]:
    glyph = replace(Glyph(), stroke=0.0, elastic=0.0, noise=0.0)
    small, large = setting.n(512, 16), setting.n(32, 2)
    return [
        Match("glyph, 32 px", glyph, _their_glyph(glyph), 32, 32, small),
        Match("photo, 32 px", Photo(), _their_photo(Photo(), 32), 32, 32, small),
        Match("photo, 224 px", Photo(), _their_photo(Photo(), 224, 0.1), 256, 224, large),
        Match("photo, 224 px, narrow blur", Photo(), _their_photo(Photo(), 224), 256, 224, large),
    ]


def _their_glyph(ours: Augmentation) -> list[v2.Transform]:
    bilinear = v2.InterpolationMode.BILINEAR
    return [
        v2.RandomAffine(
            ours.rotation, (ours.shift, ours.shift), (ours.scale_min, ours.scale_max), ours.shear,
            bilinear,
        ),
        v2.ColorJitter(brightness=ours.brightness),
        v2.RandomErasing(ours.cutout_probability, (0.01, 0.09), (1.0, 1.0)),
    ]  # fmt: skip


def _their_photo(ours: Augmentation, size: int, kernel: float = 0.0) -> list[v2.Transform]:
    """``kernel``: width of the blur's kernel, share of the side; at least six deviations."""
    sigma = ours.blur_sigma * size
    radius = max(int(np.ceil(3 * sigma)), round(kernel * size / 2))
    jitter = v2.ColorJitter(ours.brightness, ours.contrast, ours.saturation, ours.hue)
    blur = v2.GaussianBlur(2 * radius + 1, (0.05 * sigma, sigma))
    return [
        v2.RandomResizedCrop(size, (ours.crop_area_min, ours.crop_area_max)),
        v2.RandomHorizontalFlip(ours.flip_horizontal),
        v2.RandomApply([jitter], ours.jitter_probability),
        v2.RandomGrayscale(ours.grey_probability),
        v2.RandomApply([blur], ours.blur_probability),
    ]


def _times(match: Match, setting: Setting) -> dict[str, list[Time]]:
    channels = 1 if isinstance(match.ours, Glyph) else 3
    shape = (match.n, channels, match.side, match.side)
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    if match.size > _SMALL:  # as decoders give them, which suits both sides
        images = images.to(memory_format=torch.channels_last)
    to_floats = v2.ToDtype(torch.float32, scale=True)
    on_whole = v2.Compose([*match.theirs, to_floats])
    on_floats = v2.Compose([to_floats, *match.theirs])
    pictures = [Image.fromarray(image.permute(1, 2, 0).squeeze(2).numpy()) for image in images]
    on_pictures = v2.Compose([*_for_pictures(match.theirs), to_floats])
    works = {
        _OURS: partial(match.ours, images, torch.Generator().manual_seed(0), match.size),
        "torchvision, uint8": partial(_one_by_one, on_whole, list(images)),
        "torchvision, floats": partial(_one_by_one, on_floats, list(images)),
        "torchvision, PIL": partial(_one_by_one, on_pictures, pictures),
    }
    for work in works.values():
        assert work().shape == (match.n, channels, match.size, match.size)
    return interleaved({name: _ready(work) for name, work in works.items()}, setting.rounds)


def _ready(work: Callable[[], object]) -> Contender:
    return lambda: nullcontext(work)


def _for_pictures(steps: Sequence[v2.Transform]) -> list[v2.Transform]:
    """Steps for PIL images; to a tensor before the first one that needs it."""
    erasing = [step for step in steps if isinstance(step, v2.RandomErasing)]
    return [*(step for step in steps if step not in erasing), v2.ToImage(), *erasing]


def _one_by_one(transform: Callable, images: Sequence) -> torch.Tensor:
    return torch.stack([transform(image) for image in images])


def _fastest(times: dict[str, list[Time]]) -> str:
    """Of theirs; by ratio within rounds, because the machine's speed varies between them."""
    theirs = [name for name in times if name != _OURS]
    return min(theirs, key=lambda name: statistics.median(ratios(times[name], times[_OURS])))


def _verdict(match: Match, times: dict[str, list[Time]]) -> Verdict:
    name = _fastest(times)
    theirs, ours = (f"{_each(match, times[who]):.3f} ms" for who in (name, _OURS))
    measured = f"{said(ratios(times[name], times[_OURS]))}, {name}"
    work = f"augmentation, {match.recipe}"
    return Verdict(work, str(match.n), theirs, ours, measured, f"{_TARGET:g}")


def _rows(match: Match, times: dict[str, list[Time]]) -> list[list[str]]:
    return [
        [
            match.recipe,
            name,
            f"{_each(match, each):.3f}",
            said(ratios(each, times[_OURS])),
        ]
        for name, each in times.items()
    ]


def _each(match: Match, times: Sequence[Time]) -> float:
    return 1000.0 * median(times) / match.n

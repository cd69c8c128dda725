"""Altered copies of photographs among the photographs: how many are found, and what else is."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
from PIL import Image

import uvl_plugin as uvl
from benchmarks import photos
from benchmarks.datasets import of_files
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from uvl_plugin.backbones.base import Backbone
from uvl_plugin.backbones.open_clip import OpenCLIP
from uvl_plugin.backbones.timm import Timm

_HALF = (0.5, 0.5, 0.5)
_EACH = 30  # copies of each kind
_WAYS = ("FiftyOne, its defaults", "vectors only", "vectors and pixels")


def _resized(photo: Image.Image, share: float) -> Image.Image:
    return photo.resize([round(share * side) for side in photo.size], Image.Resampling.BICUBIC)


def _brighter(photo: Image.Image, share: float) -> Image.Image:
    return photo.point(lambda value: min(255, round(share * value)))


def _cut(photo: Image.Image, left: float, top: float) -> Image.Image:
    """95 % of the width and height are left."""
    x, y = round(left * photo.width), round(top * photo.height)
    return photo.crop((x, y, x + round(0.95 * photo.width), y + round(0.95 * photo.height)))


_KINDS: dict[str, tuple[Callable[[Image.Image], Image.Image], int | None]] = {
    # how it is altered, and the quality of the JPEG file; None: a PNG file
    "PNG": (lambda photo: photo, None),
    "JPEG 85": (lambda photo: photo, 85),
    "JPEG 70": (lambda photo: photo, 70),
    "JPEG 50": (lambda photo: photo, 50),
    "half size": (lambda photo: _resized(photo, 0.5), None),
    "double size": (lambda photo: _resized(photo, 2.0), None),
    "80 % bright": (lambda photo: _brighter(photo, 0.8), None),
    "120 % bright": (lambda photo: _brighter(photo, 1.2), None),
    "cut on all sides": (lambda photo: _cut(photo, 0.025, 0.025), None),
    "cut at a corner": (lambda photo: _cut(photo, 0.05, 0.05), None),
}
_CUT = ("cut on all sides", "cut at a corner")


def planted_duplicates(setting: Setting) -> Section:
    """Every second photograph of the flowers; on the others the bounds were chosen."""
    originals = photos.flowers()[1 :: setting.n(2, 60)]
    found: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    for seed in range(setting.n(3, 1)):
        files, kinds, of = _planted(originals, setting.folder / f"planted_{seed}", seed)
        dataset = of_files(files)
        try:
            for name, backbone in _backbones():
                uvl.embed(dataset, backbone, field="emb", overwrite=True, progress=False)
                for way, pairs in _ways(dataset):
                    found[name, way].append(_shares(pairs, dataset.values("id"), kinds, of))
        finally:
            dataset.delete()
    columns = ("vectors", "by", *_KINDS, "precision")
    rows = [
        [name, way, *(_mean(shares, column) for column in columns[2:])]
        for (name, way), shares in found.items()
    ]
    body = _BODY.format(f"{len(originals):,}", table(columns, rows))
    return Section("altered copies among photographs", list(_verdicts(found)), body)


_BODY = """{} photographs of flowers, and altered copies of 30 of them for each kind, every photograph
altered once; means over the seeds. The columns: which share of the copies is found; of all that is
found, which share shows the same photograph as the one that is kept. 'FiftyOne, its defaults':
`compute_near_duplicates(dataset, embeddings="emb")`, cosine distance up to 0.2. 'vectors only':
`uvl.find_duplicates(dataset, "emb", confirm=False)`; 'vectors and pixels': without `confirm`.

{}"""


def _planted(
    originals: list[str], folder: Path, seed: int
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """All files; the kind of each, empty for originals; and the row of its original."""
    folder.mkdir()
    order = np.random.default_rng(seed).permutation(len(originals))[: _EACH * len(_KINDS)]
    files, kinds, of = list(originals), [""] * len(originals), list(range(len(originals)))
    for row, kind in zip(order.tolist(), cycle(_KINDS), strict=False):
        alter, quality = _KINDS[kind]
        with Image.open(originals[row]) as photo:
            altered = alter(photo.convert("RGB"))
        path = folder / f"{row:04}.{'png' if quality is None else 'jpg'}"
        altered.save(path, quality=quality or 0)  # PNG files know none
        files.append(str(path))
        kinds.append(kind)
        of.append(row)
    return files, np.array(kinds), np.array(of)


def _backbones() -> Iterator[tuple[str, Backbone]]:
    weights = photos.real_data() / "weights"
    networks, options = weights / "timm", '{"pad_type": "same"}'
    file = str(networks / "mobilenetv2_100_imagenet.safetensors")
    yield (
        "MobileNetV2",
        Timm(model="mobilenetv2_100", options=options, weights=file, mean=_HALF, std=_HALF),
    )
    file = str(networks / "vit_tiny_patch16_224_tinyimagenet.safetensors")
    yield "ViT-tiny", Timm(model="vit_tiny_patch16_224", weights=file, mean=_HALF, std=_HALF)
    yield "small CLIP", OpenCLIP(model=str(weights / "open_clip" / "uvl-mnv2-minitext"))


def _ways(dataset: fo.Dataset) -> Iterator[tuple[str, dict[str, str]]]:
    """For each way the id of the kept item by the id of each duplicate."""
    theirs = fob.compute_near_duplicates(dataset, embeddings="emb", progress=False)
    pairs = {key: kept for kept, found in theirs.neighbors_map.items() for key, _ in found}
    yield _WAYS[0], pairs
    for way, confirm in zip(_WAYS[1:], (False, None), strict=True):
        result = uvl.find_duplicates(
            dataset, "emb", confirm=confirm, overwrite=True, progress=False
        )
        yield way, result.of


def _shares(
    pairs: dict[str, str], ids: list[str], kinds: np.ndarray, of: np.ndarray
) -> dict[str, float]:
    """The share of each kind that is found, and ``precision``. Where a copy is kept and its original
    is the duplicate, the copy counts as found."""
    row_of = {key: row for row, key in enumerate(ids)}
    found = np.array([(row_of[key], row_of[kept]) for key, kept in pairs.items()]).reshape(-1, 2)
    right = of[found[:, 0]] == of[found[:, 1]]
    grouped = np.isin(np.arange(len(ids)), found[right])
    shares = {kind: float(grouped[kinds == kind].mean()) for kind in _KINDS if kind in kinds}
    return {**shares, "precision": float(right.mean()) if len(right) else 1.0}


def _mean(shares: list[dict[str, float]], column: str) -> str:
    known = [each[column] for each in shares if column in each]
    return f"{statistics.mean(known):.3f}" if known else "-"


def _verdicts(found: dict[tuple[str, str], list[dict[str, float]]]) -> Iterator[Verdict]:
    """Of each network the kind that is found least, cuts left aside, and precision."""
    for name in dict.fromkeys(name for name, _ in found):
        said = {}
        for way in _WAYS:
            shares = found[name, way]
            least = min(
                statistics.mean(each[kind] for each in shares)
                for kind in shares[0].keys() - {*_CUT, "precision"}
            )
            said[way] = f"{least:.3f}, {_mean(shares, 'precision')}"
        yield Verdict(
            f"altered copies, {name}", f"{_EACH} of each kind", said[_WAYS[0]], said[_WAYS[2]],
            "least recall of a kind (cuts left aside), precision", "0.95, 0.95",
        )  # fmt: skip

"""Whether JPEG files decoded at a reduced scale give the same vectors; no timing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks import photos
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from uvl_plugin.backbones.base import Backbone
from uvl_plugin.backbones.open_clip import OpenCLIP
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.backbones.timm import Timm
from uvl_plugin.backbones.torchvision import TorchVision
from uvl_plugin.engine.loaded import LoadedBackbone
from uvl_plugin.engine.precision import cosines
from uvl_plugin.engine.settings import Engine
from uvl_plugin.media.images import image_size, read_image
from uvl_plugin.media.sources import ImageFile

_LEAST_MEAN, _LEAST, _LEAST_OVERLAP = 0.999, 0.99, 0.95
_NEIGHBOURS = 10
_SMALL_INPUT = 96  # pixels; below half of the flowers' sides
_COLUMNS = ("backbone", "photos", "input", "reduced", "mean", "least", "overlap", "same")


@dataclass(frozen=True)
class Parity:
    """How alike two sets of vectors of the same items are.

    Attributes:
        mean, least: cosine.
        overlap: of the nearest neighbours of an item in one set, the share that are its nearest
            in the other; mean.
    """

    mean: float
    least: float
    overlap: float

    @classmethod
    def of(cls, first: np.ndarray, second: np.ndarray) -> "Parity":
        """Of two arrays ``(n, dim)``."""
        found = cosines(first, second)
        shared = [
            len(set(a) & set(b)) / len(a)
            for a, b in zip(_nearest(first), _nearest(second), strict=True)
        ]
        return cls(float(found.mean()), float(found.min()), float(np.mean(shared)))

    @property
    def holds(self) -> bool:
        """Whether reduced decoding may be the default."""
        bounds = ((self.mean, _LEAST_MEAN), (self.least, _LEAST), (self.overlap, _LEAST_OVERLAP))
        return all(value >= bound for value, bound in bounds)


def parity(setting: Setting) -> Section:
    """Real weights on real photos that are large enough for the input to be reduced."""
    cuts = photos.medium_photos(setting.folder, setting.n(200, 20))
    flowers = photos.flowers()[:: setting.n(2, 20)]
    verdicts, rows = [], []
    for name, backbone in _backbones().items():
        found = []
        small = replace(backbone, input_size=_SMALL_INPUT)  # type: ignore[call-arg]
        for what, chosen, paths in (("aerial cuts", backbone, cuts), ("flowers", small, flowers)):
            row, result = _row(chosen, paths, setting.threads)
            rows.append([name, what, *row])
            found.append(result)
        worst = [
            min(getattr(each, what) for each in found) for what in ("mean", "least", "overlap")
        ]
        measured = "mean {:.5f}, least {:.4f}, overlap {:.3f}".format(*worst)
        work, n = f"reduced decoding, {name}", f"{len(cuts)} and {len(flowers)}"
        wanted = f"{_LEAST_MEAN}, {_LEAST}, {_LEAST_OVERLAP}"
        verdicts.append(Verdict(work, n, "-", "-", measured, wanted))
    body = (
        "Vectors of files decoded at reduced scale beside those of exact decoding, with real "
        "pretrained weights: cosine, and how many of the "
        f"{_NEIGHBOURS} nearest neighbours are the same. Aerial cuts are overlapping parts of "
        "1600x1200 pixels of four photos, which makes near neighbours hard to tell apart; flowers "
        f"have 240 to 500 pixels and so get an input of {_SMALL_INPUT}. 'reduced' is the share of "
        f"files that were decoded at a smaller scale.\n\n{table(_COLUMNS, rows)}"
    )
    return Section("reduced decoding beside exact decoding", verdicts, body)


def _row(backbone: Backbone, paths: Sequence[str], threads: int) -> tuple[list[str], Parity]:
    exact, reduced = (_vectors(backbone, paths, how, threads) for how in ("exact", "reduced"))
    preprocess = backbone.load("cpu").preprocess
    assert isinstance(preprocess, Preprocess)
    share = np.mean([_is_reduced(path, preprocess) for path in paths])
    found = Parity.of(exact, reduced)
    numbers = [f"{share:.0%}", f"{found.mean:.5f}", f"{found.least:.4f}", f"{found.overlap:.3f}"]
    return [str(preprocess.size), *numbers, "yes" if found.holds else "no"], found


def _vectors(backbone: Backbone, paths: Sequence[str], decode: str, threads: int) -> np.ndarray:
    loaded = LoadedBackbone(backbone, Engine(device="cpu", decode=decode, threads=threads))
    sources = (ImageFile(str(number), path) for number, path in enumerate(paths))
    chunks = list(loaded.embed(sources))
    return np.stack([vector for chunk in chunks for vector in chunk.vectors.values()])


def _is_reduced(path: str, preprocess: Preprocess) -> bool:
    height, width, _ = read_image(path, enough=preprocess.smallest_source).shape
    return height * width < np.prod(image_size(path))


def _nearest(vectors: np.ndarray) -> np.ndarray:
    """The nearest others of each row by cosine, ``(n, _NEIGHBOURS)``."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    return np.argsort(-similarity, axis=1)[:, :_NEIGHBOURS]


def _backbones() -> dict[str, Backbone]:
    weights = photos.real_data() / "weights"
    grey = (0.5, 0.5, 0.5)
    return {
        "timm mobilenetv2_100": Timm(
            model="mobilenetv2_100",
            weights=str(weights / "timm" / "mobilenetv2_100_imagenet.safetensors"),
            options='{"pad_type": "same"}',
            mean=grey,
            std=grey,
        ),
        "timm vit_tiny_patch16_224": Timm(
            model="vit_tiny_patch16_224",
            weights=str(weights / "timm" / "vit_tiny_patch16_224_tinyimagenet.safetensors"),
            mean=grey,
            std=grey,
        ),
        "torchvision mobilenet_v2": TorchVision(
            model="mobilenet_v2",
            weights=str(weights / "torchvision" / "mobilenet_v2_imagenet.safetensors"),
            mean=grey,
            std=grey,
        ),
        "torchvision squeezenet1_1": TorchVision(
            model="squeezenet1_1",
            weights=str(weights / "torchvision" / "squeezenet1_1_imagenet.pth"),
        ),
        "open_clip uvl-mnv2-minitext": OpenCLIP(
            model=str(weights / "open_clip" / "uvl-mnv2-minitext")
        ),
    }

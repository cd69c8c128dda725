"""ViT-B/16 in bf16 on a GPU, from JPEG files; the engine alone, without FiftyOne."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks import photos
from benchmarks.floors import decode_alone
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from benchmarks.timing import Contender, interleaved, median
from uvl_plugin.backbones.base import AnyEncoder
from uvl_plugin.backbones.timm import Timm
from uvl_plugin.engine.loaded import LoadedBackbone
from uvl_plugin.engine.settings import Engine
from uvl_plugin.media.images import read_image
from uvl_plugin.media.sources import ImageFile

_BATCH = 256
_FEEDERS = 2  # threads that hand batches to the GPU, as in the engine
_ALL, _DECODE, _FORWARD = "files to vectors", "decode alone", "forward alone"


def gpu(setting: Setting) -> Section:
    """Files to vectors beside each half alone."""
    import torch

    title = "ViT-B/16 in bf16 on a GPU, JPEG files of 640x480 pixels"
    if not torch.cuda.is_available():
        return Section(title, [], "No GPU here.")
    paths = photos.small_photos(setting.folder, setting.n(4096, 512))
    sources = [ImageFile(str(number), path) for number, path in enumerate(paths)]
    backbone = Timm(model="vit_base_patch16_224", weights="untrained")
    how = Engine(device="cuda", precision="bf16", batch_size=_BATCH, threads=setting.threads)
    loaded = LoadedBackbone(backbone, how)
    contenders = {
        _ALL: _whole(loaded, sources),
        _DECODE: decode_alone(sources, loaded.encoder, read_image, setting.threads),
        _FORWARD: _forward(loaded.encoder, len(sources)),
    }
    interleaved(contenders, 1)  # first calls are slow
    times = interleaved(contenders, setting.rounds)
    seconds = {name: median(found) for name, found in times.items()}
    floor = max(seconds[_DECODE], seconds[_FORWARD])
    rows = [[name, f"{each:.2f}", f"{len(sources) / each:.0f}"] for name, each in seconds.items()]
    rates = table(("work", "seconds", "images/s"), rows)
    verdict = Verdict(
        "ViT-B/16 bf16, GPU", str(len(sources)), f"({floor:.2f} s)", f"{seconds[_ALL]:.2f} s",
        f"{100 * floor / seconds[_ALL]:.0f} % of max(decode, forward)", "80 %",
    )  # fmt: skip
    return Section(title, [verdict], f"{torch.cuda.get_device_name()}; {rates}")


def _whole(loaded: LoadedBackbone, sources: Sequence[ImageFile]) -> Contender:
    def embed() -> None:
        n_embedded = sum(len(chunk.vectors) for chunk in loaded.embed(sources))
        if n_embedded != len(sources):
            raise RuntimeError(f"{n_embedded} of {len(sources)} files were embedded")

    @contextlib.contextmanager
    def contender() -> Iterator[Callable[[], object]]:
        yield embed

    return contender


def _forward(encoder: AnyEncoder, n: int) -> Contender:
    """``n`` images from pinned memory to vectors on the processor, in the precision that the
    engine has left the network in."""
    batches = [encoder.buffer(min(_BATCH, n - start)) for start in range(0, n, _BATCH)]

    @contextlib.contextmanager
    def contender() -> Iterator[Callable[[], object]]:
        with ThreadPoolExecutor(_FEEDERS) as pool:
            yield lambda: list(pool.map(encoder.encode, batches))

    return contender

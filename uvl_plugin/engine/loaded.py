"""A backbone on the devices that were asked for, ready for any number of sources."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from uvl_plugin.backbones.base import AnyEncoder, Backbone, Encoder, resolve_device
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.core.errors import SettingsError
from uvl_plugin.engine.gpu_jpeg import GpuJpegEncoder
from uvl_plugin.engine.memory import Portions, images_at_once
from uvl_plugin.engine.pipeline import Chunk, Plan, embed_sources
from uvl_plugin.engine.precision import CheckedPrecision
from uvl_plugin.engine.settings import Engine
from uvl_plugin.engine.threads import available_threads, library_threads
from uvl_plugin.media.images import read_image, read_jpeg
from uvl_plugin.media.sources import Reader, Source

if TYPE_CHECKING:
    import torch


class LoadedBackbone:
    """The networks of one backbone, one for each device.

    Args:
        backbone: which network.
        engine: how to run it.

    Raises:
        SettingsError: if there is no such device.
        WeightsError: if the weights cannot be found or do not fit.
    """

    def __init__(self, backbone: Backbone, engine: Engine):
        devices = check_engine(engine)
        self.engine = engine
        self.threads = engine.threads or available_threads()
        with library_threads(1):  # more would wait for each other longer than they work
            self.encoder = _prepared(backbone.load(str(devices[0])), engine)
            encoders = [self.encoder, *(self.encoder.replica(device) for device in devices[1:])]
            at_once = min(images_at_once(encoder) for encoder in encoders)
        reduces = isinstance(self.encoder.preprocess, Preprocess)
        self.decode = "exact" if engine.decode == "reduced" and not reduces else engine.decode
        self.batch_size = engine.batch_size or at_once
        on_processor = devices[0].type == "cpu"
        if on_processor:  # larger ones would only make the caches miss, and the last threads wait
            self.batch_size = min(self.batch_size, at_once)
        self._sharing = on_processor and self.encoder.concurrent
        precision = engine.precision if self.encoder.casts else "fp32"
        self._networks = [
            CheckedPrecision(Portions(encoder, self.batch_size), precision) for encoder in encoders
        ]

    def embed(self, sources: Iterable[Source], n: int | None = None) -> Iterator[Chunk]:
        """Embeds the items of ``sources``, in their order.

        Args:
            sources: see :func:`~uvl_plugin.engine.pipeline.embed_sources`.
            n: how many items there are, where that is known: few are shared out evenly.
        """
        threads = 1 if self._sharing else self.threads
        with library_threads(threads), closing(embed_sources(sources, self._plan(n))) as chunks:
            yield from chunks

    def record(self) -> dict[str, Any]:
        """How the work was done, for the run record."""
        agreements = [network.agreement for network in self._networks if network.agreement]
        return {
            "device": ",".join(str(network.portions.encoder.device) for network in self._networks),
            "precision": self.encoder.precision,
            "precision_agreement": min(agreements, default=None),
            "decode": self.decode,
            "batch_size": self.batch_size,
            "images_at_once": min(network.portions.at_once for network in self._networks),
            "threads": self.threads,
            "dim": self.encoder.dim,
        }

    def _plan(self, n: int | None) -> Plan:
        batch_size = self.batch_size
        if self._sharing and n is not None:
            batch_size = max(1, min(batch_size, n // self.threads))
        return Plan(
            networks=list(self._networks),
            buffer=self.encoder.buffer,
            prepare=self.encoder.preprocess,
            batch_size=batch_size,
            threads=self.threads,
            reader=self._reader(),
            sharing=self._sharing,
        )

    def _reader(self) -> Reader:
        preprocess = self.encoder.preprocess
        if self.decode == "gpu":
            return read_jpeg
        if self.decode == "reduced" and isinstance(preprocess, Preprocess):
            return partial(read_image, enough=preprocess.smallest_source)
        return read_image


def _prepared(encoder: AnyEncoder, engine: Engine) -> AnyEncoder:
    """The encoder as the settings want it; raises where it cannot be so."""
    if engine.precision not in ("auto", "fp32") and not encoder.casts:
        raise SettingsError(
            "This backbone decides on its precision by its own options; leave precision at 'auto'.",
            "precision",
        )
    if engine.decode != "gpu":
        return encoder
    if not isinstance(encoder, Encoder):
        raise SettingsError(
            "This backbone prepares images in its own way; use decode='exact'.", "decode"
        )
    return GpuJpegEncoder(encoder)


def check_engine(engine: Engine) -> "list[torch.device]":
    """The devices to use; raises :class:`SettingsError` where they, or the way of decoding,
    cannot be had."""
    devices = resolve_devices(engine.device)
    if engine.decode == "gpu" and devices[0].type != "cuda":
        raise SettingsError(
            f"decode='gpu' needs a GPU, and the device is {devices[0]}; use 'exact' or 'reduced'.",
            "decode",
        )
    return devices


def resolve_devices(device: str) -> "list[torch.device]":
    """The devices that a text such as ``"auto"``, ``"cuda:0,cuda:1"`` or ``"cuda:all"`` names.

    Raises:
        SettingsError: if one cannot be used, occurs twice, or is not a GPU like the others.
    """
    import torch

    if device == "cuda:all":
        device = ",".join(f"cuda:{number}" for number in range(torch.cuda.device_count())) or "cuda"
    devices = [resolve_device(name.strip()) for name in device.split(",")]
    if len(devices) > 1 and (
        len(set(devices)) < len(devices) or {d.type for d in devices} != {"cuda"}
    ):
        raise SettingsError(
            f"device='{device}' must name different GPUs, such as 'cuda:0,cuda:1'.", "device"
        )
    return devices

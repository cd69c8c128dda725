"""A backbone on the devices that were asked for, ready for any number of sources."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
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
        self.encoder = backbone.load(str(devices[0]))
        precision = _precision(engine, self.encoder)
        self.decode = _decode(engine, backbone, self.encoder)
        if self.decode == "gpu" and isinstance(self.encoder, Encoder):
            self.encoder = GpuJpegEncoder(self.encoder)
        encoders = [self.encoder, *(self.encoder.replica(device) for device in devices[1:])]
        at_once = min(images_at_once(encoder) for encoder in encoders)
        on_processor = self.encoder.device.type == "cpu"
        self.batch_size = engine.batch_size or at_once
        self.threads = engine.threads or available_threads()
        self._sharing = on_processor and self.encoder.concurrent
        if not on_processor:
            at_once = self.batch_size
        self._networks = [
            CheckedPrecision(Portions(encoder, at_once), precision) for encoder in encoders
        ]

    def embed(self, sources: Iterable[Source]) -> Iterator[Chunk]:
        """Embeds the items of ``sources``, in their order; see
        :func:`~uvl_plugin.engine.pipeline.embed_sources`."""
        with ExitStack() as stack:
            stack.enter_context(library_threads(1 if self._sharing else self.threads))
            chunks = embed_sources(sources, self._plan())
            stack.callback(chunks.close)
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

    def _plan(self) -> Plan:
        return Plan(
            networks=list(self._networks),
            buffer=self.encoder.buffer,
            prepare=self.encoder.preprocess,
            batch_size=self.batch_size,
            threads=self.threads,
            reader=self._reader(),
            sharing=self._sharing,
        )

    def _reader(self) -> Reader:
        if self.decode == "gpu":
            return read_jpeg
        if self.decode == "reduced" and isinstance(self.encoder.preprocess, Preprocess):
            return partial(read_image, enough=self.encoder.preprocess.smallest_source)
        return read_image


def _precision(engine: Engine, encoder: AnyEncoder) -> str:
    if engine.precision == "auto" and not encoder.casts:
        return "fp32"
    if engine.precision not in ("auto", "fp32") and not encoder.casts:
        raise SettingsError(
            "This backbone decides on its precision by its own options; leave precision at 'auto'.",
            "precision",
        )
    return engine.precision


def _decode(engine: Engine, backbone: Backbone, encoder: AnyEncoder) -> str:
    own_ways = not isinstance(encoder, Encoder)
    if own_ways and engine.decode == "gpu":
        raise SettingsError(
            "This backbone prepares images in its own way; use decode='exact'.", "decode"
        )
    if own_ways or (engine.decode == "auto" and not backbone.bears_reduced_decode):
        return "exact"
    return "reduced" if engine.decode == "auto" else engine.decode


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

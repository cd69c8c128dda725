"""The verb: learn a temporal encoder from videos."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from uvl_plugin.backbones.base import resolve_device
from uvl_plugin.core.errors import Cancelled, DataError
from uvl_plugin.core.packages import versions
from uvl_plugin.core.progress import Progress, part, silent
from uvl_plugin.pooling.axes import fit_axes
from uvl_plugin.pooling.base import Paths
from uvl_plugin.temporal.base import TemporalMethod
from uvl_plugin.temporal.checkpoint import temporal_path
from uvl_plugin.temporal.frames import Reader, Windows
from uvl_plugin.temporal.loop import ENDED, Training
from uvl_plugin.temporal.outcome import TemporalTraining
from uvl_plugin.training.checkpoint import CheckpointWriter


def train_temporal(
    paths: Paths,
    method: TemporalMethod,
    *,
    name: str,
    seed: int = 0,
    progress: Progress = silent,
    device: str = "auto",
    overwrite: bool = False,
    about: Mapping[str, Any] | None = None,
) -> TemporalTraining:
    """Learns a temporal encoder from videos and keeps it under ``name``.

    A training that was interrupted goes on behind its last complete epoch; one that has ended is
    not repeated. The order of the paths does not count, but for rounding.

    Args:
        paths: streamed twice; their principal components are kept, in memory or in a file.
        about: what else the card says, JSON types.

    Raises:
        DataError: if no video is long enough, or there is an encoder of this name that was
            trained otherwise or from other videos.
        Cancelled: if ``progress`` raised it; the checkpoint then holds the best epoch so far.
    """
    folder = temporal_path(name)
    axes = fit_axes(paths, method.n_components, part(progress, 0.0, 0.05))
    reader = Reader(axes.motion, method.window)
    windows = Windows(paths, reader, axes, part(progress, 0.05, 0.1))
    parts = windows.divided(method.validation, method.least_frames)
    if len(parts["train"]) == 0:
        raise DataError(
            f"{method.label} needs a video with at least {method.least_frames} embedded frames, "
            f"and the longest has {windows.lengths.max()}; embed more frames of each."
        )
    asked = {
        "method": {"method": method.name, "settings": method.to_dict()},
        "seed": seed,
        **(about or {}),
    }
    fingerprint = _fingerprint(asked, windows.digest)
    writer = CheckpointWriter(name, folder)
    known = writer.card()
    if overwrite:
        writer.clear()
    elif known is not None and known["fingerprint"] != fingerprint:
        raise DataError(
            f"There is a temporal encoder '{name}' with other settings or of other videos; pass "
            "overwrite=True to replace it, or choose another name.",
            "name",
        )
    elif known is not None and known["state"] in ENDED:
        return TemporalTraining.from_card(known)
    card = {"name": name, **asked, "fingerprint": fingerprint, "versions": versions()}
    training = Training(
        windows, parts, axes.motion, method, seed, resolve_device(device), writer, card
    )
    training.outcome.how |= {"videos": axes.n_videos, "frames": axes.n_frames}
    try:
        training.run(part(progress, 0.1, 1.0))
    except (Cancelled, KeyboardInterrupt):
        training.end("stopped")
        raise
    return training.outcome


def _fingerprint(asked: Mapping[str, Any], digest: str) -> str:
    return hashlib.sha256(json.dumps([asked, digest], sort_keys=True).encode()).hexdigest()

"""A trained temporal encoder: what happens in a video, as learnt from others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Progress, silent
from uvl_plugin.core.settings import setting
from uvl_plugin.pooling.base import FramePath, Paths, Pooler, Pooling, poolings

if TYPE_CHECKING:
    from uvl_plugin.temporal.encoder import TemporalEncoder


@poolings.register
@dataclass(frozen=True, kw_only=True)
class Temporal(Pooling):
    """The mean state of a temporal encoder that was trained on the frames of videos.

    What is seen all the time does not count, only how it changes; speed, frame rate and the
    choice of frames do count, and should be those of the training. Of a video of one frame, or
    of one that stands still, nothing is left but the state of rest.
    """

    name, label = "temporal", "Trained temporal encoder"
    description = "How things move, as an encoder that you trained on videos sees it."
    order_aware = True

    encoder: str = setting("", help="Name that was given to the training.")

    def check(self) -> None:
        from uvl_plugin.temporal.checkpoint import read_temporal_card

        read_temporal_card(self.encoder)

    def fit(self, paths: Paths, progress: Progress = silent) -> Pooler:
        return _TemporalPooler(self._loaded())

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Pooler:
        pooler = _TemporalPooler(self._loaded())
        if not np.array_equal(pooler.arrays["sha256"], arrays["sha256"]):
            raise DataError(
                f"The temporal encoder '{self.encoder}' has been trained again since, and gives "
                "other vectors now; pool all videos again.",
                "encoder",
            )
        return pooler

    def _loaded(self) -> "TemporalEncoder":
        from uvl_plugin.temporal.encoder import load_temporal

        return load_temporal(self.encoder)


class _TemporalPooler(Pooler):
    def __init__(self, encoder: "TemporalEncoder"):
        digest = np.frombuffer(bytes.fromhex(encoder.digest), dtype=np.uint8)
        super().__init__(encoder.frame_dim, encoder.dim, {"sha256": digest})
        self._encoder = encoder

    def _pooled(self, path: FramePath) -> np.ndarray:
        return self._encoder(path)

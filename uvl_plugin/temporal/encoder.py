"""A trained temporal encoder: from the frames of a video to its vector."""

from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.backbones.weights import check_fit, fit_weights, read_weights
from uvl_plugin.pooling.base import FramePath
from uvl_plugin.temporal.arrow import half_vectors
from uvl_plugin.temporal.base import TemporalMethod, temporal_methods
from uvl_plugin.temporal.checkpoint import read_temporal_card, temporal_path
from uvl_plugin.temporal.frames import Reader

if TYPE_CHECKING:
    from torch import nn

MOTION = "motion"  # name of the principal components among the weights
CENTRE = "centre"  # likewise, of the mean vector of the windows learnt from
NETWORK = "network."  # stands before the names of the network's weights


class TemporalEncoder:
    """The mean of the states over all frames, less that of the videos learnt from, and so one
    vector for a video of any length.

    Args:
        method: whose network it is.
        network: on the processor.
        motion: principal components, shape ``(k, frame_dim)``, float64.
        centre: what is taken off every vector, shape ``(dim,)``.
        digest: of the weights.

    Attributes:
        dim: length of the vectors.
        frame_dim: length of the vectors of frames.
    """

    def __init__(
        self,
        method: TemporalMethod,
        network: "nn.Module",
        motion: np.ndarray,
        centre: np.ndarray,
        digest: str,
    ):
        self._method = method
        self._network = network.eval().requires_grad_(False)
        self._read = Reader(motion, method.window)
        self._centre = centre
        self.digest = digest
        self.frame_dim = motion.shape[1]
        self.dim = len(centre)

    def __call__(self, path: FramePath) -> np.ndarray:
        """The vector, shape ``(dim,)``, float32; it never depends on other videos.

        Raises:
            DataError: if the vectors of the frames have another length than those learnt from.
        """
        total = np.zeros(self.dim)
        for rows in self._read(path):
            total += len(rows) * self._vector(rows)
        return (total / len(path) - self._centre).astype(np.float32)

    def _vector(self, rows: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return half_vectors(
                lambda frames: self._method.states(self._network, frames),
                torch.from_numpy(rows)[None],
                torch.tensor([len(rows)]),
            )[0].numpy()


def load_temporal(name: str) -> TemporalEncoder:
    """The temporal encoder that was trained under this name.

    Raises:
        DataError: if there is none, or it has no weights yet.
        WeightsError: if its weights are missing or damaged.
    """
    card = read_temporal_card(name)
    file = str(temporal_path(name) / card["weights"]["file"])
    tensors = read_weights(file)
    check_fit(file, {MOTION, CENTRE} - tensors.keys(), (), ())
    motion, centre = (tensors.pop(name).double().numpy() for name in (MOTION, CENTRE))
    method = temporal_methods[card["method"]["method"]].from_dict(card["method"]["settings"])
    network = method.network(len(motion))
    own = {name.removeprefix(NETWORK): tensor for name, tensor in tensors.items()}
    fit_weights(network, own, ignore=(), source=file)
    return TemporalEncoder(method, network, motion, centre, card["weights"]["sha256"])

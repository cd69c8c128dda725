"""Half precision, as long as it gives the vectors that full precision gives."""

import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.engine.memory import Portions

if TYPE_CHECKING:
    import torch

_logger = logging.getLogger(__name__)
_LEAST_MEAN, _LEAST = 0.999, 0.99  # cosine with full precision


def best_precision(device: "torch.device") -> str:
    """What ``precision="auto"`` tries on a device."""
    if device.type != "cuda":
        return "fp32"
    import torch

    return "bf16" if torch.cuda.get_device_capability(device)[0] >= 8 else "fp16"


class CheckedPrecision:
    """A network in half precision, compared with full precision on its first images.

    Args:
        portions: the network.
        precision: see :class:`~uvl_plugin.engine.settings.Engine`; ``"auto"`` goes back to
            full precision where the two do not agree.

    Attributes:
        agreement: least cosine between the two; None where nothing was compared.
    """

    def __init__(self, portions: Portions, precision: str):
        self.portions = portions
        self.agreement: float | None = None
        self._may_go_back = precision == "auto"
        device = portions.encoder.device
        self._wanted = best_precision(device) if precision == "auto" else precision
        self._checked = self._wanted == "fp32"
        self._lock = threading.Lock()

    def __call__(self, images: Sequence | np.ndarray) -> np.ndarray:
        """Embeds any number of images: returns ``(n, dim)``, float32."""
        if not self._checked:
            with self._lock:
                if not self._checked:
                    return self._compare(images)
        return self.portions(images)

    def _compare(self, images: Sequence | np.ndarray) -> np.ndarray:
        encoder = self.portions.encoder
        full = self.portions(images)
        encoder.precision = self._wanted
        half = self.portions(images)
        agreement = cosines(full, half)
        self.agreement = round(float(agreement.min()), 6)
        if self._may_go_back and not (
            agreement.mean() >= _LEAST_MEAN and agreement.min() >= _LEAST
        ):
            _logger.warning(
                "%s does not agree with fp32 (least cosine %.4f); going on with fp32",
                self._wanted, self.agreement,
            )  # fmt: skip
            encoder.precision, half = "fp32", full
        self._checked = True
        return half


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosine between the rows of two arrays ``(n, dim)``; 1 where both are zero, and 0 where a
    number is not finite."""
    products = np.einsum("nd,nd->n", first, second, dtype=np.float64)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where((first == second).all(axis=1), 1.0, products / lengths)
    return np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)

"""What every pooling is: from the frame vectors of a video or clip to one vector."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Progress, silent
from uvl_plugin.core.registry import Registry
from uvl_plugin.core.settings import Settings

poolings: "Registry[Pooling]" = Registry("pooling", "uvl_plugin.pooling")


@dataclass(frozen=True)
class FramePath:
    """The frame vectors of one video or clip, in order.

    Attributes:
        key: of the video or clip.
        numbers: of the frames, shape ``(t,)``, int64, increasing, ``t`` at least 1.
        vectors: shape ``(t, dim)``, float32, finite.

    Raises:
        DataError: if it has no frames, shapes disagree, or numbers do not increase.
    """

    key: str
    numbers: np.ndarray
    vectors: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", np.asarray(self.numbers, dtype=np.int64))
        object.__setattr__(self, "vectors", np.asarray(self.vectors, dtype=np.float32))
        if self.vectors.ndim != 2 or self.numbers.shape != self.vectors.shape[:1]:
            raise DataError(
                f"The frames of '{self.key}' need numbers (t,) and vectors (t, dim), got "
                f"{self.numbers.shape} and {self.vectors.shape}."
            )
        if len(self) == 0:
            raise DataError(f"'{self.key}' has no frames with a vector; embed its frames first.")
        if not (np.diff(self.numbers) > 0).all():
            raise DataError(f"The frame numbers of '{self.key}' must increase.")

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dim(self) -> int:
        """Length of the vector of a frame."""
        return self.vectors.shape[1]


Paths = Callable[[], Iterator[FramePath]]  # each call streams all of them, one at a time


class Pooler(ABC):
    """What turns a path into a vector; it has learnt what it needs, and works on new videos.

    Args:
        frame_dim: length of the vectors of frames.
        dim: length of the vectors of videos.
        arrays: what was learnt, by name; :meth:`Pooling.restore` makes the pooler of them.
    """

    def __init__(self, frame_dim: int, dim: int, arrays: Mapping[str, np.ndarray]):
        self.frame_dim = frame_dim
        self.dim = dim
        self.arrays = dict(arrays)

    def __call__(self, path: FramePath) -> np.ndarray:
        """The vector of a video, shape ``(dim,)``, float32.

        Raises:
            DataError: if its frames have vectors of another length.
        """
        check_dim(path, self.frame_dim)
        return self._pooled(path).astype(np.float32)

    @abstractmethod
    def _pooled(self, path: FramePath) -> np.ndarray:
        """As the call; the frames have the right length."""


@dataclass(frozen=True, kw_only=True)
class Pooling(Settings):
    """Settings that say how the vectors of frames become one.

    Class attributes:
        name: key in the registry and in run records.
        label: what a person reads.
        description: one sentence: when to choose it.
        order_aware: whether a video and the same frames in reverse order get different vectors.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str] = ""
    order_aware: ClassVar[bool] = False

    @abstractmethod
    def fit(self, paths: Paths, progress: Progress = silent) -> Pooler:
        """Learns what it needs from all videos.

        What is learnt does not depend on the order of the paths, but for rounding: where the
        last bit counts, stream them in the order of their keys.

        Raises:
            DataError: if there are no paths, or their vectors differ in length.
        """

    @abstractmethod
    def restore(self, arrays: Mapping[str, np.ndarray]) -> Pooler:
        """The pooler that had these :attr:`Pooler.arrays`: new videos get vectors in the same
        space as the old ones."""

    def check(self) -> None:
        """Raises what fitting would as far as that is cheap to know; forms call it."""


def check_dim(path: FramePath, dim: int) -> None:
    """Raises :class:`DataError` unless the frames have vectors of this length."""
    if path.dim != dim:
        raise DataError(
            f"The frames of '{path.key}' have vectors of length {path.dim}, others of {dim}; "
            "embed all frames with one backbone."
        )


def first_path(paths: Paths) -> FramePath:
    """One of the paths; raises :class:`DataError` if there are none."""
    for path in paths():
        return path
    raise DataError("There are no videos with frame vectors to pool; embed their frames first.")

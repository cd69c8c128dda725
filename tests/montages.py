"""Videos with known shots, made from photographs: hard cuts, cross-fades, flashes, fast pans.

A shot is a cut-out that moves slowly over a photograph, with a trembling hand, noise and its own
brightness. Photographs come back later on another path and in another light: the same scene, not
the same pictures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

KINDS = ("cuts", "fades", "flashes", "pans")
_SHOTS = (5, 8)  # least and most shots of a montage
_SECONDS = (1.6, 4.0)  # length of a shot
_FADE = (0.5, 1.5)  # seconds
_PAN = (0.25, 0.5)  # seconds
_RETURN = 0.35  # how often a shot shows a photograph that was shown before
_WHITE = 0.93  # of a flash; the rest is the picture


@dataclass(frozen=True)
class Shot:
    """One shot.

    Attributes:
        photo: number of the photograph.
        n: frames, those of the fades at both ends included.
        fade: frames that it shares with the shot before; 0 for a hard cut.
        path: middles of the cut-out over time, ``(n, 2)``, shares of the free way, 0 to 1.
        side: of the cut-out at begin and end, shares of the photograph's shorter side.
        light: factor of the brightness.
        flashes: frames that are all but white.
    """

    photo: int
    n: int
    fade: int
    path: np.ndarray
    side: tuple[float, float]
    light: float
    flashes: frozenset[int]


@dataclass(frozen=True)
class Montage:
    """A video of known shots; frames are numbered from 1.

    Attributes:
        rate: frames a second.
        size: height and width of the pictures.
    """

    photos: Sequence[Path]
    shots: tuple[Shot, ...]
    rate: float
    size: int
    seed: int

    @cached_property
    def firsts(self) -> np.ndarray:
        """Index of the frame in which each shot begins to show, ``(shots,)``."""
        lengths = np.array([shot.n for shot in self.shots])
        fades = np.array([shot.fade for shot in self.shots])
        return np.cumsum(lengths - np.append(fades[1:], 0)) - lengths + np.append(fades[1:], 0)

    @property
    def n(self) -> int:
        """How many frames there are."""
        return int(self.firsts[-1] + self.shots[-1].n)

    @property
    def numbers(self) -> np.ndarray:
        """Of the frames, ``(n,)``."""
        return np.arange(1, self.n + 1)

    @property
    def starts(self) -> np.ndarray:
        """Number of the first frame of each shot but the first one; the middle of a fade."""
        fades = np.array([shot.fade for shot in self.shots])
        return (self.firsts + fades // 2 + 1)[1:]

    @property
    def tolerances(self) -> np.ndarray:
        """How many frames off each start may be found: 0.3 s, or half a fade if that is more."""
        fades = np.array([shot.fade for shot in self.shots])[1:]
        return np.maximum(0.3 * self.rate, fades / 2)

    @property
    def scenes(self) -> np.ndarray:
        """Number of the photograph that each frame shows, ``(n,)``; in a fade the stronger one."""
        which = np.searchsorted(self.starts, self.numbers, side="right")
        return np.array([shot.photo for shot in self.shots])[which]

    def pictures(self) -> Iterator[np.ndarray]:
        """Each frame, ``(size, size, 3)``, uint8."""
        random = np.random.default_rng([self.seed, 1])
        images = {shot.photo: _opened(self.photos[shot.photo]) for shot in self.shots}
        for index in range(self.n):
            picture = np.zeros((self.size, self.size, 3))
            for shot, first in zip(self.shots, self.firsts.tolist(), strict=True):
                if first <= index < first + shot.n:
                    at = index - first
                    share = min(1.0, (at + 1) / (shot.fade + 1))
                    picture += share * (_drawn(images[shot.photo], shot, at, self.size) - picture)
            picture += random.normal(0.0, 2.0, picture.shape)
            yield picture.clip(0, 255).astype(np.uint8)


def montage(
    photos: Sequence[Path], kind: str, seed: int, *, rate: float = 30.0, size: int = 224
) -> Montage:
    """Plans a montage; equal arguments give equal pictures.

    Args:
        photos: files to draw from.
        kind: one of :data:`KINDS`.
    """
    random = np.random.default_rng([KINDS.index(kind), seed])
    shots: list[Shot] = []
    for photo in _order(random, len(photos)):
        fade = round(random.uniform(*_FADE) * rate) if kind == "fades" and shots else 0
        n = round(random.uniform(*_SECONDS) * rate) + 2 * fade
        flashes = _flashes(random, n) if kind == "flashes" else frozenset()
        side, tremble = random.uniform(0.6, 0.8), random.normal(0.0, 0.004, (n, 2))
        ends = np.clip(random.random(2) + random.uniform(-0.3, 0.3, (2, 2)), 0.0, 1.0)
        path = np.linspace(ends[0], ends[1], n)
        if kind == "pans":
            side, path = random.uniform(0.75, 0.85), _panned(random, n, rate)
        sides = (side, side * random.uniform(0.9, 1.1))
        light = random.uniform(0.75, 1.15)
        shots.append(Shot(photo, n, fade, path + tremble, sides, light, flashes))
    return Montage(photos, tuple(shots), rate, size, seed)


def matched(found: np.ndarray, truth: np.ndarray, tolerances: np.ndarray | float) -> int:
    """How many true starts are found: each start found counts for one true one at most."""
    free = sorted(np.asarray(found).tolist())
    hits = 0
    for start, most in zip(truth, np.broadcast_to(tolerances, truth.shape), strict=True):
        near = [other for other in free if abs(other - start) <= most]
        if near:
            free.remove(min(near, key=lambda other: abs(other - start)))
            hits += 1
    return hits


def agreement(found: np.ndarray, truth: np.ndarray) -> float:
    """Share of the frames that are right under the best one-to-one map of found to true scenes.

    Args:
        found, truth: scene of each frame, both ``(n,)``.
    """
    from scipy.optimize import linear_sum_assignment

    _, left = np.unique(found, return_inverse=True)
    _, right = np.unique(truth, return_inverse=True)
    counts = np.zeros((left.max() + 1, right.max() + 1))
    np.add.at(counts, (left, right), 1)
    rows, columns = linear_sum_assignment(-counts)
    return float(counts[rows, columns].sum() / len(left))


def _order(random: np.random.Generator, n: int) -> list[int]:
    """Photographs of the shots: never one twice in a row, some come back."""
    fresh = random.permutation(n).tolist()
    order: list[int] = []
    for _ in range(random.integers(*_SHOTS, endpoint=True)):
        before = sorted(set(order[:-1]) - set(order[-1:]))
        back = bool(before) and random.random() < _RETURN
        order.append(int(random.choice(before)) if back else fresh.pop())
    return order


def _flashes(random: np.random.Generator, n: int) -> frozenset[int]:
    """One or two flashes of 1 to 3 frames, at a third and at two thirds of a shot."""
    found: set[int] = set()
    for middle in (n // 3, 2 * n // 3)[: random.integers(1, 3)]:
        first = middle + int(random.integers(-2, 3))
        found.update(range(first, first + int(random.integers(1, 4))))
    return frozenset(found)


def _panned(random: np.random.Generator, n: int, rate: float) -> np.ndarray:
    """A path that rests, crosses the photograph in a moment and rests again, ``(n, 2)``; about
    half of what was seen before is still seen after it."""
    lasts = round(random.uniform(*_PAN) * rate)
    first = int(random.integers(n // 4, 3 * n // 4))
    share = np.clip((np.arange(n) - first) / max(1, lasts), 0.0, 1.0)
    begin = random.choice([0.25, 0.75], 2)
    return begin + share[:, None] * (1.0 - 2.0 * begin)


def _opened(path: Path) -> "Image":
    from PIL import Image as images

    with images.open(path) as image:
        return image.convert("RGB")


def _drawn(image: "Image", shot: Shot, at: int, size: int) -> np.ndarray:
    """One frame of a shot, ``(size, size, 3)``."""
    from PIL import Image as images

    part = at / max(1, shot.n - 1)
    side = min(image.size) * (shot.side[0] + part * (shot.side[1] - shot.side[0]))
    left, top = (np.array(image.size) - side) * np.clip(shot.path[at], 0.0, 1.0)
    box = (left, top, left + side, top + side)
    pixels = np.asarray(image.resize((size, size), images.Resampling.BILINEAR, box=box), float)
    pixels *= shot.light
    return pixels + _WHITE * (255.0 - pixels) if at in shot.flashes else pixels

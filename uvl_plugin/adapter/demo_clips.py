"""Clips for the demo: handwritten digits move over backgrounds; scenes come back."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

RATE = 25  # frames a second
WIDTH, HEIGHT = 256, 144  # pixels
SCENES = ("fire", "grass", "sea", "gold", "orchid", "ice")
_COLOURS = (
    (230, 50, 20),
    (30, 190, 50),
    (30, 60, 230),
    (240, 190, 10),
    (200, 40, 210),
    (90, 220, 230),
)
_STEEP = 6  # edges of the patches of colour
_SHOTS = (5, 7)  # least and most shots of a clip
_SECONDS = (1.6, 3.2)  # length of a shot
_SCALE = 5  # pixels of the clip to one of scikit-learn's digits
_DIGITS = 3  # that move in a shot
_NOISE, _NOISES = 6.0, 8  # deviation of a pixel's brightness, of 255; how often it is another
_LIGHT = (0.85, 1.15)  # factor of the brightness of a shot
_WHITE = 16  # brightest value of scikit-learn's digits
_SEED = 7
_CODECS = ("libx264", "libopenh264", "mpeg4")  # browsers play the first two


@dataclass(frozen=True)
class Shot:
    """A run of frames of one scene; numbers begin with 1, both are included.

    Attributes:
        scene: place in :data:`SCENES`.
        seed: of the paths of its digits, the light and the noise.
    """

    first: int
    last: int
    scene: int
    seed: int


@dataclass(frozen=True)
class Clip:
    """A video and what it is made of."""

    name: str
    shots: tuple[Shot, ...]

    @cached_property
    def n_frames(self) -> int:
        """Frames of all shots."""
        return self.shots[-1].last

    def scene_at(self, number: int) -> str:
        """What is seen in a frame."""
        return next(SCENES[shot.scene] for shot in self.shots if number <= shot.last)


def planned_clips(n: int) -> list[Clip]:
    """What the clips are made of, the same every time: no scene follows itself, every clip shows
    some scene twice."""
    rng = np.random.default_rng(_SEED)
    return [Clip(f"clip_{number:02d}.mp4", tuple(_shots(rng))) for number in range(n)]


def _shots(rng: np.random.Generator) -> Iterator[Shot]:
    n_shots = int(rng.integers(_SHOTS[0], _SHOTS[1] + 1))
    known = rng.permutation(len(SCENES))[: n_shots - 1]  # one fewer, so that one comes back
    order = [*known.tolist(), int(known[rng.integers(len(known) - 1)])]
    first = 1
    for scene in order:
        length = int(rng.uniform(*_SECONDS) * RATE)
        yield Shot(first, first + length - 1, scene, int(rng.integers(2**31)))
        first += length


def write_clip(clip: Clip, folder: Path) -> Path:
    """Writes a clip, unless it is there; nothing half-written stays behind."""
    import av

    path = folder / clip.name
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    begun = path.with_suffix(".part.mp4")
    with av.open(str(begun), "w") as container:
        codec = next(name for name in _CODECS if name in av.codec.codecs_available)
        stream = container.add_stream(codec, rate=RATE)
        assert isinstance(stream, av.VideoStream)  # all of these are codecs of videos
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        if codec == "libx264":
            stream.options = {"preset": "veryfast"}
        for picture in _pictures(clip):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    begun.rename(path)
    return path


def _pictures(clip: Clip) -> Iterator[np.ndarray]:
    """Each frame, ``(HEIGHT, WIDTH, 3)``, uint8."""
    glyphs = _glyphs()
    for shot in clip.shots:
        rng = np.random.default_rng(shot.seed)
        shown = glyphs[shot.scene][rng.integers(len(glyphs[shot.scene]), size=_DIGITS)]
        background = _background(shot.scene) * rng.uniform(*_LIGHT)
        noise = rng.normal(0, _NOISE, (_NOISES, HEIGHT, WIDTH, 1))
        for number, at in enumerate(_bouncing(rng, shot.last - shot.first + 1, shown.shape[1])):
            picture = background + noise[number % _NOISES]
            for glyph, (top, left) in zip(shown, at, strict=True):
                size = len(glyph)
                under = picture[top : top + size, left : left + size]
                under += (255 - under) * glyph[:, :, None]
            yield np.clip(picture, 0, 255).astype(np.uint8)


def _background(scene: int) -> np.ndarray:
    """Patches of one colour on black, ``(HEIGHT, WIDTH, 3)``, 0 to 255."""
    rng = np.random.default_rng([_SEED, scene])
    down, across = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j]
    waves = np.zeros((HEIGHT, WIDTH))
    for _ in range(4):
        along = rng.uniform(-4, 4, 2)
        waves += np.sin(2 * np.pi * (along[0] * down + along[1] * across + rng.uniform()))
    share = (waves - waves.min()) / np.ptp(waves)
    return np.clip(_STEEP * (share - 0.5), 0, 1)[:, :, None] * _COLOURS[scene]


def _bouncing(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Top left corners of the digits in each frame, ``(n, _DIGITS, 2)``; they turn at the edges."""
    room = np.array([HEIGHT - size, WIDTH - size])
    start, speed = rng.uniform(0, room, (_DIGITS, 2)), rng.uniform(-4, 4, (_DIGITS, 2))
    way = (start + speed * np.arange(n)[:, None, None]) % (2 * room)
    return np.where(way > room, 2 * room - way, way).astype(int)


def _glyphs() -> list[np.ndarray]:
    """Digits of each class, enlarged, shape ``(n, size, size)``, 0 to 1."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    large = np.kron(digits.images / _WHITE, np.ones((1, _SCALE, _SCALE)))
    return [large[digits.target == label] for label in range(10)]

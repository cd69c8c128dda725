"""Clips in which only the order of the frames tells what happens: mirrored motions of digits."""

import math
from collections.abc import Iterator

import numpy as np

NAMES = ("right", "left", "anticlockwise", "clockwise", "growing", "shrinking")
SIDE, N_FRAMES = 64, 24
_DIGIT = 26  # pixels of a side


def clips(
    digits: np.ndarray, per_class: int, seed: int = 0, n_frames: int = N_FRAMES
) -> Iterator[tuple[int, np.ndarray]]:
    """Clips of a moving digit, each with its class.

    Of every pair of classes one is drawn as the other and played backwards, so single frames,
    and sets of frames, are alike in both. Digit, place, angle, size, speed are random.

    Args:
        digits: shape ``(n, side, side)``, 0 to 1, white on black.

    Yields:
        Place in :data:`NAMES`, and frames ``(n_frames, SIDE, SIDE)``, uint8.
    """
    random = np.random.default_rng(seed)
    for _ in range(per_class):
        for label in range(len(NAMES)):
            digit = digits[random.integers(len(digits))]
            frames = _rendered(digit, *_motion(label // 2, n_frames, random))
            yield label, frames[::-1] if label % 2 else frames


def handwritten() -> np.ndarray:
    """The 1,797 digits that come with scikit-learn, ``(n, 8, 8)``, 0 to 1."""
    from sklearn.datasets import load_digits

    return load_digits().images.astype(np.float32) / 16


def _motion(
    kind: int, n_frames: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, y (pixels from the middle), angle (radians) and size (1: as drawn) of each frame."""
    time = np.linspace(-0.5, 0.5, n_frames)
    still = np.zeros(n_frames)
    x, y = random.uniform(-4, 4, 2)
    angle, size = random.uniform(-0.25, 0.25), random.uniform(0.9, 1.1)
    if kind == 0:
        return x + time * random.uniform(20, 32), y + still, angle + still, size + still
    if kind == 1:
        start, turn = random.uniform(0, 2 * math.pi), random.uniform(0.4, 1.0) * 2 * math.pi
        return x + still, y + still, start + time * turn, size + still
    growth = np.log(random.uniform(1.7, 2.6))
    return x + still, y + still, angle + still, size * np.exp(time * growth)


def _rendered(
    digit: np.ndarray, x: np.ndarray, y: np.ndarray, angle: np.ndarray, size: np.ndarray
) -> np.ndarray:
    import torch
    from torch.nn import functional as F

    scale = SIDE / _DIGIT / size
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    across, down = 2 * x / SIDE, 2 * y / SIDE
    rows = [[cos, -sin, -(cos * across - sin * down)], [sin, cos, -(sin * across + cos * down)]]
    from_frame = torch.from_numpy(np.array(rows, np.float32).transpose(2, 0, 1))
    image = torch.from_numpy(digit.astype(np.float32)).expand(len(x), 1, *digit.shape)
    grid = F.affine_grid(from_frame, [len(x), 1, SIDE, SIDE], align_corners=False)
    drawn = F.grid_sample(image, grid, align_corners=False)
    return drawn[:, 0].mul(255).round().byte().numpy()


def small(frames: np.ndarray, side: int = 16) -> np.ndarray:
    """The mean of each square of pixels: vectors ``(n_frames, side**2)``, 0 to 255; ``SIDE`` is a
    multiple of ``side``."""
    step = SIDE // side
    squares = frames.reshape(len(frames), side, step, side, step)
    return squares.mean(axis=(2, 4)).reshape(len(frames), -1)

"""Whether two pictures show the same, by thumbnails: after a new encoding, another size, a change
of the brightness, or with a rim cut off.

Thumbnails are compared by what J. P. Lewis calls the normalised cross-correlation ("Fast
normalized cross-correlation", Industrial Light & Magic, 1995, equation 2), which knows neither
brightness nor contrast, but part by part: a correlation of the whole would take two moments in
front of a camera that stands still for the same.
"""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.core.progress import Progress, silent

SIDE = 32  # of a thumbnail, pixels
NUMBERS = SIDE * SIDE * 3 + 1
_ENOUGH = 4 * SIDE  # a file may be decoded at a scale that leaves so many pixels
_PARTS = 8  # along each side, that are compared one by one
_MOST = 0.5  # root mean square of the difference of one part, in standard deviations
_MOST_CUT = 0.45  # the same, of a picture and the part of another that it fits best
_PLAIN = 8.0  # standard deviation, of 255, below which differences count as if it were that
_UNLIKE = 0.5  # mean squared difference of all parts, above which no rim can be the reason
_LIGHT, _LEVELS = 0.35, 10.0  # of the mean of the brighter one, and of 255, that it may differ
_COLOUR = 30.0  # of 255, that mean colours may differ once they are equally bright
_FINE = 64  # side of thumbnails that are laid over each other, pixels
_CUT = range(62, 57, -1)  # how much of that is left: 97 to 91 % of the side
_BLOCK = 256  # pairs compared at a time


@dataclass(frozen=True)
class Thumbnails:
    """Small pictures of ``n`` items.

    Attributes:
        pixels: shape ``(n, 32, 32, 3)``, uint8.
        sides: shape ``(n,)``, the shorter side of each picture, pixels; what is longer than 128
            may be told too short, but not shorter than 128. 0: the picture is not known.
    """

    pixels: np.ndarray
    sides: np.ndarray

    @classmethod
    def none(cls, n: int) -> "Thumbnails":
        """Room for ``n`` of them."""
        return cls(np.zeros((n, SIDE, SIDE, 3), np.uint8), np.zeros(n, np.int64))

    def put(self, row: int, numbers: np.ndarray) -> None:
        """Takes what :func:`thumbnail` gave."""
        self.pixels[row] = numbers[:-1].reshape(SIDE, SIDE, 3)
        self.sides[row] = int(numbers[-1])


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """A picture ``(height, width, 3)``, uint8, squeezed to 32 x 32 pixels; shape ``(3073,)``,
    float32: 0 to 255, and the shorter side of the picture."""
    from PIL import Image

    small = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.append(np.asarray(small, np.float32).ravel(), np.float32(min(pixels.shape[:2])))


def enough(height: int, width: int) -> tuple[int, int]:
    """Height and width at which a picture of this size gives the same thumbnail."""
    return min(height, _ENOUGH), min(width, _ENOUGH)


def alike(
    pictures: Thumbnails, left: np.ndarray, right: np.ndarray, progress: Progress = silent
) -> np.ndarray:
    """Whether two pictures show the same, for each of ``m`` pairs.

    Of both the mean of each colour is subtracted, and the rest divided by its standard deviation.
    In none of 8 x 8 parts the root mean square of the difference may be above 0.5. Pictures of
    less than 64 or 24 pixels are compared at half or a quarter of the thumbnails' size: what they
    show in single pixels is lost by a new encoding. Where that fails, one is looked for as a part
    of the other that has 91 to 97 % of its sides, wherever it lies; then 0.45 is the bound.
    Besides, the brighter one may be brighter by 35 % and ten levels at most, and mean colours may
    differ by 30 levels.

    Chosen on half of the photographs of flowers: the greatest difference of a part is at most
    0.1 after a new encoding (JPEG, quality 50 to 85) or at half or double the size, 0.46 in 97 %
    of those that are 20 % brighter, which cuts off highlights, and 0.30 in 95 % of those cut by
    5 %; of the most alike of other pairs at least 0.67. Of 1,000 small pictures each, the most
    alike others differ by 0.84 (CIFAR-10) and 0.54 (digits).

    Args:
        pictures: of the items; one that is not known is like no other.
        left, right: rows, both of shape ``(m,)``.

    Returns:
        Shape ``(m,)``, bool.
    """
    found = np.zeros(len(left), bool)
    for start in range(0, len(left), _BLOCK):
        some = slice(start, start + _BLOCK)
        found[some] = _alike(pictures, left[some], right[some])
        done = min(start + _BLOCK, len(left))
        progress(done / len(left), f"comparing pictures, {done:,} of {len(left):,} pairs")
    return found


def _alike(pictures: Thumbnails, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    first, second = (pictures.pixels[rows].astype(np.float32) for rows in (left, right))
    shorter = np.minimum(pictures.sides[left], pictures.sides[right])
    possible = (shorter > 0) & _same_light(first, second)
    found = np.zeros(len(left), bool)
    for side, least, below in ((SIDE, 64, np.inf), (SIDE // 2, 24, 64), (SIDE // 4, 1, 24)):
        rows = np.flatnonzero(possible & (shorter >= least) & (shorter < below))
        parts = _differences(first[rows], second[rows], side)
        found[rows] = parts.max(axis=1, initial=0.0) <= _MOST**2
    rows = np.flatnonzero(possible & ~found)
    coarse = _differences(first[rows], second[rows], _PARTS).mean(axis=1)
    for row in rows[coarse <= _UNLIKE]:
        one, other = first[row], second[row]
        found[row] = _is_part(other, one) or _is_part(one, other)
    return found


def _differences(first: np.ndarray, second: np.ndarray, side: int) -> np.ndarray:
    """Mean squared difference of each of 64 parts of pictures ``(m, 32, 32, 3)`` that are averaged
    to ``side`` first; shape ``(m, 64)``."""
    apart = _normalised(_averaged(first, side)) - _normalised(_averaged(second, side))
    return _averaged(apart**2, _PARTS).mean(axis=-1).reshape(-1, _PARTS * _PARTS)


def _averaged(pictures: np.ndarray, side: int) -> np.ndarray:
    step = pictures.shape[1] // side
    return pictures.reshape(-1, side, step, side, step, 3).mean(axis=(2, 4))


def _normalised(pictures: np.ndarray) -> np.ndarray:
    rest = pictures - pictures.mean(axis=(1, 2), keepdims=True)
    deviations = np.sqrt((rest**2).mean(axis=(1, 2, 3), keepdims=True))
    return rest / np.maximum(deviations, _PLAIN)


def _same_light(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether brightness and mean colour of pictures ``(m, 32, 32, 3)`` are near, ``(m,)``."""
    colours = [pictures.mean(axis=(1, 2)) for pictures in (first, second)]
    lights = [colour.mean(axis=1) for colour in colours]
    brighter = np.maximum(*lights)
    scaled = [
        colour * (brighter / np.maximum(light, 1.0))[:, None]
        for colour, light in zip(colours, lights, strict=True)
    ]
    near = np.abs(lights[0] - lights[1]) <= _LIGHT * brighter + _LEVELS
    return near & (np.abs(scaled[0] - scaled[1]).max(axis=1) <= _COLOUR)


def _is_part(part: np.ndarray, whole: np.ndarray) -> bool:
    """Whether a picture ``(32, 32, 3)`` is another one with a rim cut off: laid over it in grey,
    in several sizes, where the correlation is highest."""
    import cv2

    fine = cv2.resize(whole, (_FINE, _FINE), interpolation=cv2.INTER_CUBIC)
    grey_whole, grey_part = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (fine, part))
    if min(grey_whole.std(), grey_part.std()) < 1.0:
        return False  # the correlation of a plain picture is not defined
    found = []
    for side in _CUT:
        scores = cv2.matchTemplate(grey_whole, _resized(grey_part, side), cv2.TM_CCOEFF_NORMED)
        _, best, _, (left, top) = cv2.minMaxLoc(scores)
        found.append((best, side, left, top))
    _, side, left, top = max(found)
    cut = _resized(fine[top : top + side, left : left + side], SIDE)
    return bool(_differences(cut[None], part[None], SIDE // 2).max() <= _MOST_CUT**2)


def _resized(picture: np.ndarray, side: int) -> np.ndarray:
    import cv2

    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)

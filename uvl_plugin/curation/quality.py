"""How good a picture is by itself: its brightness, its contrast, its sharpness."""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.core.settings import Settings, setting

BLANK, DARK, OVEREXPOSED, BLURRED = "blank", "dark", "overexposed", "blurred"
NUMBERS = 5
_SIDE = 256  # the longer side at which pictures are measured, pixels
_DECODED = 2 * _SIDE
_CELLS, _CELL = 8, 4  # cells along each side at most, and pixels along the side of one at least
_SHARPEST = 8  # one in so many cells counts
_PLAIN = 0.01  # standard deviation of a cell, below which only noise is left


@dataclass(frozen=True)
class Figures:
    """What was measured in ``n`` pictures; arrays of shape ``(n,)``.

    Attributes:
        brightness: the mean, 0 black to 1 white.
        contrast: between the darkest and the brightest hundredth of the pixels, 0 to 1.
        sharpness: of the sharpest parts: 0 for none; photographs have 0.5 to 3.
        darkest, brightest: what a hundredth of the pixels is darker or brighter than, 0 to 1.
    """

    brightness: np.ndarray
    contrast: np.ndarray
    sharpness: np.ndarray
    darkest: np.ndarray
    brightest: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> "Figures":
        """From what :func:`measured` gave, one picture a row."""
        return cls(*rows.T)


@dataclass(frozen=True, kw_only=True)
class Quality(Settings):
    """What makes a picture a poor one.

    The defaults were chosen on 200 photographs of flowers, of which a hundredth is below 0.58 in
    sharpness, 0.36 in contrast and 0.46 in the brightest hundredth. Blurred by a Gaussian of a
    hundredth of the longer side, all of them are below 0.18 in sharpness.
    """

    contrast: float = setting(
        0.04, ge=0, le=1, label="Least contrast",
        help="Blank: less lies between the darkest and the brightest hundredth of the pixels.",
    )  # fmt: skip
    dark: float = setting(
        0.25, ge=0, le=1, label="Dark",
        help="Dark: even the brightest hundredth of the pixels is darker.",
    )  # fmt: skip
    overexposed: float = setting(
        0.55, ge=0, le=1, label="Overexposed",
        help="Overexposed: even the darkest hundredth of the pixels is brighter.",
    )  # fmt: skip
    sharpness: float = setting(
        0.5, ge=0, label="Least sharpness",
        help="Blurred: even the sharpest parts of the picture are less sharp.",
    )  # fmt: skip

    def issues(self, figures: Figures) -> np.ndarray:
        """What is wrong with each picture, shape ``(n,)``, text; the worst, empty for nothing.
        Where hardly anything can be seen, nothing is said of what would be seen."""
        found = [
            (figures.contrast < self.contrast, BLANK),
            (figures.brightest < self.dark, DARK),
            (figures.darkest > self.overexposed, OVEREXPOSED),
            (figures.sharpness < self.sharpness, BLURRED),
        ]
        return np.select([which for which, _ in found], [name for _, name in found], "")


def enough(height: int, width: int) -> tuple[int, int]:
    """Height and width at which a picture of this size gives nearly the same figures."""
    share = min(1.0, _DECODED / max(height, width))
    return max(1, round(share * height)), max(1, round(share * width))


def measured(pixels: np.ndarray) -> np.ndarray:
    """Measures a picture ``(height, width, 3)``, uint8; shape ``(5,)``, float32, see
    :class:`Figures`.

    Larger pictures are reduced to 256 pixels along the longer side first, so that figures do not
    depend on the number of pixels, and blur counts as far as it shows at that size. Sharpness is
    the standard deviation of the Laplacian (its square is the measure of J. L. Pech-Pacheco et
    al., "Diatom autofocusing in brightfield microscopy: a comparative study", ICPR 2000, vol. 3,
    page 316), of each of at most 8 x 8 cells by itself, over the standard deviation of the grey
    values there, which takes out the contrast. The mean of that over the eighth of the cells where
    the Laplacian varies most counts: a plain or blurred background does not matter.
    """
    import cv2

    grey = _grey(pixels)
    laplacian = _cells(cv2.Laplacian(grey, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE)).std(axis=1)
    sharpest = np.argsort(-laplacian, kind="stable")[: max(1, len(laplacian) // _SHARPEST)]
    spread = np.maximum(_cells(grey)[sharpest].std(axis=1), _PLAIN)
    darkest, brightest = np.percentile(grey, (1, 99))
    sharpness = (laplacian[sharpest] / spread).mean()
    figures = (grey.mean(), brightest - darkest, sharpness, darkest, brightest)
    return np.array(figures, np.float32)


def _grey(pixels: np.ndarray) -> np.ndarray:
    """The luma, 0 to 1, at most 256 pixels wide and high."""
    import cv2

    height, width = pixels.shape[:2]
    share = _SIDE / max(height, width)
    if share < 1:
        size = max(1, round(share * width)), max(1, round(share * height))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0


def _cells(grey: np.ndarray) -> np.ndarray:
    """The values of each cell, one cell a row; what is left over at the edges is left out."""
    down, across = (min(_CELLS, max(1, length // _CELL)) for length in grey.shape)
    height, width = grey.shape[0] // down, grey.shape[1] // across
    cut = grey[: down * height, : across * width].reshape(down, height, across, width)
    return cut.swapaxes(1, 2).reshape(down * across, height * width)

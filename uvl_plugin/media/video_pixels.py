"""Decoded frames to upright RGB."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


def rgb(frame: "VideoFrame") -> np.ndarray:
    """Pixels of shape ``(height, width, 3)``, uint8, turned as the file says.

    Not for the same frame in two threads at once: converting it changes it for a moment.
    """
    from av.video.reformatter import VideoReformatter

    picture = VideoReformatter().reformat(frame, format="rgb24", threads=1)
    return _upright(picture.to_ndarray(), frame)


def _upright(pixels: np.ndarray, frame: "VideoFrame") -> np.ndarray:
    """Turns and mirrors pixels as the display matrix (a b u, c d v, x y w) of the file says:
    column a * x + c * y and row b * x + d * y is where column x and row y is shown (ISO/IEC
    14496-12, 6.2.2); by the nearest quarter of a turn."""
    stored = frame.side_data.get("DISPLAYMATRIX")
    if stored is None:
        return pixels
    matrix = np.frombuffer(stored, np.int32)  # type: ignore[call-overload]
    a, b, _, c, d = matrix[:5].tolist()
    if abs(b) > abs(a):
        pixels, across, down = pixels.swapaxes(0, 1), c, b
    else:
        across, down = a, d
    pixels = pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]
    return np.ascontiguousarray(pixels)

"""Image files to RGB, whatever they are: rotated by EXIF, grey, palette, CMYK, 16-bit."""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from uvl_plugin.core.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

_DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")


def read_image(path: str) -> "Image":
    """Reads one image file as upright 8-bit RGB.

    EXIF orientation is applied; transparent parts become white; grey values of more than 8
    bits keep their order (16-bit files are divided by 257, others stretched from their least
    to their greatest value); of an animation the first frame counts.

    Args:
        path: a file that Pillow can read.

    Raises:
        DataError: if the file is missing, empty, truncated, too large or no image; the
            message is the reason, without the path.
    """
    from PIL import ImageOps

    with _opened(path) as image:
        return _rgb(ImageOps.exif_transpose(image))


def image_size(path: str) -> tuple[int, int]:
    """Width and height as stored, without decoding; raises as :func:`read_image` does."""
    with _opened(path) as image:
        return image.size


@contextlib.contextmanager
def _opened(path: str) -> "Iterator[Image]":
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError as error:
        raise DataError("file not found") from error
    except UnidentifiedImageError as error:
        reason = "empty file" if os.path.getsize(path) == 0 else "not an image that can be read"
        raise DataError(reason) from error
    except Image.DecompressionBombError as error:
        raise DataError(f"too many pixels: {error}") from error
    except Exception as error:  # Pillow's decoders raise almost anything on damaged files
        text = getattr(error, "strerror", None) or str(error)  # strerror: without the path
        raise DataError(f"{type(error).__name__}: {text}") from error


def _rgb(image: "Image") -> "Image":
    from PIL import Image

    if image.mode in _DEEP_MODES:
        return _eight_bit(image).convert("RGB")
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _eight_bit(image: "Image") -> "Image":
    """Grey of more than 8 bits to 8: a plain conversion would clip nearly all of it to white."""
    import numpy as np
    from PIL import Image

    values = np.asarray(image, dtype=np.float64)
    finite = values[np.isfinite(values)]
    low, high = finite.min(initial=np.inf), finite.max(initial=-np.inf)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    if image.mode != "F" and low >= 0 and high <= 65535:
        values = values / 257.0
    elif high > low:
        values = (values - low) * (255.0 / (high - low))
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))

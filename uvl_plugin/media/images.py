"""Image files to RGB, whatever they are: rotated by EXIF, grey, palette, CMYK, 16-bit."""

import contextlib
import io
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.core.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

_DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
_START_OF_JPEG = b"\xff\xd8"
_ORIENTATION = 0x0112  # EXIF tag
_END_OF_JPEG = b"\xff\xd9"

Enough = Callable[[int, int], tuple[int, int]]


def read_image(path: str, enough: Enough | None = None) -> np.ndarray:
    """Reads one image file as upright 8-bit RGB.

    EXIF orientation is applied; transparent parts become white; grey values of more than 8
    bits keep their order (16-bit files are divided by 257, others stretched from their least
    to their greatest value); of an animation the first frame counts.

    Args:
        path: a file that Pillow can read.
        enough: from the height and width of the file to the height and width that are wanted:
            a JPEG file is decoded at the smallest scale that still gives them, which is faster.

    Returns:
        Pixels of shape ``(height, width, 3)``, uint8.

    Raises:
        DataError: if the file is missing, empty, truncated, too large or no image; the
            message is the reason, without the path.
    """
    with _opened(path) as (image, jpeg):
        if jpeg is not None and image.mode in ("RGB", "L"):
            pixels = _decoded(jpeg, image, enough)
            if pixels is not None:
                return pixels
        return _pixels(image)


@dataclass(frozen=True)
class JpegFile:
    """A JPEG file that is not decoded yet.

    Attributes:
        path: where it is.
        data: what is in it.
        orientation: EXIF's number, see :func:`upright`.
    """

    path: str
    data: bytes
    orientation: int


def read_jpeg(path: str) -> JpegFile | np.ndarray:
    """Reads a JPEG file without decoding it, if it is complete and grey or in colour; anything
    else as :func:`read_image` does, which also raises as it does."""
    with _opened(path) as (image, jpeg):
        if jpeg is not None and image.mode in ("RGB", "L") and _is_complete(jpeg):
            return JpegFile(path, jpeg, image.getexif().get(_ORIENTATION, 1))
    return read_image(path)


def _is_complete(jpeg: bytes) -> bool:
    return jpeg.rstrip(b"\x00").endswith(_END_OF_JPEG)


def upright(pixels: Any, orientation: int) -> Any:
    """Turns and mirrors pixels ``(height, width, 3)``, of NumPy or torch, as EXIF's number of
    the orientation (CIPA DC-008, tag 0x0112) says."""
    flipped = {2: (1,), 3: (0, 1), 4: (0,), 6: (0,), 7: (0, 1), 8: (1,)}.get(orientation, ())
    if flipped:
        pixels = pixels.flip(flipped) if hasattr(pixels, "is_cuda") else np.flip(pixels, flipped)
    return pixels.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else pixels


def image_size(path: str) -> tuple[int, int]:
    """Width and height as stored, without decoding; raises as :func:`read_image` does."""
    with _opened(path) as (image, _):
        return image.size


@contextlib.contextmanager
def _opened(path: str) -> "Iterator[tuple[Image, bytes | None]]":
    """The image, not decoded yet, and the bytes of the file where it is a JPEG file."""
    from PIL import Image, UnidentifiedImageError

    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise DataError("not a regular file")  # reading a pipe would wait for ever
        with open(path, "rb", buffering=0) as file:  # copies nothing
            is_jpeg = file.read(len(_START_OF_JPEG)) == _START_OF_JPEG
            file.seek(0)
            jpeg = file.read() if is_jpeg else None
        with Image.open(path if jpeg is None else io.BytesIO(jpeg)) as image:
            yield image, jpeg
    except DataError:
        raise
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


def _decoded(jpeg: bytes, image: "Image", enough: Enough | None) -> np.ndarray | None:
    """Pixels as libjpeg-turbo gives them, the same as Pillow's and sooner; None where it finds
    the least fault, so that Pillow judges the file."""
    import simplejpeg

    height, width = enough(image.height, image.width) if enough else (0, 0)
    try:
        pixels = simplejpeg.decode_jpeg(
            jpeg, min_height=height, min_width=width, fastdct=False, fastupsample=False
        )
    except ValueError:
        return None
    return upright(pixels, image.getexif().get(_ORIENTATION, 1))


def _pixels(image: "Image") -> np.ndarray:
    from PIL import ImageOps

    return np.array(_rgb(ImageOps.exif_transpose(image)))


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

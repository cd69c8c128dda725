"""JPEG files of known size, made from the real images of the data folder."""

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def real_data() -> Path:
    """The folder of real images and weights, as the tests find it."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("UVL_TEST_DATA") or beside)
    if not (folder / "images").is_dir():
        raise SystemExit(f"No real images in '{folder}'; set UVL_TEST_DATA to their folder.")
    return folder


def flowers() -> list[str]:
    """Files of the flowers, as they are: 240 to 500 pixels."""
    return sorted(map(str, (real_data() / "images" / "flowers5").glob("*/*.jpg")))


def small_photos(folder: Path, n: int) -> list[str]:
    """``n`` different files of 640x480 pixels: flowers, and when they run out, mirrored and in
    other cuts."""
    from PIL import Image, ImageOps

    originals, paths = flowers(), []
    for number in range(n):
        path = folder / f"small_{number:05}.jpg"
        again, which = divmod(number, len(originals))
        if not path.exists():
            with Image.open(originals[which]) as image:
                picture = ImageOps.mirror(image) if again % 2 else image
                cut = ImageOps.fit(picture.convert("RGB"), (640, 480), bleed=0.02 * again)
                cut.save(path, quality=90)
        paths.append(str(path))
    return paths


def large_photos(folder: Path, n: int) -> list[str]:
    """``n`` different files of 4000x3000 pixels: cuts of 3000x2250 from the drone's photos."""
    paths = []
    for number, cut in enumerate(_cuts(n, width=3000, height=2250, across=-(-n // 4), down=1)):
        path = folder / f"large_{number:05}.jpg"
        if not path.exists():
            cut.resize((4000, 3000)).save(path, quality=90)
        paths.append(str(path))
    return paths


def medium_photos(folder: Path, n: int) -> list[str]:
    """``n`` cuts of 1600x1200 pixels, not resized, from the drone's photos; they overlap."""
    paths = []
    for number, cut in enumerate(_cuts(n, width=1600, height=1200, across=-(-n // 20), down=5)):
        path = folder / f"medium_{number:05}.jpg"
        cut.save(path, quality=92)
        paths.append(str(path))
    return paths


def _cuts(n: int, *, width: int, height: int, across: int, down: int) -> "Iterator[Image]":
    """The first ``n`` cuts of a grid over each photo."""
    from PIL import Image

    for path in sorted((real_data() / "images_unlabelled" / "hires_drone").glob("*.JPG")):
        with Image.open(path) as photo:
            for row, column in product(range(down), range(across)):
                if n == 0:
                    return
                left = (photo.width - width) * column // max(1, across - 1)
                top = (photo.height - height) * row // max(1, down - 1)
                yield photo.crop((left, top, left + width, top + height))
                n -= 1

"""Files that are no picture: every way in which the files of real folders are broken."""

import gzip
import io
import json
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image


def picture(kind: str, **options) -> bytes:
    """A good file of 60 x 80 noisy pixels."""
    pixels = np.random.default_rng(7).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def cut(kind: str, share: float, **options) -> bytes:
    whole = picture(kind, **options)
    return whole[: int(len(whole) * share)]


def without_segments(marker: int) -> bytes:
    """A JPEG file that lacks its tables of one kind."""
    data, kept, place = picture("JPEG"), bytearray(b"\xff\xd8"), 2
    while data[place + 1] != 0xDA:  # start of scan
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if data[place + 1] != marker:
            kept += data[place:end]
        place = end
    return bytes(kept + data[place:])


def jpeg_of_size(height: int, width: int) -> bytes:
    """A JPEG file whose header tells another size."""
    data = bytearray(picture("JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def png_chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


def png(width: int, height: int, pixels: bytes | None) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = b"" if pixels is None else png_chunk(b"IDAT", pixels)
    return b"\x89PNG\r\n\x1a\n" + header + body + png_chunk(b"IEND", b"")


def zip_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("photo.jpg", picture("JPEG"))
    return buffer.getvalue()


def array_file() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((8, 8, 3), np.uint8))
    return buffer.getvalue()


CONTENTS: dict[str, bytes] = {
    "empty.jpg": b"",
    "one byte.jpg": b"\xff",
    "zeros.jpg": bytes(5000),
    "noise.jpg": np.random.default_rng(1).bytes(5000),
    "text.jpg": b"not a picture\n",
    "error page.jpg": b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>",
    "answer.jpg": json.dumps({"error": "quota exceeded"}).encode(),
    "drawing.jpg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>',
    "document.jpg": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< >>\nendobj\n",
    "pointer.png": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "archive.jpg": zip_archive(),
    "packed.png": gzip.compress(picture("PNG")),
    "array.png": array_file(),
    "film.jpg": b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41" + bytes(300),
    "encoded.jpg": picture("JPEG").hex().encode(),
    "late start.jpg": bytes(16) + picture("JPEG"),
    "only a start.jpg": b"\xff\xd8",
    "start and end.jpg": b"\xff\xd8\xff\xd9",
    "header only.jpg": picture("JPEG")[:160],
    "half.jpg": cut("JPEG", 0.5),
    "most.jpg": cut("JPEG", 0.9),
    "half progressive.jpg": cut("JPEG", 0.5, progressive=True),
    "no size.jpg": jpeg_of_size(0, 0),
    "bomb.jpg": jpeg_of_size(65000, 65000),
    "no quantisation tables.jpg": without_segments(0xDB),
    "no frame.jpg": without_segments(0xC0),
    "signature only.png": picture("PNG")[:8],
    "header only.png": picture("PNG")[:33],
    "half.png": cut("PNG", 0.5),
    "no width.png": png(0, 60, zlib.compress(bytes(60))),
    "no pixels.png": png(80, 60, None),
    "bomb.png": png(60000, 60000, zlib.compress(bytes(100))),
    "broken stream.png": png(80, 60, b"\x78\x9c" + bytes(500)),
    "short stream.png": png(80, 60, zlib.compress(bytes(1000))),
    "header only.gif": picture("GIF")[:13],
    "half.gif": cut("GIF", 0.5),
    "header only.webp": picture("WEBP")[:12],
    "half.webp": cut("WEBP", 0.5),
    "half.tiff": cut("TIFF", 0.5),
    "no directory.tiff": b"II*\x00\xff\xff\xff\x7f" + bytes(200),
    "half.bmp": cut("BMP", 0.5),
    "header only.bmp": picture("BMP")[:30],
    "half.jp2": cut("JPEG2000", 0.5)[:300],
    "half.ico": cut("ICO", 0.5, sizes=[(32, 32)]),
    "half.ppm": cut("PPM", 0.5),
}


def _socket(path: Path) -> None:
    short = os.open(path.parent, os.O_RDONLY)  # the path of a socket may not be long
    server = socket.socket(socket.AF_UNIX)
    try:
        server.bind(f"/proc/self/fd/{short}/{path.name}")
    finally:
        server.close()
        os.close(short)


SPECIAL: dict[str, Callable[[Path], object]] = {
    "missing.jpg": lambda path: None,
    "folder.jpg": lambda path: path.mkdir(),
    "pipe.jpg": lambda path: os.mkfifo(path),
    "socket.jpg": _socket,
    "dangling.jpg": lambda path: path.symlink_to(path.parent / "nowhere.jpg"),
    "loop.jpg": lambda path: path.symlink_to(path),
    "device.jpg": lambda path: path.symlink_to("/dev/zero"),
    f"{'long' * 100}.jpg": lambda path: None,
}


def write_bad_files(folder: Path) -> list[str]:
    """Writes one file of every kind; returns their paths."""
    paths = []
    for name, content in CONTENTS.items():
        paths.append(str(folder / name))
        Path(paths[-1]).write_bytes(content)
    for name, make in SPECIAL.items():
        paths.append(str(folder / name))
        make(Path(paths[-1]))
    return paths

"""Small pictures of a few items, for a panel: a crop of an object, a frame of a video."""

import base64
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId

from uvl_plugin.adapter.clusterings import items_of, record_of
from uvl_plugin.adapter.documents import documents, value_at
from uvl_plugin.adapter.images import Videos
from uvl_plugin.adapter.parts import Clips, Patches
from uvl_plugin.adapter.target import Target
from uvl_plugin.core.errors import DataError
from uvl_plugin.media.images import read_image
from uvl_plugin.media.sources import Reader, Source
from uvl_plugin.media.video import Video, frames_of

_QUALITY = 80
_KEPT = 4096  # thumbnails, about 12 MB at 96 pixels
_TRIED = 25  # frames of a video, until one can be decoded


class _Recent:
    """The thumbnails that were asked for last."""

    def __init__(self, most: int):
        self._most = most
        self._found: OrderedDict[tuple, str] = OrderedDict()
        self._lock = threading.Lock()  # operators run in threads

    def get(self, key: tuple) -> str | None:
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)

    def add(self, key: tuple, url: str) -> None:
        with self._lock:
            self._found[key] = url
            while len(self._found) > self._most:
                self._found.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._found.clear()


_recent = _Recent(_KEPT)


@dataclass(frozen=True)
class _FirstPicture:
    """The first frame of a stretch of a video that can be decoded.

    Attributes:
        path: the file.
        key: id of the item.
        numbers: of the frames.
        rate: frames per second by which they are numbered; None: what the file says.
    """

    path: str
    key: str
    numbers: Sequence[int]
    rate: float | None

    @property
    def keys(self) -> Sequence[str]:
        return (self.key,)

    def read(self, reader: Reader) -> Iterator[tuple[str, Any]]:
        reason: Any = DataError("no picture in it can be decoded")
        with closing(
            frames_of(Video("", self.path, rate=self.rate, numbers=self.numbers))
        ) as found:
            for source in found:
                try:
                    yield self.key, next(iter(source.read(reader)))[1]
                    return
                except DataError as error:
                    reason = error
        raise reason


def thumbnails(
    dataset: fo.Dataset, run_key: str, ids: Sequence[str], *, side: int = 96
) -> dict[str, str]:
    """Small pictures of items of a run, as ``data:`` URLs of JPEG files.

    Objects are cropped, frames decoded; a whole video shows its first picture, a clip one from
    its middle. The last 4,096 are remembered, and are not read again when a file changes.

    Args:
        dataset: that was clustered.
        run_key: of the clustering.
        ids: of the items.
        side: most pixels in width and in height.

    Returns:
        A URL by id; items that cannot be read are left out.

    Raises:
        DataError: if there is no such run, or it is no clustering.
    """
    urls: dict[str, str] = {}
    missing = []
    for key in ids:
        url = _recent.get((dataset._doc.id, key, side))
        if url is None:
            missing.append(key)
        else:
            urls[key] = url
    if missing:
        items = items_of(dataset, run_key, record_of(dataset, run_key))
        for source in _sources(items, missing):
            for key, pixels in _read(source, side):
                urls[key] = jpeg_url(pixels, side)
                _recent.add((dataset._doc.id, key, side), urls[key])
    return urls


def forget() -> None:
    """Forgets all thumbnails, so that files are read anew."""
    _recent.clear()


def _sources(items: Target, ids: list[str]) -> Iterator[Source]:
    if isinstance(items, Videos):
        for document in documents(items.collection, ids, ["filepath", "metadata.frame_rate"]):
            rate = value_at(document, "metadata.frame_rate")
            numbers = range(1, 1 + _TRIED)
            yield _FirstPicture(document["filepath"], str(document["_id"]), numbers, rate)
    elif isinstance(items, Patches):
        few = _in_few_samples(items, ids)
        wanted = set(ids)
        known = [key for key in few.ids() if key in wanted]
        yield from _of_clips(few, known) if isinstance(few, Clips) else few.sources(known)
    else:
        yield from items.sources(ids)


def _in_few_samples(items: Patches, ids: list[str]) -> Patches:
    """The same kind of items, in the samples of some of them: it need not look at all of them."""
    labels = items.path.removesuffix(f".{items.field}")
    chosen = {f"{labels}._id": {"$in": [ObjectId(key) for key in ids]}}
    view = items.dataset.match(chosen)
    return type(items)(view, items.field, items.patches_field, items.margin)


def _of_clips(items: Clips, ids: list[str]) -> Iterator[Source]:
    wanted = set(ids)
    spans = {key: (video, span) for video, key, span in items.supports() if key in wanted}
    videos = list(dict.fromkeys(video for video, _ in spans.values()))
    found = documents(items.collection, videos, ["filepath", "metadata.frame_rate"])
    known = {str(document["_id"]): document for document in found}
    for key, (video, (first, last)) in spans.items():
        middle = (first + last) // 2
        numbers = range(middle, min(last + 1, middle + _TRIED))
        rate = value_at(known[video], "metadata.frame_rate")
        yield _FirstPicture(known[video]["filepath"], key, numbers, rate)


def _read(source: Source, side: int) -> Iterator[tuple[str, np.ndarray]]:
    """The pictures of a source, those that can be read."""
    try:
        for key, pixels in source.read(lambda path: read_image(path, _enough(side))):
            if isinstance(pixels, np.ndarray):
                yield key, pixels
    except DataError:
        return


def _enough(side: int) -> Any:
    def enough(height: int, width: int) -> tuple[int, int]:
        scale = min(1.0, side / max(height, width))
        return round(height * scale), round(width * scale)

    return enough


def jpeg_url(pixels: np.ndarray, side: int) -> str:
    """Pixels ``(height, width, 3)``, uint8, as the ``data:`` URL of a JPEG file of at most ``side``
    pixels in width and in height."""
    from PIL import Image

    image, file = Image.fromarray(pixels), BytesIO()
    image.thumbnail((side, side))
    image.save(file, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()

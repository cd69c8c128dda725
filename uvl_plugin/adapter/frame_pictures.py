"""Pictures of the few frames that are looked at.

Everything but looking at frames works without pictures of them. The App needs one for each tile
of a view of frames: where frames have none, ``to_frames(sample_frames="dynamic")`` gives each of
them the file of its video, and the App shows the first frame of it in every tile.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

import fiftyone as fo
import numpy as np
from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter.documents import documents
from uvl_plugin.adapter.fields import add_field, delete_field
from uvl_plugin.adapter.frames import FRAMES, Frames
from uvl_plugin.adapter.pictures import read
from uvl_plugin.adapter.vectors import reload_samples, write_values
from uvl_plugin.core.progress import Progress, silent
from uvl_plugin.core.whole_file import write_whole

FOLDER = "UVL_FRAMES"  # the environment variable that names the folder of all pictures
MOST = 1000  # pictures of one view, about 30 MB
_DEFAULT_FOLDER = "~/.uvl/frames"
_FIELD = "filepath"  # in which FiftyOne looks for the picture of a frame
_WIDTH = 512  # pixels at most
_QUALITY = 85
_PAGE = 64  # pictures that are written to the database at once


@dataclass(frozen=True)
class Pictures:
    """Frames that have a picture.

    Attributes:
        ids: of the frames.
        n_written: pictures that were not there before.
        failures: reason by the id of each frame that has none.
    """

    ids: list[str]
    n_written: int
    failures: dict[str, str]


@dataclass(frozen=True)
class Pictured:
    """Frames as the App can show them.

    Attributes:
        view: of those that have a picture, in their order.
        pictures: which those are.
        n_left: frames that were left out, since they were more than allowed.
    """

    view: SampleCollection
    pictures: Pictures
    n_left: int

    def __str__(self) -> str:
        pictures = self.pictures
        said = f"{len(pictures.ids):,} frames are shown; {pictures.n_written:,} pictures are new."
        if self.n_left:
            said += f" {self.n_left:,} more are left out."
        if pictures.failures:
            reasons = "; ".join(sorted(set(pictures.failures.values())))
            said += f" {len(pictures.failures):,} have no picture ({reasons})."
        return said


def pictures_folder() -> Path:
    """Where all pictures are: the folder that ``UVL_FRAMES`` names, else ``~/.uvl/frames``."""
    return Path(os.environ.get(FOLDER) or _DEFAULT_FOLDER).expanduser().resolve()


def pictured(
    dataset: fo.Dataset, ids: Sequence[str], *, most: int = MOST, progress: Progress = silent
) -> Pictured:
    """A view of some frames in which each has a picture of its own, see :func:`make_pictures`.

    Args:
        dataset: of videos.
        ids: of the frames, each once.
        most: frames that are shown, the first of them.
    """
    made = make_pictures(dataset, ids[:most], progress=progress)
    view = dataset.select_frames(made.ids).to_frames(sample_frames=False)
    return Pictured(view.select(made.ids, ordered=True), made, len(ids) - len(ids[:most]))


def make_pictures(
    dataset: fo.Dataset, ids: Sequence[str], *, progress: Progress = silent
) -> Pictures:
    """Gives frames a picture, for FiftyOne to show.

    A frame without ``frames.filepath`` gets one: a JPEG file of at most 512 pixels in width, in
    the folder of the dataset, which is named by its id, in :func:`pictures_folder`. It is used
    again the next time.

    Args:
        dataset: of videos.
        ids: of the frames, each once.
    """
    there, failures = _there(dataset, ids), dict[str, str]()
    missing = [key for key in ids if key not in there]
    written = _write(dataset, missing, failures, progress)
    known = [key for key in ids if key in there or key in written]
    return Pictures(known, len(written), failures)


def delete_pictures(dataset: fo.Dataset) -> int:
    """Deletes the pictures that :func:`pictured` made of a dataset; returns how many."""
    path = f"{FRAMES}{_FIELD}"
    folder = _folder(dataset)
    frames, n_deleted = dataset._frame_collection, 0
    if dataset.get_field(path) is not None:
        own = [key for key, file in _files(dataset) if folder in Path(file).parents]
        for start in range(0, len(own), _PAGE):
            page = own[start : start + _PAGE]
            chosen = {"_id": {"$in": [ObjectId(key) for key in page]}}
            n_deleted += frames.update_many(chosen, {"$unset": {_FIELD: ""}}).modified_count
            reload_samples(dataset, Frames(dataset, _FIELD).sample_ids(page))
        if own and next(_files(dataset), None) is None:
            delete_field(dataset, path)
    shutil.rmtree(folder, ignore_errors=True)
    return n_deleted


def _folder(dataset: fo.Dataset) -> Path:
    return pictures_folder() / str(dataset._doc.id)


def _files(dataset: fo.Dataset) -> Iterator[tuple[str, str]]:
    having = {_FIELD: {"$type": "string"}}
    for document in dataset._frame_collection.find(having, {_FIELD: 1}):
        yield str(document["_id"]), document[_FIELD]


def _there(dataset: fo.Dataset, ids: Sequence[str]) -> set[str]:
    """The frames that have a picture; one of ours may have been deleted."""
    folder = pictures_folder()
    return {
        key
        for key, file in Frames(dataset, _FIELD).stored(ids)
        if folder not in Path(file).parents or Path(file).is_file()
    }


def _write(
    dataset: fo.Dataset, ids: Sequence[str], failures: dict[str, str], progress: Progress
) -> set[str]:
    """Writes pictures of frames; returns those that have one now."""
    if not ids:
        return set()
    if dataset.get_field(f"{FRAMES}{_FIELD}") is None:
        add_field(dataset, f"{FRAMES}{_FIELD}", fo.StringField)
    frames, written = Frames(dataset, _FIELD), set[str]()
    files = _paths(dataset, ids)
    left = read(frames, ids, failures)
    while some := dict(islice(_saved(left, files), _PAGE)):
        write_values(frames, some)
        written |= some.keys()
        done = len(written) + len(failures)
        progress(done / len(ids), f"pictures of frames, {done:,} of {len(ids):,}")
    return written


def _paths(dataset: fo.Dataset, ids: Sequence[str]) -> dict[str, Path]:
    """Where the picture of each frame goes: named by video and number."""
    found = documents(dataset._frame_collection, ids, ["_sample_id", "frame_number"])
    folder = _folder(dataset)
    return {
        str(one["_id"]): folder / str(one["_sample_id"]) / f"{one['frame_number']:07d}.jpg"
        for one in found
    }


def _saved(
    pictures: Iterator[tuple[str, np.ndarray]], files: dict[str, Path]
) -> Iterator[tuple[str, str]]:
    for key, pixels in pictures:
        files[key].parent.mkdir(parents=True, exist_ok=True)
        write_whole(files[key], _jpeg(pixels))
        yield key, str(files[key])


def _jpeg(pixels: np.ndarray) -> bytes:
    """A picture ``(height, width, 3)``, uint8, as a file, smaller where it is wide."""
    from PIL import Image

    image, file = Image.fromarray(pixels), BytesIO()
    if image.width > _WIDTH:
        height = max(1, round(image.height * _WIDTH / image.width))
        image = image.resize((_WIDTH, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
    image.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()

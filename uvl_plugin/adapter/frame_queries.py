"""Frames that are like a frame or a text, by a similarity index of frames."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import fiftyone as fo
from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter.backend_config import BACKEND
from uvl_plugin.adapter.documents import documents, value_at
from uvl_plugin.adapter.frames import FRAMES, NumberedFrames
from uvl_plugin.adapter.parts import clip_fields
from uvl_plugin.adapter.similarity_faiss import FaissSimilarityIndex
from uvl_plugin.core.errors import DataError
from uvl_plugin.media.video import video_info

_MORE = 4  # times as many are looked for, where many are too close in time


class SimilarFrame(NamedTuple):
    """A frame that was found.

    Attributes:
        number: of the frame, 1 for the first of its video.
        distance: in the metric of the index; 0 is equal.
    """

    frame_id: str
    video_id: str
    number: int
    distance: float


def frame_indexes(dataset: fo.Dataset) -> list[str]:
    """Keys of the similarity indexes of frames that this package made, the newest last."""
    found = []
    for key in dataset.list_brain_runs():
        config = dataset.get_brain_info(key).config
        field = getattr(config, "embeddings_field", None) or ""
        if getattr(config, "method", None) == BACKEND and field.startswith(FRAMES):
            found.append(key)
    return found


def check_text(dataset: fo.Dataset, brain_key: str) -> None:
    """Raises :class:`DataError` unless an index can be searched by text."""
    if not getattr(dataset.get_brain_info(brain_key).config, "supports_prompts", False):
        raise DataError(
            f"The index '{brain_key}' cannot be searched by text: the backbone of its vectors has "
            "no text tower. Embed with one that has, such as uvl.OpenCLIP().",
            "query",
        )


def index_key(dataset: fo.Dataset, brain_key: str | None) -> str:
    """The key of an index of frames; of the newest where none is given.

    Raises:
        DataError: if there is none.
    """
    known = frame_indexes(dataset)
    if not known:
        raise DataError(
            f"'{dataset.name}' has no similarity index of frames; make one with "
            'uvl.index(dataset, embeddings="frames.embedding", brain_key="frames"), or with the '
            "operator 'Index similarity'.",
            "brain_key",
        )
    key = brain_key or known[-1]
    if key not in known:
        raise DataError(
            f"'{key}' is no similarity index of frames. Those there are: {', '.join(known)}.",
            "brain_key",
        )
    return key


def open_index(dataset: fo.Dataset, brain_key: str | None) -> FaissSimilarityIndex:
    """The index that :func:`index_key` names."""
    index: FaissSimilarityIndex = dataset.load_brain_results(index_key(dataset, brain_key))
    return index


def frames_among(dataset: fo.Dataset, ids: Sequence[str]) -> list[str]:
    """Those ids that are of frames, as in a view of frames; others are of videos, or no ids."""
    possible = [key for key in ids if ObjectId.is_valid(key)]
    return [str(one["_id"]) for one in documents(dataset._frame_collection, possible, ["_id"])]


def places_of(dataset: fo.Dataset, ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Video and number of each frame."""
    found = documents(dataset._frame_collection, ids, ["_sample_id", "frame_number"])
    return {str(one["_id"]): (str(one["_sample_id"]), one["frame_number"]) for one in found}


def file_of(dataset: fo.Dataset, video: str) -> str:
    """The file of a video.

    Raises:
        DataError: if there is no such video.
    """
    wanted = [video] if ObjectId.is_valid(video) else []
    for document in documents(dataset._sample_collection, wanted, ["filepath"]):
        return str(document["filepath"])
    raise DataError(f"There is no video '{video}' in '{dataset.name}'.", "query")


def frame_near(dataset: fo.Dataset, field: str, video: str, number: int) -> str:
    """Id of the frame of a video that has a vector and is nearest to a number.

    Args:
        field: of the vectors, ``"frames.embedding"``.

    Raises:
        DataError: if there is no such video, or none of its frames has a vector.
    """
    file = file_of(dataset, video)
    numbers = NumberedFrames(dataset, field.removeprefix(FRAMES)).numbers(video)
    if not numbers:
        raise DataError(
            f"No frame of '{file}' has a vector in '{field}'; embed its frames first.", "query"
        )
    nearest = min(numbers, key=lambda one: (abs(one - number), one))
    wanted = {"_sample_id": ObjectId(video), "frame_number": nearest}
    return str(dataset._frame_collection.find_one(wanted, {"_id": 1})["_id"])


def exemplar_number(dataset: fo.Dataset, video: str) -> int:
    """The number of the frame that stands for the first segment of a video; 1 where there are no
    segments."""
    paths = [f"{field}.detections" for field in clip_fields(dataset)]
    for document in documents(dataset._sample_collection, [video], paths):
        for path in paths:
            segments = value_at(document, path) or ()
            if segments and segments[0].get("exemplar"):
                return int(segments[0]["exemplar"])
    return 1


def nearest_frames(
    index: FaissSimilarityIndex,
    query: Any,
    k: int,
    gap: float,
    view: SampleCollection | None = None,
) -> list[SimilarFrame]:
    """The frames nearest to a query, nearest first.

    Args:
        query: ids of frames of the index, of which the mean counts, or a text.
        gap: seconds that frames of one video are apart at least: of closer ones only the nearest
            is given.
        view: only these frames; None: all.

    Raises:
        DataError: if the index cannot be asked that.
    """
    if view is not None:
        with index.use_view(view, warn_missing=False):
            return nearest_frames(index, query, k, gap)
    query = index._parse_query(query)
    dataset = index.samples._root_dataset
    rates: dict[str, float] = {}
    wanted = k if gap <= 0 else _MORE * k
    while True:
        ids, _, distances = index._kneighbors(query, wanted, False, "mean", True)
        places = places_of(dataset, ids)
        found = [
            SimilarFrame(key, *places[key], distance)
            for key, distance in zip(ids, distances, strict=True)
            if key in places  # others were deleted since
        ]
        kept = _apart(dataset, found, k, gap, rates) if gap > 0 else found[:k]
        if len(kept) >= k or len(ids) < wanted:
            return kept
        wanted *= _MORE


def _apart(
    dataset: fo.Dataset, found: Sequence[SimilarFrame], k: int, gap: float, rates: dict[str, float]
) -> list[SimilarFrame]:
    """The first ``k`` of which no two of one video are less than ``gap`` seconds apart."""
    new = {one.video_id for one in found} - rates.keys()
    rates |= _rates(dataset, sorted(new))
    kept: list[SimilarFrame] = []
    numbers: dict[str, list[int]] = {}
    for one in found:
        least = gap * rates[one.video_id] - 1e-6  # in frames; rates are rounded
        others = numbers.setdefault(one.video_id, [])
        if all(abs(one.number - other) >= least for other in others):
            others.append(one.number)
            kept.append(one)
        if len(kept) == k:
            break
    return kept


def _rates(dataset: fo.Dataset, videos: Sequence[str]) -> Mapping[str, float]:
    """Frames per second of videos, where FiftyOne does not know them of the file; infinite where
    neither tells."""
    rates = {}
    fields = ["filepath", "metadata.frame_rate"]
    for document in documents(dataset._sample_collection, videos, fields):
        rate = value_at(document, "metadata.frame_rate")
        try:
            rate = rate or video_info(document["filepath"]).rate
        except DataError:
            rate = float("inf")  # one frame of it is enough
        rates[str(document["_id"])] = rate
    return rates

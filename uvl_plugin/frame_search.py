"""Frames of videos that are like a frame or a text, and how to look at them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uvl_plugin.adapter import frame_pictures, frame_queries
from uvl_plugin.adapter.frame_queries import SimilarFrame
from uvl_plugin.adapter.samples import dataset_of
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.progress import Progress, shown

if TYPE_CHECKING:
    from uvl_plugin.adapter.frame_pictures import Pictured
    from uvl_plugin.adapter.samples import SampleCollection

Query = str | Sequence[str] | tuple[str, int]
"""A text, the id of a frame or several, or the id of a video and the number of a frame in it."""


@dataclass(frozen=True)
class FrameSearchResult:
    """What :func:`similar_frames` found.

    Attributes:
        brain_key: of the index.
        query: what was asked, in words.
        frames: nearest first.
    """

    brain_key: str
    query: str
    frames: list[SimilarFrame]

    @property
    def ids(self) -> list[str]:
        """Ids of the frames, nearest first."""
        return [one.frame_id for one in self.frames]

    def __str__(self) -> str:
        n_videos = len({one.video_id for one in self.frames})
        said = f"{len(self.frames):,} frames of {n_videos:,} videos, those most like {self.query} first"
        if self.frames:
            nearest, farthest = self.frames[0].distance, self.frames[-1].distance
            said += f"; distances {nearest:.3f} to {farthest:.3f}"
        return f"{said}."


def similar_frames(
    samples: "SampleCollection",
    query: Query,
    *,
    brain_key: str | None = None,
    k: int = 25,
    gap: float = 1.0,
) -> FrameSearchResult:
    """Finds the frames of videos that are most like a frame or a text.

    FiftyOne's panel for similarity shows no frames; :func:`show_frames` makes a view of those
    that were found.

    Args:
        samples: a dataset of videos; of a view, or a view of frames, only these are found.
        query: a text, where the index's backbone has a text tower; the id of a frame, or several,
            of which the mean counts; or ``(video_id, frame_number)``, of which the nearest frame
            with a vector counts.
        brain_key: of an index that :func:`uvl_plugin.index` made of frames; None: the newest.
        k: how many frames.
        gap: seconds that two frames of one video are apart at least; 0: any. A frame that asks
            is the first that is found, so its neighbours are left out.

    Returns:
        The frames, as a sentence if printed.

    Raises:
        SettingsError: if ``k`` or ``gap`` is out of bounds.
        DataError: if there is no such index, frame or video, or if it cannot be searched by text.
    """
    dataset = check_similar_frames(samples, query, brain_key=brain_key, k=k, gap=gap)
    index = frame_queries.open_index(dataset, brain_key)
    asked, words = _asked(index, query)
    view = None if samples is dataset else samples
    found = frame_queries.nearest_frames(index, asked, k, gap, view)
    return FrameSearchResult(index.key, words, found)


def check_similar_frames(
    samples: "SampleCollection",
    query: Query | None,
    *,
    brain_key: str | None = None,
    k: int = 25,
    gap: float = 1.0,
) -> "SampleCollection":
    """Raises what :func:`similar_frames` would, as far as that is known without opening the index;
    gives the dataset."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise SettingsError(f"k must be a whole number of at least 1, got {k!r}.", "k")
    if not 0 <= gap < float("inf"):
        raise SettingsError(f"gap must be 0 seconds or more, got {gap!r}.", "gap")
    dataset = dataset_of(samples)
    key = frame_queries.index_key(dataset, brain_key)
    if query is None or len(query) == 0:
        raise DataError(
            "Nothing was asked: give a text, a frame, or a video and a number.", "query"
        )
    if isinstance(query, str) and not frame_queries.frames_among(dataset, [query]):
        frame_queries.check_text(dataset, key)
    return dataset


def show_frames(
    samples: "SampleCollection",
    ids: Sequence[str],
    *,
    most: int = frame_pictures.MOST,
    progress: "Progress | bool | None" = None,
) -> "Pictured":
    """Makes a view of some frames for the App, in which each tile shows its own frame.

    For that FiftyOne needs a picture of each: those that have none get one, a JPEG file of at
    most 512 pixels in width, and ``frames.filepath`` names it. The files are in the folder that
    ``UVL_FRAMES`` names, else in ``~/.uvl/frames``, in one folder for each dataset, named by its
    id; :func:`delete_frame_pictures` deletes them. Frames that have a picture keep it.

    Args:
        samples: the dataset of videos, or a view of it.
        ids: of the frames, in the order in which they are shown.
        most: how many at most, the first ones.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Returns:
        The view as ``view``, and which frames could not be shown.
    """
    if most < 1:
        raise SettingsError(f"most must be at least 1, got {most!r}.", "most")
    with shown(progress, "pictures") as report:
        return frame_pictures.pictured(
            dataset_of(samples), list(dict.fromkeys(ids)), most=most, progress=report
        )


def delete_frame_pictures(samples: "SampleCollection") -> int:
    """Deletes the pictures that :func:`show_frames` and others made of frames of a dataset; views
    of frames that show them are empty then. Returns how many there were."""
    return frame_pictures.delete_pictures(dataset_of(samples))


def _asked(index: frame_queries.FaissSimilarityIndex, query: Query) -> tuple[str | list[str], str]:
    """The query as the index takes it, and in words."""
    dataset = dataset_of(index.samples)
    if isinstance(query, tuple) and len(query) == 2 and isinstance(query[1], int):
        ids = [frame_queries.frame_near(dataset, index.config.embeddings_field, *query)]
    elif isinstance(query, str):
        ids = frame_queries.frames_among(dataset, [query])
        if not ids:
            return query, f"'{query}'"
    else:
        ids = [str(key) for key in query]
    places = list(frame_queries.places_of(dataset, ids).values())
    if len(places) != 1:
        return ids, f"the {len(ids):,} chosen frames"
    video, number = places[0]
    return ids, f"frame {number} of '{Path(frame_queries.file_of(dataset, video)).name}'"

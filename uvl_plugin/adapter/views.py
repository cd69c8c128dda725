"""Views in which every item is a sample of its own, as FiftyOne's App and its maps want them."""

from fiftyone import ViewField as F
from fiftyone.core.collections import SampleCollection
from fiftyone.core.video import FramesView

from uvl_plugin.adapter.frames import Frames
from uvl_plugin.adapter.parts import Clips
from uvl_plugin.core.errors import DataError


def frames_view(videos: SampleCollection) -> SampleCollection:
    """The frames of a view of videos, with the ids of their documents. Where each has a picture
    of its own, the App shows these; else it shows the first frame of the video in their place, see
    :mod:`uvl_plugin.adapter.frame_pictures`."""
    pictures = videos.has_frame_field("filepath") and videos.count("frames") == videos.count(
        "frames.filepath"
    )
    return videos.to_frames(sample_frames=False if pictures else "dynamic", sparse=True)


def view_of_frames(items: Frames) -> SampleCollection:
    """The frames that have a vector.

    Raises:
        DataError: if a view of frames was given that was made before they had one.
    """
    view = items.samples if isinstance(items.samples, FramesView) else frames_view(items.samples)
    if view.get_field(items.field) is None:
        raise DataError(
            f"The view of frames was made before '{items.path}' was there; call its reload()."
        )
    return view.exists(items.field)


def view_of_clips(items: Clips) -> SampleCollection:
    """The clips that have a vector, each a sample of a view, with the id of its label."""
    known = items.samples.filter_labels(items.patches_field, F(items.field).exists())
    return known.to_clips(items.patches_field)

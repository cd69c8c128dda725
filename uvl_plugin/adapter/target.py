"""What is worked on: images, objects in them, frames of videos, whole videos, clips of them."""

from collections.abc import Sequence

from fiftyone.core.collections import SampleCollection
from fiftyone.core.video import FramesView

from uvl_plugin.adapter.frames import FRAMES, Frames
from uvl_plugin.adapter.images import Images, whole_samples
from uvl_plugin.adapter.parts import Patches, parts
from uvl_plugin.adapter.samples import (
    check_any,
    check_frames,
    check_pictures,
    check_samples,
    dataset_of,
    flattened,
)
from uvl_plugin.core.errors import DataError, SettingsError

Target = Images | Patches | Frames


def target(
    samples: SampleCollection,
    field: str,
    *,
    patches_field: str | None = None,
    margin: float = 0.0,
    slices: "str | Sequence[str] | None" = None,
    pictures: bool = False,
) -> Target:
    """The items of ``samples``, and where their vectors go.

    Args:
        samples: a dataset or view; a view of frames means these.
        field: name of the vector field, or attribute of the labels; ``"frames.embedding"`` means
            the frames of a dataset of videos.
        patches_field: the objects in the images instead of the images, or the clips (temporal
            detections) of videos instead of the videos.
        margin: around each object, see :class:`~uvl_plugin.media.sources.Crops`.
        slices: of a grouped dataset, which slices; None: all of images.
        pictures: whether the items have to be pictures, as those of an embedding have.

    Raises:
        DataError: if there is nothing of this kind to work on.
        SettingsError: if the margin is negative.
    """
    if patches_field is None and not slices and _means_frames(samples, field):
        check_frames(samples)
        return Frames(samples, field.removeprefix(FRAMES))
    samples = flattened(samples, slices)
    check_samples(samples)
    if pictures:
        check_pictures(samples)
    if patches_field is None:
        return whole_samples(samples, field)
    if not 0 <= margin <= 10:
        raise SettingsError(f"margin must be 0 to 10, got {margin!r}.", "margin")
    return parts(samples, field, patches_field, margin)


def files(samples: SampleCollection) -> Images:
    """The files of ``samples``, of any media type; of a grouped dataset those of all image slices.

    Raises:
        DataError: if they are parts of samples, or if there are none.
    """
    samples = flattened(samples)
    if not isinstance(samples, SampleCollection) or samples._is_generated:
        raise DataError("samples must be a FiftyOne dataset, or a view of whole samples.")
    check_any(samples)
    return Images(samples, "filepath")


def frames_of_videos(samples: SampleCollection, field: str) -> Frames:
    """The frames of a dataset of videos, or a view of whole ones.

    Args:
        field: ``"frames.embedding"``.

    Raises:
        DataError: if it is something else.
    """
    check_samples(samples)
    if samples.media_type != "video":
        raise DataError(f"'{samples.name or dataset_of(samples).name}' holds no videos.")
    if not field.startswith(FRAMES):
        raise DataError(
            f"'{field}' is no field of frames; these begin with '{FRAMES}', such as "
            f"'{FRAMES}embedding'.",
            "embeddings",
        )
    return Frames(samples, field.removeprefix(FRAMES))


def _means_frames(samples: SampleCollection, field: str) -> bool:
    if isinstance(samples, FramesView):
        return True
    return field.startswith(FRAMES) and getattr(samples, "media_type", None) == "video"

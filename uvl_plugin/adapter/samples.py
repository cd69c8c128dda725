"""What a dataset or a view holds, and whether it is something to work on."""

from collections.abc import Sequence

import fiftyone as fo
from fiftyone.core.collections import SampleCollection
from fiftyone.core.dataset import Dataset
from fiftyone.core.video import FramesView

from uvl_plugin.core.errors import DataError

_PLAIN = (fo.StringField, fo.IntField, fo.BooleanField, fo.ObjectIdField)


def dataset_of(samples: SampleCollection) -> Dataset:
    """The dataset behind a view, or the dataset itself."""
    return samples._root_dataset


def flattened(
    samples: SampleCollection, slices: "str | Sequence[str] | None" = None
) -> SampleCollection:
    """The slices of a grouped dataset or view as one view; anything else as it is.

    Raises:
        DataError: if there is no such slice, or slices are named where there are no groups.
    """
    if not isinstance(samples, SampleCollection) or samples.media_type != "group":
        if slices:
            raise DataError("slices can be chosen only in a grouped dataset.", "slices")
        return samples
    images = image_slices(samples)
    chosen = [slices] if isinstance(slices, str) else list(slices or images)
    unknown = [name for name in chosen if name not in images]
    if unknown or not chosen:
        raise DataError(
            f"'{dataset_of(samples).name}' has no image slice {', '.join(map(repr, unknown))}. "
            f"Image slices: {', '.join(images) or 'none'}.",
            "slices",
        )
    return samples.select_group_slices(chosen)


def image_slices(samples: SampleCollection) -> list[str]:
    """Names of the slices of a grouped dataset that hold images; none where it is not grouped."""
    media_types = samples.group_media_types or {}
    return [name for name, media_type in media_types.items() if media_type == "image"]


def check_samples(samples: SampleCollection) -> None:
    """Checks that ``samples`` are whole images or videos, one file a sample.

    Raises:
        DataError: if they are not, or if there are none.
    """
    if not isinstance(samples, SampleCollection):
        raise DataError(
            f"samples must be a FiftyOne dataset or view, got {type(samples).__name__}."
        )
    if samples._is_generated:
        raise DataError(
            "A view of patches, frames or clips cannot be used here; pass the dataset or a view of "
            "whole samples, and for its parts the field of the objects or clips (patches_field), "
            'or the field of the frames ("frames.embedding").'
        )
    if samples.media_type not in (None, "image", "video"):
        raise DataError(
            f"'{samples.name or dataset_of(samples).name}' holds media of type "
            f"'{samples.media_type}', and only images and videos can be used"
            + ("; select a slice first." if samples.media_type == "group" else ".")
        )
    check_any(samples)


def check_pictures(samples: SampleCollection) -> None:
    """Raises :class:`DataError` where ``samples`` are videos: of these only frames are pictures."""
    if samples.media_type == "video":
        raise DataError(
            f"'{samples.name or dataset_of(samples).name}' holds videos. Embed their frames "
            '(field="frames.embedding"); uvl.pool then makes one vector for each video or clip.',
            "field",
        )


def check_frames(samples: SampleCollection) -> None:
    """Checks that ``samples`` are videos, or frames of them.

    Raises:
        DataError: if they are not, or if there are none.
    """
    if samples._is_generated and not isinstance(samples, FramesView):
        raise DataError("A view of clips cannot be used; pass the dataset of videos or a view.")
    check_any(samples)


def check_any(samples: SampleCollection) -> None:
    if not samples:
        raise DataError(f"There are no samples in '{samples.name or dataset_of(samples).name}'.")


def plain_path(samples: SampleCollection, field: str, argument: str | None = None) -> str:
    """The path of a field's plain value: of a ``Classification`` that of its label.

    Args:
        argument: that named the field, for the error.

    Raises:
        DataError: if there is no such field, or it is of another kind.
    """
    existing = samples.get_field(field)
    if existing is None:
        raise DataError(f"'{dataset_of(samples).name}' has no field '{field}'.", argument)
    if getattr(existing, "document_type", None) is fo.Classification:
        return f"{field}.label"
    if isinstance(existing, _PLAIN):
        return field
    raise DataError(
        f"'{field}' must be a Classification or a field of plain values, and is {existing}.",
        argument,
    )

"""What is worked on: the samples of an image dataset or of a view of it."""

from collections.abc import Iterator

from fiftyone.core.collections import SampleCollection
from fiftyone.core.dataset import Dataset

from uvl_plugin.core.errors import DataError


def dataset_of(samples: SampleCollection) -> Dataset:
    """The dataset behind a view, or the dataset itself."""
    return samples._root_dataset


def check_samples(samples: SampleCollection) -> None:
    """Checks that ``samples`` are images, one file a sample.

    Raises:
        DataError: if they are not, or if there are none.
    """
    if not isinstance(samples, SampleCollection):
        raise DataError(
            f"samples must be a FiftyOne dataset or view, got {type(samples).__name__}."
        )
    if samples._is_generated:
        raise DataError(
            "A view of patches, frames or clips cannot be used yet; pass the dataset or a view "
            "of whole samples."
        )
    if samples.media_type is not None and samples.media_type != "image":
        raise DataError(
            f"'{samples.name or dataset_of(samples).name}' holds media of type "
            f"'{samples.media_type}', and only images can be used yet"
            + ("; select a slice first." if samples.media_type == "group" else ".")
        )
    if not samples:
        raise DataError(f"There are no samples in '{samples.name or dataset_of(samples).name}'.")


def image_files(samples: SampleCollection) -> Iterator[tuple[str, str]]:
    """Id and file path of every sample."""
    ids, paths = samples.values(["id", "filepath"])
    return zip(ids, paths, strict=True)

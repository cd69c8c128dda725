"""Labels by sample, from a Classification field or a plain text field."""

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter.target import dataset_of
from uvl_plugin.core.errors import DataError


def read_labels(samples: SampleCollection, *fields: str) -> list[tuple[str | None, ...]]:
    """The labels of every sample in each of ``fields``; None where a sample has none.

    Raises:
        DataError: if a field is missing or of another kind.
    """
    paths = [_path(dataset_of(samples), field) for field in fields]
    return list(zip(*samples.values(paths), strict=True))


def _path(dataset: fo.Dataset, field: str) -> str:
    existing = dataset.get_field(field)
    if existing is None:
        raise DataError(f"'{dataset.name}' has no field '{field}'.")
    if getattr(existing, "document_type", None) is fo.Classification:
        return f"{field}.label"
    if isinstance(existing, fo.StringField):
        return field
    raise DataError(f"'{field}' must be a Classification or a text field, and is {existing}.")

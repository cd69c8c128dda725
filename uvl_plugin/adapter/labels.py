"""Labels by sample, from a Classification field or a field of plain values."""

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter.target import plain_path


def read_by_id(samples: SampleCollection, field: str) -> dict[str, str]:
    """The label of each sample that has one, as text, by its id.

    Raises:
        DataError: if there is no such field, or it is of another kind.
    """
    ids, found = samples.values(["id", plain_path(samples, field)])
    return {key: str(value) for key, value in zip(ids, found, strict=True) if value is not None}


def read_strengths(samples: SampleCollection, field: str) -> dict[str, float]:
    """The confidence of each label, by the id of its sample, 0 where it has none; empty if it is
    no field of labels."""
    if getattr(samples.get_field(field), "document_type", None) is not fo.Classification:
        return {}
    ids, found = samples.values(["id", f"{field}.confidence"])
    return {key: value or 0.0 for key, value in zip(ids, found, strict=True)}

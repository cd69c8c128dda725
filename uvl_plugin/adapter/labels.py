"""Labels by sample, from a Classification field or a field of plain values."""

from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter.target import plain_path


def read_labels(samples: SampleCollection, *fields: str) -> list[tuple[str | None, ...]]:
    """The labels of every sample in each of ``fields``; None where a sample has none.

    Raises:
        DataError: if a field is missing or of another kind.
    """
    return list(zip(*samples.values([plain_path(samples, field) for field in fields]), strict=True))

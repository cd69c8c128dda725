"""Labels of items, from a Classification field or a field of plain values."""

from uvl_plugin.adapter.cluster_fields import cluster_field
from uvl_plugin.adapter.target import Target


def read_by_id(items: Target) -> dict[str, str]:
    """The label in the items' field of each one that has one, as text, by its id.

    Raises:
        DataError: if there is no such field, or it is of another kind.
    """
    found = items.values(items.field)
    return {key: str(value) for key, value in found.items() if value is not None}


def read_strengths(items: Target) -> dict[str, float]:
    """The confidence of each label in the items' field, by id, 0 where it has none; empty if the
    labels there have no confidence."""
    beside = items.with_field(cluster_field(items, items.field).attribute("confidence"))
    if items.dataset.get_field(beside.path) is None:
        return {}
    ids = items.ids()
    return dict.fromkeys(ids, 0.0) | dict(beside.stored(ids))

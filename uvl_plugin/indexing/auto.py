"""Which kind of index suits, by the number of vectors and the memory."""

from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.scratch import free_memory
from uvl_plugin.indexing.kind import IndexKind, index_kinds

AUTO = "auto"
_SCANNED = 50_000  # vectors that are compared in a few milliseconds
_SHARE = 0.5  # of the memory that is free now


def resolve_kind(kind: "IndexKind | str") -> IndexKind | None:
    """A kind by its name; None for ``"auto"``.

    Raises:
        SettingsError: if it is neither.
        UnknownNameError: if there is no kind of this name.
    """
    if isinstance(kind, IndexKind):
        return kind
    if not isinstance(kind, str):
        raise SettingsError(
            f"kind must be a name or such as uvl.IVF(recall=0.99), got {kind!r}.", "kind"
        )
    return None if kind == AUTO else index_kinds[kind]()


def suitable_kind(n: int, dim: int) -> tuple[IndexKind, str]:
    """The kind for ``n`` vectors, and why."""
    if n <= _SCANNED:
        return index_kinds["flat"](), f"{n:,} vectors are few enough to compare with all"
    ivf, room = index_kinds["ivf"](), _SHARE * free_memory()
    needed = ivf.bytes_for(n, dim)
    if needed <= room:
        return ivf, f"{n:,} vectors are too many to compare with all, and their codes fit in memory"
    return index_kinds["ivf_pq"](), (
        f"8-bit codes of {n:,} vectors take {needed / 1e9:.1f} GB, and {room / 1e9:.1f} GB are free"
    )

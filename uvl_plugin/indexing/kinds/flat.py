"""No structure: every vector is compared, and so the answer is exact."""

from dataclasses import dataclass
from typing import Any

from uvl_plugin.core.progress import Progress
from uvl_plugin.indexing.kind import IndexKind, index_kinds
from uvl_plugin.indexing.rows import Rows


@index_kinds.register
@dataclass(frozen=True, kw_only=True)
class Flat(IndexKind):
    """Compares with all vectors."""

    name, label = "flat", "Flat"
    description = "Exact; right up to some ten thousands of vectors."

    def bytes_for(self, n: int, dim: int) -> int:
        return 0

    def build(self, rows: Rows, progress: Progress) -> Any:
        return None

    def parameters(self, effort: int, selector: Any) -> Any:
        return None

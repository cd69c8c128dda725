"""One byte for each number: a quarter of the memory, still compared with all."""

from dataclasses import dataclass
from typing import Any

from uvl_plugin.core.progress import Progress
from uvl_plugin.indexing.faiss_parts import SEEN, added, metric_type, quantizer_type
from uvl_plugin.indexing.kind import IndexKind, index_kinds
from uvl_plugin.indexing.rows import Rows


@index_kinds.register
@dataclass(frozen=True, kw_only=True)
class ScalarQuantized(IndexKind):
    """Compares with the codes of all vectors; the exact vectors rank what was found."""

    name, label = "sq8", "8 bits"
    description = "Nearly exact, a quarter of the memory; for some hundred thousands of vectors."

    def bytes_for(self, n: int, dim: int) -> int:
        return n * dim

    def build(self, rows: Rows, progress: Progress) -> Any:
        import faiss

        index = faiss.IndexScalarQuantizer(rows.dim, quantizer_type(), metric_type(rows.metric))
        index.train(rows.prepared(rows.sample(SEEN)))
        return added(index, rows, progress)

    def parameters(self, effort: int, selector: Any) -> Any:
        import faiss

        return faiss.SearchParameters(sel=selector)

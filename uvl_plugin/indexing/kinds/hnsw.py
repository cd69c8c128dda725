"""A graph whose links are followed towards the query."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from uvl_plugin.core.progress import Progress
from uvl_plugin.core.settings import setting
from uvl_plugin.indexing.faiss_parts import SEEN, added, metric_type, quantizer_type
from uvl_plugin.indexing.kind import IndexKind, index_kinds
from uvl_plugin.indexing.rows import Rows


@index_kinds.register
@dataclass(frozen=True, kw_only=True)
class HNSW(IndexKind):
    """Hierarchical navigable small worlds over 8-bit codes.

    Several threads put vectors in, in any order: with more than one, two graphs of the same vectors
    differ a little.

    Source: Y. Malkov, D. Yashunin, arXiv:1603.09320.
    """

    name, label = "hnsw", "HNSW graph"
    description = "Answers fastest; takes longest to make, and the most memory."

    links: int = setting(32, ge=4, le=128, help="Links of each vector.")
    breadth: int = setting(
        80, ge=8, le=1000, help="Vectors looked at for each that is put in; more: better links."
    )

    def bytes_for(self, n: int, dim: int) -> int:
        return n * (dim + 9 * self.links)

    def build(self, rows: Rows, progress: Progress) -> Any:
        import faiss

        index = faiss.IndexHNSWSQ(rows.dim, quantizer_type(), self.links, metric_type(rows.metric))
        index.hnsw.efConstruction = self.breadth
        index.train(rows.prepared(rows.sample(SEEN)))
        return added(index, rows, progress)

    def efforts(self, index: Any) -> Iterator[int]:
        effort = 128
        while effort < index.ntotal:
            yield effort
            effort += effort // 2
        yield index.ntotal

    def parameters(self, effort: int, selector: Any) -> Any:
        import faiss

        return faiss.SearchParametersHNSW(sel=selector, efSearch=effort)

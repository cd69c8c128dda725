"""Lists of alike vectors: only the lists nearest to the query are looked through."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from uvl_plugin.core.progress import Progress
from uvl_plugin.core.settings import setting
from uvl_plugin.indexing.faiss_parts import inverted_file, quantizer_type
from uvl_plugin.indexing.kind import IndexKind, index_kinds
from uvl_plugin.indexing.rows import Rows


@dataclass(frozen=True, kw_only=True)
class InvertedFile(IndexKind):
    """What kinds with lists share.

    Source: J. Sivic, A. Zisserman, "Video Google", ICCV 2003, page 1470.
    """

    lists: int | None = setting(
        None,
        ge=1,
        le=2**20,
        help="How many lists; empty: about four times the root of the vectors.",
    )
    seed: int = setting(0, ge=0, le=2**31 - 1, help="Seed of the k-means that makes the lists.")

    def efforts(self, index: Any) -> Iterator[int]:
        effort = min(4, index.nlist)
        while effort < index.nlist:
            yield effort
            effort += max(1, effort // 2)
        yield index.nlist

    def parameters(self, effort: int, selector: Any) -> Any:
        import faiss

        return faiss.SearchParametersIVF(sel=selector, nprobe=effort)


@index_kinds.register
@dataclass(frozen=True, kw_only=True)
class IVF(InvertedFile):
    """Lists of 8-bit codes; the exact vectors rank what was found."""

    name, label = "ivf", "Inverted file"
    description = "Fast and quick to make; for hundred thousands and millions of vectors."

    def bytes_for(self, n: int, dim: int) -> int:
        return n * (dim + 8)

    def build(self, rows: Rows, progress: Progress) -> Any:
        import faiss

        def made(coarse: Any, n_lists: int, metric: int) -> Any:
            return faiss.IndexIVFScalarQuantizer(
                coarse, rows.dim, n_lists, quantizer_type(), metric
            )

        return inverted_file(made, rows, self.lists, self.seed, progress)

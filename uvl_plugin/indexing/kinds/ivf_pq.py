"""Lists of product-quantised vectors: for more vectors than the memory holds."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uvl_plugin.core.progress import Progress
from uvl_plugin.core.settings import setting
from uvl_plugin.indexing.faiss_parts import inverted_file
from uvl_plugin.indexing.kind import index_kinds
from uvl_plugin.indexing.kinds.ivf import InvertedFile
from uvl_plugin.indexing.rows import Rows

_BITS = 8  # of each code
_TRAINED = 64  # vectors for each code


@index_kinds.register
@dataclass(frozen=True, kw_only=True)
class IVFPQ(InvertedFile):
    """Lists of codes of a byte for each few numbers; the exact vectors rank what was found.

    Source: H. Jégou et al., "Product Quantization for Nearest Neighbor Search", IEEE Trans.
    Pattern Anal. Mach. Intell. 33 (2011), page 117.
    """

    name, label = "ivf_pq", "Inverted file, product-quantised"
    description = "Least memory; for many millions of vectors."
    spare: ClassVar[int] = 40

    numbers: int = setting(4, ge=1, le=64, help="Numbers of a vector that share a byte, at most.")

    def bytes_for(self, n: int, dim: int) -> int:
        return n * (self._bytes(dim) + 8)

    def build(self, rows: Rows, progress: Progress) -> Any:
        import faiss

        def made(coarse: Any, n_lists: int, metric: int) -> Any:
            index = faiss.IndexIVFPQ(
                coarse, rows.dim, n_lists, self._bytes(rows.dim), _BITS, metric
            )
            index.pq.cp.max_points_per_centroid = _TRAINED
            index.pq.cp.min_points_per_centroid = 1  # else FAISS warns once for each part
            return index

        return inverted_file(made, rows, self.lists, self.seed, progress)

    def _bytes(self, dim: int) -> int:
        """A divisor of ``dim``, as FAISS wants it."""
        return next(parts for parts in range(-(-dim // self.numbers), dim + 1) if dim % parts == 0)

"""What the kinds share of FAISS."""

import math
from collections.abc import Callable
from typing import Any

from uvl_plugin.core.progress import Progress, part
from uvl_plugin.indexing.rows import Rows

SEEN = 65_536  # vectors from which codes learn their range
_LIST_TRAINED = 40  # vectors for each list that say where the lists are
_ITERATIONS = 8


def metric_type(metric: str) -> int:
    """FAISS' number of a metric; cosine is the product of prepared vectors."""
    import faiss

    return faiss.METRIC_L2 if metric == "euclidean" else faiss.METRIC_INNER_PRODUCT


def quantizer_type() -> int:
    """FAISS' number of the codes of 8 bits."""
    import faiss

    return faiss.ScalarQuantizer.QT_8bit


def added(index: Any, rows: Rows, progress: Progress) -> Any:
    """Puts in all rows, block by block."""
    for block in rows.blocks():
        index.add(block)
        progress(index.ntotal / len(rows), f"index, {index.ntotal:,} of {len(rows):,}")
    return index


def inverted_file(
    made: Callable[[Any, int, int], Any],
    rows: Rows,
    n_lists: int | None,
    seed: int,
    progress: Progress,
) -> Any:
    """Trains lists on a sample and puts in all rows; on a GPU where FAISS has one.

    Args:
        made: an empty index of FAISS, from a coarse quantiser, the number of lists and FAISS'
            number of the metric.
        n_lists: None for about four times the root of the rows.
    """
    import faiss

    n_lists = min(n_lists or max(1, round(4 * math.sqrt(len(rows)))), len(rows))
    metric = metric_type(rows.metric)
    flat = faiss.IndexFlat(rows.dim, metric)
    index = made(flat, n_lists, metric)
    index.cp.seed = seed
    index.cp.niter = _ITERATIONS
    index.cp.spherical = rows.metric == "cosine"
    index.cp.min_points_per_centroid = 1
    index.cp.max_points_per_centroid = _LIST_TRAINED
    if faiss.get_num_gpus():
        index.clustering_index = faiss.index_cpu_to_all_gpus(faiss.IndexFlat(rows.dim, metric))
    progress(0.0, f"index, {n_lists:,} lists of {len(rows):,} vectors")
    index.train(rows.prepared(rows.sample(max(SEEN, _LIST_TRAINED * n_lists))))
    index.clustering_index = None
    return added(index, rows, part(progress, 0.5, 1.0))

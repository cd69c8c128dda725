"""Similarity indexes, which the App and FiftyOne's own methods search."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvl_plugin.adapter import brain, runs, vectors
from uvl_plugin.adapter.target import Target, target
from uvl_plugin.core.progress import Progress, shown
from uvl_plugin.core.timing import Stopwatch
from uvl_plugin.indexing.auto import AUTO
from uvl_plugin.indexing.kind import IndexKind

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection


@dataclass(frozen=True)
class IndexResult:
    """What :func:`index` made.

    Attributes:
        brain_key: of the index.
        unit: what it finds: ``"images"``, ``"objects"`` or ``"frames"``.
        n_items: how many vectors it holds.
        kind: name of its kind.
        why: why this one.
        recall: share of the 100 nearest neighbours of some vectors that it found; 1.0 if exact.
        n_bytes: of its files.
        seconds: that it took.
    """

    brain_key: str
    unit: str
    n_items: int
    kind: str
    why: str
    recall: float
    n_bytes: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"'{self.brain_key}' holds {self.n_items:,} {self.unit}; kind '{self.kind}', since "
            f"{self.why}; recall {self.recall:.3f}, {self.n_bytes / 1e6:,.1f} MB, "
            f"{self.seconds:.1f} s"
        )


def index(
    samples: "SampleCollection",
    *,
    embeddings: str,
    brain_key: str,
    patches_field: str | None = None,
    kind: IndexKind | str = AUTO,
    metric: str = "cosine",
    precision: str = "float32",
    overwrite: bool = False,
    progress: "Progress | bool | None" = None,
) -> IndexResult:
    """Makes a similarity index, with which the App sorts by similarity.

    It is of FiftyOne's backend ``"faiss"``, and holds every vector of the field in the dataset,
    also where a view is given; each query is restricted to the view that it is made in. The
    files are in the folder that ``UVL_INDEXES`` names, else in ``~/.uvl/indexes``.

    Args:
        samples: a dataset or view; items without a vector are left out.
        embeddings: the vector field; of objects the attribute of their labels;
            ``"frames.embedding"`` of a dataset of videos.
        brain_key: name of the index.
        patches_field: field of the objects, for an index of objects.
        kind: ``"auto"``, the name of a kind (``"flat"``, ``"sq8"``, ``"hnsw"``, ``"ivf"``,
            ``"ivf_pq"``), or one with settings, such as ``uvl.IVF(recall=0.99)``.
        metric: ``"cosine"``, ``"dotproduct"`` or ``"euclidean"``.
        precision: of the stored vectors: ``"float32"``, or ``"float16"`` for half the space.
        overwrite: replace the brain run of this key.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Returns:
        What was made, as a sentence if printed.

    Raises:
        SettingsError: if there is no such kind, metric or precision.
        DataError: if the key is taken or there are no vectors.
    """
    items = check_index(samples, embeddings, brain_key, patches_field, overwrite=overwrite)
    watch = Stopwatch()
    with shown(progress, "index") as report, watch.stage("index"):
        made = brain.write_index(
            items, brain_key, kind=kind, metric=metric, precision=precision, progress=report
        )
    told = made.description
    return IndexResult(
        brain_key, items.unit, told["size"], told["kind"], told["why"], told["recall"],
        told["bytes"], watch.seconds["index"],
    )  # fmt: skip


def check_index(
    samples: "SampleCollection",
    embeddings: str,
    brain_key: str,
    patches_field: str | None = None,
    *,
    overwrite: bool = False,
) -> Target:
    """Raises what :func:`index` would, without working; gives the items."""
    items = target(samples, embeddings, patches_field=patches_field)
    runs.check_brain_key(items.dataset, brain_key, overwrite=overwrite)
    vectors.check_any_vector(items)
    return items

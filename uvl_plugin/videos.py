"""One vector for each whole video or clip, made of those of its frames."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvl_plugin.adapter import pooled
from uvl_plugin.adapter.pooled import Sequences
from uvl_plugin.adapter.vectors import VectorWriter
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.progress import Pace, Progress, part, shown
from uvl_plugin.core.timing import Stopwatch
from uvl_plugin.pooling.base import Pooler, Pooling, poolings

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection


@dataclass
class PoolingResult:
    """What :func:`pool` did, as a sentence if printed.

    Attributes:
        field: the vector field, as FiftyOne knows it.
        unit: what got a vector: ``"videos"`` or ``"clips"``.
        n_pooled: vectors written by this call.
        n_present: videos or clips that had theirs already.
        n_missing: those that have no frame with a vector.
        dim: length of the vectors.
        seconds: time by stage.
    """

    field: str
    unit: str
    n_pooled: int = 0
    n_present: int = 0
    n_missing: int = 0
    dim: int = 0
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        said = f"{self.n_pooled:,} {self.unit} have a new vector in '{self.field}'"
        if self.n_present:
            said += f"; {self.n_present:,} had theirs"
        if self.n_missing:
            said += f"; {self.n_missing:,} have no frame with a vector: embed their frames first"
        return f"{said}."


def pool(
    samples: "SampleCollection",
    embeddings: str,
    field: str,
    *,
    pooling: Pooling | str = "mean",
    patches_field: str | None = None,
    overwrite: bool = False,
    progress: "Progress | bool | None" = None,
) -> PoolingResult:
    """Makes one vector for each whole video, or for each clip, of the vectors of its frames.

    Everything that works on the vectors of images then works on these: :func:`uvl_plugin.cluster`,
    :func:`uvl_plugin.index`, :func:`uvl_plugin.visualize` and so on. Videos that have their vector
    are skipped, and what the pooling learnt from the first ones is used again for new ones.

    Args:
        samples: a dataset of videos, or a view of one.
        embeddings: the vector field of the frames, such as ``"frames.embedding"``.
        field: name of the new vector field; of clips an attribute of their labels.
        pooling: such as ``uvl.Signature()``, or its name: ``"mean"``, ``"mean_deviation"``,
            ``"signature"``; of a trained encoder ``uvl.Temporal(encoder="name")``.
        patches_field: field of temporal detections: pools each of these clips instead of the
            whole video.
        overwrite: pool everything again; what the pooling learnt is learnt anew, so vectors of
            other videos of the dataset go.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Returns:
        Counts, as a sentence if printed.

    Raises:
        SettingsError: if there is no such pooling.
        DataError: if there are no vectors of frames, or the field holds something else.
    """
    pooling = _resolved(pooling)
    sequences, made = check_pool(
        samples, embeddings, field, pooling=pooling, patches_field=patches_field,
        overwrite=overwrite,
    )  # fmt: skip
    items, watch = sequences.items, Stopwatch()
    result = PoolingResult(items.path, items.unit, seconds=watch.seconds)
    with shown(progress, "pool") as report:
        every = items.ids()
        todo = set(every if overwrite else items.ids(missing=True))
        result.n_present = len(every) - len(todo)
        if not todo:
            report(1.0, f"all {items.unit} have their vector")
            return result
        with watch.stage("fit"):
            pooler = (
                pooling.fit(sequences.paths, part(report, 0.0, 0.5))
                if made is None or overwrite
                else pooling.restore(made.arrays)
            )
        with pooled.opened(sequences, pooling, pooler, overwrite=overwrite):
            with watch.stage("pool"):
                _pool_items(sequences, todo, pooler, result, part(report, 0.5, 1.0))
            pooled.record(sequences, pooling, pooler, dataclasses.asdict(result))
        report(1.0, "pooled")
    return result


def _pool_items(
    sequences: Sequences, todo: set[str], pooler: Pooler, result: PoolingResult, report: Progress
) -> None:
    pace = Pace(len(todo))
    with VectorWriter(sequences.items) as writer:
        for path in sequences.paths(todo):
            writer.add({path.key: pooler(path)})
            result.n_pooled += 1
            report(result.n_pooled / len(todo), f"pooled {pace.said(result.n_pooled)}")
    result.n_missing, result.dim = len(todo) - result.n_pooled, pooler.dim
    if not (result.n_pooled or result.n_present):
        raise DataError(
            f"None of the {len(todo)} {result.unit} has a frame with a vector in "
            f"'{sequences.frames.path}'; embed their frames first.",
            "embeddings",
        )


def check_pool(
    samples: "SampleCollection",
    embeddings: str,
    field: str,
    *,
    pooling: Pooling,
    patches_field: str | None = None,
    overwrite: bool = False,
) -> "tuple[Sequences, pooled.PoolingRunResults | None]":
    """Raises what :func:`pool` would, without working; gives what is pooled, and what made the
    vectors that are there."""
    sequences = Sequences.of(samples, embeddings, field, patches_field)
    pooling.check()
    return sequences, pooled.check_may_pool(sequences, pooling, overwrite=overwrite)


def _resolved(pooling: Pooling | str) -> Pooling:
    if isinstance(pooling, str):
        return poolings[pooling]()
    if not isinstance(pooling, Pooling):
        raise SettingsError(
            f"Expected a pooling such as uvl.Signature(), got {pooling!r}.", "pooling"
        )
    return pooling

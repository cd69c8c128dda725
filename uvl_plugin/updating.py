"""Everything brought up to date at once: vectors, then similarity indexes, then clusters."""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from uvl_plugin.adapter import clusterings, pooled, runs, target, vectors
from uvl_plugin.adapter.failures import FAILED_TAG
from uvl_plugin.adapter.frames import Frames
from uvl_plugin.adapter.images import Images, whole_samples
from uvl_plugin.adapter.parts import Patches, clip_fields, parts, patch_fields
from uvl_plugin.adapter.samples import Dataset, flattened, image_slices
from uvl_plugin.adapter.similarity_faiss import FaissSimilarityConfig, SyncResult
from uvl_plugin.adapter.target import Target
from uvl_plugin.api import EmbeddingResult, check_embed, embed
from uvl_plugin.core.errors import BrokenIndexError, Cancelled, DataError, UVLError
from uvl_plugin.core.progress import Progress, part, shown
from uvl_plugin.editing import Assignment, assign
from uvl_plugin.media.frame_choice import FrameChoice
from uvl_plugin.videos import PoolingResult, pool

_EMBEDDING, _OTHER = 8.0, 1.0  # how long steps take, compared with each other
_TOLD = 3  # of the files that failed
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gap:
    """A vector field, and what it lacks.

    Attributes:
        path: of the field, as FiftyOne knows it.
        unit: ``"images"``, ``"objects"``, ``"videos"`` or ``"clips"``.
        n_missing: items that have no vector; of frames videos that have none at all.
        arguments: of :func:`uvl_plugin.embed`, or :func:`uvl_plugin.pool`, that fill it; None
            where they are not to be had.
        reason: why not; empty where something else made the field.
        pooled: whether it is made of the vectors of frames.
    """

    path: str
    unit: str
    n_missing: int
    arguments: dict[str, Any] | None = None
    reason: str = ""
    pooled: bool = False


@dataclass(frozen=True)
class UpdatePlan:
    """What :func:`update` would do.

    Attributes:
        gaps: the vector fields that lack something; those made of others come last.
        indexes: brain keys of the similarity indexes that are compared with their fields.
        runs: keys of the clusterings that take new samples.
    """

    gaps: tuple[Gap, ...]
    indexes: tuple[str, ...]
    runs: tuple[str, ...]


@dataclass(frozen=True)
class UpdateResult:
    """What :func:`update` did; sentences if printed.

    Attributes:
        embedded: by vector field, what was embedded, with the files that failed.
        pooled: by vector field, the videos or clips that got a vector from their frames.
        foreign: by vector field, the items without a vector where something else than this
            package made the others.
        indexed: by brain key, how many vectors came and went.
        mended: by brain key, what was wrong with the files of an index that was built again.
        assigned: by run key, the clusters of new samples, and whether these still fit.
        failures: by what could not be brought up to date, the reason.
        units: by run key, what was assigned: ``"samples"``, ``"frames"`` and so on.
    """

    embedded: dict[str, EmbeddingResult] = dataclasses.field(default_factory=dict)
    pooled: dict[str, PoolingResult] = dataclasses.field(default_factory=dict)
    foreign: dict[str, int] = dataclasses.field(default_factory=dict)
    indexed: dict[str, SyncResult] = dataclasses.field(default_factory=dict)
    mended: dict[str, str] = dataclasses.field(default_factory=dict)
    assigned: dict[str, Assignment] = dataclasses.field(default_factory=dict)
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    units: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def n_failed(self) -> int:
        """How many files could not be embedded."""
        return sum(len(each.failures) for each in self.embedded.values())

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        embedded = any(each.n_embedded for each in self.embedded.values())
        indexed = any(each.n_added or each.n_removed for each in self.indexed.values())
        pooled = any(each.n_pooled for each in self.pooled.values())
        return embedded or pooled or indexed or bool(self.mended or self.assigned)

    def __str__(self) -> str:
        said = [*self._embedding(), *self._indexing(), *self._assigning()]
        said += [
            f"{n:,} items have no vector in '{path}', which something else made."
            for path, n in self.foreign.items()
        ]
        if not self.changed and not self.n_failed and not self.failures:
            said.append(f"Everything {'else ' if self.foreign else ''}is up to date.")
        said += [f"Not updated: {what}. {reason}" for what, reason in self.failures.items()]
        return " ".join(said)

    def _embedding(self) -> Iterator[str]:
        for path, did in self.embedded.items():
            if did.n_embedded:
                yield f"{did.n_embedded:,} {did.unit} embedded into '{path}'."
            if did.failures:
                told = "; ".join(list(did.failures.values())[:_TOLD])
                more = "; ..." if len(did.failures) > _TOLD else ""
                yield (
                    f"{len(did.failures):,} {did.unit} could not be embedded into '{path}' and "
                    f"carry the tag '{FAILED_TAG}': {told}{more}."
                )
        for path, made in self.pooled.items():
            if made.n_pooled:
                yield f"{made.n_pooled:,} {made.unit} pooled into '{path}'."

    def _indexing(self) -> Iterator[str]:
        for key, did in self.indexed.items():
            if key in self.mended:
                yield (
                    f"The index '{key}' was built again, with {did.n_added:,} vectors, since its "
                    f"files could not be used: {self.mended[key]}"
                )
            elif did.rebuilt:
                yield (
                    f"The index '{key}' was built again, with {did.n_added:,} vectors, since "
                    "another network has made them."
                )
            elif did.n_added or did.n_removed:
                yield f"The index '{key}' took {did.n_added:,} in and {did.n_removed:,} out."

    def _assigning(self) -> Iterator[str]:
        for key, did in self.assigned.items():
            advice = f" {did.drift.advice}" if did.drift else ""
            unit = self.units.get(key, "samples")
            yield f"{len(did.clusters):,} {unit} assigned to clusters of '{key}'.{advice}"


def update(
    dataset: "Dataset",
    *,
    embeddings: str | Sequence[str] | None = None,
    progress: "Progress | bool | None" = None,
) -> UpdateResult:
    """Embeds what is new, brings similarity indexes up to date, and assigns to clusters.

    Items without a vector are embedded as the others of the field were. Indexes of the backend
    ``"faiss"`` take in what is new and give up what was deleted; one whose files are missing or
    damaged is built again. Samples that have a vector and are in no cluster of a run get the
    nearest one. What cannot be updated is told with the reason, and does not stop the rest.
    Indexes of other backends, maps, and clusters that were found earlier stay as they are.

    Args:
        dataset: all of it is brought up to date, also where a view was embedded or clustered.
        embeddings: only these vector fields, and what was made of them, such as ``"emb"``, or
            of objects ``"ground_truth.detections.emb"``; None: all.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Returns:
        What was done.

    Raises:
        DataError: if there is no such vector field, or nothing to bring up to date.
        Cancelled: if ``progress`` raises it; what was done until then stays.
    """
    plan = check_update(dataset, embeddings)
    result = UpdateResult()
    with shown(progress, "update") as report:
        steps = list(_steps(dataset, plan, result))
        done, total = 0.0, sum(step.weight for step in steps)
        for step in steps:
            stage = part(report, done / total, (done + step.weight) / total)
            stage(0.0, f"updating {step.what}")
            try:
                step.work(stage)
            except Cancelled:
                raise
            except Exception as error:  # noqa: BLE001 - one must not stop the others
                result.failures[step.what] = _reason(error)
            done += step.weight
        report(1.0, "updated")
    return result


def check_update(dataset: "Dataset", embeddings: str | Sequence[str] | None = None) -> UpdatePlan:
    """Raises what :func:`update` would, without working; gives what would be done."""
    if not isinstance(dataset, Dataset):
        raise DataError(
            f"Pass a dataset instead of a {type(dataset).__name__}: all of it is brought up to date."
        )
    known = _vector_fields(dataset)
    chosen = (
        known if embeddings is None else _with_pooled(known, _chosen(dataset, known, embeddings))
    )
    indexes = _indexes(dataset)
    clustered = {
        key: dataset.get_run_info(key).config.embeddings
        for key in clusterings.clustering_keys(dataset)
    }
    if not known and not indexes and not clustered:
        raise DataError(f"'{dataset.name}' has no vectors to bring up to date; embed it first.")
    used = {*indexes.values(), *((path, None) for path in clustered.values())}
    fields = chosen.values() if len(dataset) else ()
    found = (_gap(items, used=_named(items) in used) for items in fields)
    gaps = sorted((gap for gap in found if gap is not None), key=lambda gap: gap.pooled)
    wanted = {_named(items) for items in chosen.values()}
    return UpdatePlan(
        tuple(gaps),
        tuple(key for key, named in indexes.items() if embeddings is None or named in wanted),
        tuple(key for key, path in clustered.items() if embeddings is None or path in chosen),
    )


@dataclass(frozen=True)
class _Step:
    what: str
    weight: float
    work: Callable[[Progress], None]


def _steps(dataset: "Dataset", plan: UpdatePlan, result: UpdateResult) -> Iterator[_Step]:
    """What to do, in its order; notes what cannot be done."""
    for gap in plan.gaps:
        what = f"the vectors '{gap.path}'"
        if gap.arguments is not None:
            work = _pool if gap.pooled else _embed
            yield _Step(what, _EMBEDDING, partial(work, dataset, gap, result))
        elif gap.reason:
            result.failures[what] = gap.reason
        else:
            result.foreign[gap.path] = gap.n_missing
    for key in plan.indexes:
        yield _Step(f"the index '{key}'", _OTHER, partial(_sync, dataset, key, result))
    for key in plan.runs:
        yield _Step(f"the clustering '{key}'", _OTHER, partial(_assign, dataset, key, result))


def _embed(dataset: "Dataset", gap: Gap, result: UpdateResult, progress: Progress) -> None:
    assert gap.arguments is not None
    result.embedded[gap.path] = embed(dataset, **gap.arguments, progress=progress)


def _pool(dataset: "Dataset", gap: Gap, result: UpdateResult, progress: Progress) -> None:
    assert gap.arguments is not None
    result.pooled[gap.path] = pool(dataset, **gap.arguments, progress=progress)


def _sync(dataset: "Dataset", key: str, result: UpdateResult, progress: Progress) -> None:
    objects = dataset.get_brain_info(key).config.patches_field
    if objects is not None and dataset.get_field(objects) is None:
        raise DataError(
            f"Its field '{objects}' was deleted; delete the index too with "
            f"dataset.delete_brain_run('{key}')."
        )
    index = dataset.load_brain_results(key)
    if index is None:
        raise DataError("It was never finished: delete the brain run and make it again.")
    try:
        result.indexed[key] = index.sync(progress)
    except BrokenIndexError as error:
        index.rebuild(progress)
        result.indexed[key] = SyncResult(index.total_index_size, 0, rebuilt=True)
        result.mended[key] = str(error.__cause__ or error)


def _assign(dataset: "Dataset", key: str, result: UpdateResult, progress: Progress) -> None:
    run = clusterings.open_clustering(dataset, key)
    items = run.items
    new = np.setdiff1d(np.array(items.ids(), str), run.raw.ids).tolist()
    if dataset.get_field(items.path) is not None:
        new = [key for key, _ in items.stored(new)]
    if not new:
        return
    unit = "samples" if items.unit == "images" else items.unit
    for path in (run.config.embeddings, run.config.field, run.config.level_field):
        if dataset.get_field(path) is None:
            raise DataError(
                f"Its field '{path}' was deleted, so {len(new):,} new {unit} get no cluster: "
                f"cluster again, or delete the run with dataset.delete_run('{key}')."
            )
    samples = flattened(dataset).select(items.sample_ids(new))
    result.assigned[key] = assign(samples, key, progress=progress)
    result.units[key] = unit


def _reason(error: Exception) -> str:
    if isinstance(error, UVLError):
        return str(error)
    _logger.error("A part of an update failed", exc_info=error)
    return f"This should not have happened: {type(error).__name__}: {error}."


def _vector_fields(dataset: "Dataset") -> dict[str, Target]:
    """Images, objects and frames with each of their vector fields, by its path."""
    found: dict[str, Target] = {
        path: whole_samples(dataset, path) for path in vectors.vector_fields(dataset)
    }
    labelled = clip_fields if dataset.media_type == "video" else patch_fields
    of_labels: list[Target] = [parts(dataset, "", field) for field in labelled(dataset)]
    if dataset.media_type == "video":
        of_labels.append(Frames(dataset, ""))
    for items in of_labels:
        for path in vectors.vector_paths(items):
            found[path] = items.with_field(path.removeprefix(items.path))
    return found


def _chosen(
    dataset: "Dataset", known: dict[str, Target], embeddings: str | Sequence[str]
) -> dict[str, Target]:
    asked = [embeddings] if isinstance(embeddings, str) else list(embeddings)
    for path in asked:
        if path not in known:
            raise DataError(
                f"'{dataset.name}' has no vector field '{path}'. Vector fields: "
                f"{', '.join(known) or 'none'}.",
                "embeddings",
            )
    return {path: known[path] for path in asked}


def _with_pooled(known: dict[str, Target], chosen: dict[str, Target]) -> dict[str, Target]:
    """The chosen fields, and those that are pooled from them."""
    made = ((path, items, pooled.earlier(items.dataset, path)) for path, items in known.items())
    return chosen | {
        path: items
        for path, items, record in made
        if record is not None and record.config.embeddings in chosen
    }


def _named(items: Target) -> tuple[str, str | None]:
    """The vector field as the record of an index names it, and the field of the objects."""
    patches_field = _objects(items)
    return (items.path if patches_field is None else items.field), patches_field


def _indexes(dataset: "Dataset") -> dict[str, tuple[str | None, str | None]]:
    """The fields that each index of our backend is of, as :func:`_named` gives them."""
    infos = ((key, dataset.get_brain_info(key).config) for key in dataset.list_brain_runs())
    return {
        key: (config.embeddings_field, config.patches_field)
        for key, config in infos
        if isinstance(config, FaissSimilarityConfig)
    }


def _gap(items: Target, *, used: bool) -> Gap | None:
    """What a vector field lacks; None for nothing.

    Args:
        used: whether there is an index or a clustering of it.
    """
    dataset, path = items.dataset, items.path
    made = pooled.earlier(dataset, path)
    if made is not None:
        return _gap_of_pool(items, made.config)
    if isinstance(items, Frames) and "backbone" in runs.origin_of(dataset, path):
        return _gap_of_frames(items)
    if "backbone" not in runs.origin_of(dataset, path):
        n_missing = len(items.ids(missing=True)) if used else 0
        return Gap(path, items.unit, n_missing) if n_missing else None
    slices, n_missing = _slices(items), 0
    try:
        arguments = {**_arguments(items), "slices": slices}
        every = target.target(dataset, items.field, patches_field=_objects(items), slices=slices)
        n_missing = len(every.ids(missing=True))
        if not n_missing:
            return None
        check_embed(dataset, **arguments)
    except UVLError as error:
        return Gap(path, items.unit, n_missing, reason=str(error))
    return Gap(path, items.unit, n_missing, arguments)


def _gap_of_pool(items: Target, config: pooled.PoolingRunConfig) -> Gap | None:
    n_missing = len(items.ids(missing=True))
    if not n_missing:
        return None
    arguments = {
        "embeddings": config.embeddings,
        "field": items.field,
        "pooling": pooled.pooling_of(config),
        "patches_field": config.patches_field,
    }
    return Gap(items.path, items.unit, n_missing, arguments, pooled=True)


def _gap_of_frames(items: Frames) -> Gap | None:
    """Videos that have no vector at all: of others it would show only in their files."""
    n_missing = len(set(items.video_ids) - set(items.videos_with_vectors()))
    if not n_missing:
        return None
    try:
        arguments = _arguments(items)
        check_embed(items.dataset, **arguments)
    except UVLError as error:
        return Gap(items.path, "videos", n_missing, reason=str(error))
    return Gap(items.path, "videos", n_missing, arguments)


def _arguments(items: Target) -> dict[str, Any]:
    """Those that the field was made with, for :func:`uvl_plugin.embed`.

    Raises:
        DataError: if they are not known, or the backbone is not what it was then.
    """
    dataset, patches_field = items.dataset, _objects(items)
    backbone = vectors.backbone_of(dataset, items.path)
    key = runs.embedding_run_key(items.path)
    record = dataset.get_run_info(key).config if dataset.has_run(key) else None
    field = items.path if isinstance(items, Frames) else items.field
    made = {"backbone": backbone, "field": field, "patches_field": patches_field}
    if isinstance(items, Frames):
        if record is None or record.field != items.path:
            raise DataError(
                f"The run '{key}', which knew the choice of frames, was deleted; embed them again."
            )
        choice = FrameChoice.from_dict(record.frames)
        return {**made, "frames": choice, "clips": record.clips, **record.engine}
    if record is not None and record.field == items.path:
        return {**made, "margin": record.margin, **record.engine}
    if patches_field is not None:
        raise DataError(
            f"The run '{key}', which knew the margin around the objects, was deleted; embed them "
            "again with overwrite=True."
        )
    return made


def _objects(items: Target) -> str | None:
    return items.patches_field if isinstance(items, Patches) else None


def _slices(items: Target) -> list[str] | None:
    """Of a grouped dataset, the slices that have vectors; None where none has, or no groups are."""
    having = []
    for name in image_slices(items.dataset):
        samples, field = items.dataset.select_group_slices([name]), _objects(items)
        own = Patches(samples, items.field, field, 0.0) if field else Images(samples, items.field)
        if len(own.ids(missing=True)) < len(own.ids()):
            having.append(name)
    return having or None

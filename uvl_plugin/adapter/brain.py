"""Similarity indexes and 2-D maps, as FiftyOne's own App reads them."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import fiftyone as fo
import fiftyone.brain as fob
from fiftyone import ViewField as F
from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter import zoo_source
from uvl_plugin.adapter.frames import Frames
from uvl_plugin.adapter.parts import Clips, Patches
from uvl_plugin.adapter.similarity_faiss import FaissSimilarityConfig, FaissSimilarityIndex
from uvl_plugin.adapter.target import Target
from uvl_plugin.adapter.vectors import backbone_of, without_vectors
from uvl_plugin.adapter.views import view_of_clips, view_of_frames
from uvl_plugin.core.errors import DataError, UVLError
from uvl_plugin.core.progress import Progress, silent
from uvl_plugin.indexing.auto import AUTO
from uvl_plugin.indexing.kind import IndexKind


def write_index(
    items: Target,
    brain_key: str,
    *,
    kind: IndexKind | str = AUTO,
    metric: str = "cosine",
    precision: str = "float32",
    progress: Progress = silent,
) -> FaissSimilarityIndex:
    """Makes a similarity index of every vector in the items' field, of the whole dataset.

    Where a backbone of this package made the vectors, any process can search the index by an
    image of its own, and by text if the backbone has a text tower.

    Raises:
        SettingsError: if there is no such kind, metric or precision.
    """
    dataset, is_frames = items.dataset, isinstance(items, Frames)
    config = FaissSimilarityConfig(
        embeddings_field=items.path if is_frames else items.field,
        patches_field=items.patches_field if isinstance(items, Patches) else None,
        kind=kind,
        metric=metric,
        precision=precision,
        **_model_of(dataset, items.path),
    )
    method = config.build()
    method.ensure_requirements()
    with _replaced(dataset, brain_key):
        method.register_run(dataset, brain_key, overwrite=False)
        index = FaissSimilarityIndex(dataset, config, brain_key, backend=method)
        index.build(progress)
        method.save_run_results(dataset, brain_key, index)
    return index


def _model_of(dataset: fo.Dataset, path: str) -> dict[str, Any]:
    """Which zoo model made the vectors, for the record of an index; nothing is loaded."""
    try:
        backbone = backbone_of(dataset, path)
    except UVLError:  # made by something else
        return {}
    return {"model": zoo_source.register(backbone), "supports_prompts": backbone.has_text}


def write_map(items: Target, brain_key: str, method: str, seed: int) -> int:
    """Makes a 2-D map of the vectors in the items' field; returns how many points it has.

    Raises:
        DataError: if none of the items has a vector, or FiftyOne cannot map them.
    """
    samples, embeddings = _mapped(items)
    if not samples:
        raise DataError(f"None of the {items.unit} has a vector in '{items.path}'.", "embeddings")
    of_labels = isinstance(items, Patches) and not isinstance(items, Clips)
    objects = getattr(items, "patches_field", None) if of_labels else None
    with _replaced(items.dataset, brain_key), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "n_jobs value")  # UMAP with a seed uses one thread
        results = fob.compute_visualization(
            samples,
            patches_field=objects,
            embeddings=embeddings,
            brain_key=brain_key,
            method=method,
            seed=seed,
            verbose=False,
            progress=False,
        )
    return len(results.points)


def _mapped(items: Target) -> tuple[SampleCollection, str]:
    """Samples that FiftyOne can make a map of, since all have a vector, and the name of its field
    there. It maps objects in images by itself; frames and clips have to be samples of a view."""
    if isinstance(items, Frames):
        return view_of_frames(items), items.field
    if isinstance(items, Clips):
        return view_of_clips(items), f"{items.patches_field}.{items.field}"
    if isinstance(items, Patches):
        if items.path == f"{items.patches_field}.{items.field}":
            raise DataError(
                f"FiftyOne maps objects in a field of lists, and '{items.patches_field}' has one "
                "object a sample.",
                "patches_field",
            )
        known = items.samples.filter_labels(items.patches_field, F(items.field).exists())
        return known, items.field
    return _with_vectors(items.samples, items.field), items.field


def _with_vectors(samples: SampleCollection, field: str) -> SampleCollection:
    return samples.exists(field) if without_vectors(samples, field) else samples


@contextlib.contextmanager
def _replaced(dataset: fo.Dataset, brain_key: str) -> Iterator[None]:
    """Deletes the brain run before the block, and a half-written one if the block fails:
    FiftyOne registers a run before it computes it."""
    delete_if_there(dataset, brain_key)
    try:
        yield
    except BaseException:
        delete_if_there(dataset, brain_key)
        raise


def delete_if_there(dataset: fo.Dataset, brain_key: str) -> None:
    """Deletes a brain run, if there is one of this key."""
    if dataset.has_brain_run(brain_key):
        dataset.delete_brain_run(brain_key)

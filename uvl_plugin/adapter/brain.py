"""Similarity indexes and 2-D maps, as FiftyOne's own App reads them."""

import contextlib
import warnings
from collections.abc import Iterator

import fiftyone as fo
import fiftyone.brain as fob
from fiftyone.brain.similarity import SimilarityIndex
from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter import zoo_source
from uvl_plugin.adapter.target import dataset_of
from uvl_plugin.adapter.vectors import backbone_of, without_vectors
from uvl_plugin.core.errors import UVLError


def write_index(samples: SampleCollection, embeddings: str, brain_key: str) -> int:
    """Makes a similarity index of the vectors in a field; returns how many it holds.

    Where a backbone of this package made the vectors, any process can search the index by an
    image of its own, and by text if the backbone has a text tower.
    """
    dataset = dataset_of(samples)
    with _replaced(dataset, brain_key):
        index = fob.compute_similarity(
            _with_vectors(samples, embeddings),
            embeddings=embeddings,
            brain_key=brain_key,
            backend="sklearn",
            progress=False,
        )
        _name_model(dataset, embeddings, index)
    return index.total_index_size


def _name_model(dataset: fo.Dataset, embeddings: str, index: SimilarityIndex) -> None:
    """Says in the index's record which zoo model made the vectors; given to FiftyOne at once,
    the name would make it load the weights."""
    try:
        backbone = backbone_of(dataset, embeddings)
    except UVLError:  # made by something else
        return
    index.config.model = zoo_source.register(backbone)
    index.config.supports_prompts = backbone.has_text
    index.save_config()
    index._supports_prompts = None  # from now on as the record says, in this process too


def write_map(
    samples: SampleCollection, embeddings: str, brain_key: str, method: str, seed: int
) -> int:
    """Makes a 2-D map of the vectors in a field; returns how many points it has."""
    with _replaced(dataset_of(samples), brain_key), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "n_jobs value")  # UMAP with a seed uses one thread
        results = fob.compute_visualization(
            _with_vectors(samples, embeddings),
            embeddings=embeddings,
            brain_key=brain_key,
            method=method,
            seed=seed,
            verbose=False,
            progress=False,
        )
    return len(results.points)


def _with_vectors(samples: SampleCollection, field: str) -> SampleCollection:
    """FiftyOne makes a map only of samples that all have a vector."""
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

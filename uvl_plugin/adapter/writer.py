"""Clusters to a field and a run record: all of it, or none of it."""

from itertools import islice

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter.runs import (
    ClusteringRunConfig,
    ClusteringRunResults,
    check_run_key,
    drop_field,
    owner_of,
)
from uvl_plugin.adapter.target import dataset_of
from uvl_plugin.adapter.vectors import check_name
from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.core.embeddings import NOISE, ClusteringResult, cluster_names, noise_name
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Progress

_ROWS = 5000  # labels in one write


def check_may_cluster(dataset: fo.Dataset, field: str, run_key: str, *, overwrite: bool) -> None:
    """Checks, before any work, that clusters may go into ``field`` under ``run_key``.

    Raises:
        DataError: if the field is of another kind, and, unless ``overwrite``, if the field
            or the key is taken.
    """
    check_run_key(dataset, run_key, overwrite=overwrite)
    check_name(field)
    existing = dataset.get_field(field)
    if existing is None:
        return
    if getattr(existing, "document_type", None) is not fo.Classification:
        raise DataError(
            f"'{field}' is a field of another kind ({existing}); choose another name for the "
            "cluster field.",
            "field",
        )
    if not overwrite:
        owner = owner_of(dataset, field)
        whose = f"run '{owner}'" if owner else "something else"
        raise DataError(
            f"'{field}' was written by {whose}; choose another field, or pass overwrite=True to "
            "replace it.",
            "field",
        )


def write_clusters(
    samples: SampleCollection,
    result: ClusteringResult,
    model: ClusterModel,
    config: ClusteringRunConfig,
    run_key: str,
    progress: Progress,
) -> None:
    """Writes the cluster field ``config.field``, its index and the run record.

    Labels go to a field beside it, which takes the field's name when it is complete: until
    then what was there before is untouched, and after a failure nothing new is left.
    """
    dataset = dataset_of(samples)
    field, staged = config.field, f"{config.field}_staged"
    _drop_staged(dataset, staged)
    try:
        _write_labels(dataset, staged, result, run_key, progress)
    except BaseException:
        _drop_staged(dataset, staged)
        raise
    try:
        if dataset.has_run(run_key):
            dataset.delete_run(run_key)
        drop_field(dataset, field)
        dataset.rename_sample_field(staged, field)
        dataset.create_index(f"{field}.label")
        samples.register_run(run_key, config)
        results = ClusteringRunResults(samples, config, run_key, model)
        dataset.save_run_results(run_key, results)
    except BaseException:
        if dataset.has_run(run_key):
            dataset.delete_run(run_key)
        _drop_staged(dataset, staged)
        drop_field(dataset, field)
        raise
    progress(1.0, "written")


def _write_labels(
    dataset: fo.Dataset, field: str, result: ClusteringResult, run_key: str, progress: Progress
) -> None:
    dataset.add_sample_field(
        field,
        fo.EmbeddedDocumentField,
        embedded_doc_type=fo.Classification,
        info={"uvl": {"run_key": run_key}},
    )
    names = dict(enumerate(cluster_names(run_key, result.n_clusters)))
    names[NOISE] = noise_name(run_key)
    rows = zip(result.ids.tolist(), result.labels.tolist(), result.strengths.tolist(), strict=True)
    written = 0
    while chunk := list(islice(rows, _ROWS)):
        labels = {
            key: fo.Classification(label=names[label], confidence=strength)
            for key, label, strength in chunk
        }
        dataset.set_values(field, labels, key_field="id", validate=False)
        written += len(chunk)
        progress(0.95 * written / len(result), f"writing clusters, {written} of {len(result)}")


def _drop_staged(dataset: fo.Dataset, staged: str) -> None:
    """Only the field: a run of the same key may be an earlier one."""
    if dataset.get_field(staged) is not None:
        dataset.delete_sample_field(staged)

"""Clusters to fields: all of it, or none of it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId
from fiftyone.core.collections import SampleCollection
from pymongo import UpdateOne

from uvl_plugin.adapter.runs import (
    ClusteringRunConfig,
    ClusteringRunResults,
    check_run_key,
    drop_field,
    owner_of,
)
from uvl_plugin.adapter.target import Images, dataset_of
from uvl_plugin.adapter.vectors import check_name, reload_samples, write_values
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Progress
from uvl_plugin.curation.naming import COARSE, FINE

_ROWS = 5000  # labels in one write


@dataclass(frozen=True)
class FieldValues:
    """What is written for ``n`` items.

    Attributes:
        ids: of the samples, shape ``(n,)``.
        names: of their clusters, shape ``(n,)``.
        others: of their clusters at the other level, shape ``(n,)``.
        strengths: shape ``(n,)``; NaN: as it is.
        nearest: for noise, name of the nearest cluster, and how far it is; else None.
    """

    ids: np.ndarray
    names: np.ndarray
    others: np.ndarray
    strengths: np.ndarray
    nearest: list[tuple[str, float] | None]

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Id, attributes of the label, and name at the other level, one item at a time."""
        columns = (self.ids, self.names, self.others, self.strengths)
        lists = (column.tolist() for column in columns)
        for key, name, other, strength, near in zip(*lists, self.nearest, strict=True):
            attributes = {"label": name}
            if not math.isnan(strength):
                attributes["confidence"] = strength
            if near is not None:
                attributes |= {"nearest": near[0], "distance": near[1]}
            yield key, attributes, other


def level_field(field: str, level: str) -> str:
    """The field of the other level."""
    return f"{field}_{level}"


def check_may_cluster(dataset: fo.Dataset, field: str, run_key: str, *, overwrite: bool) -> None:
    """Checks, before any work, that clusters may go into ``field`` under ``run_key``.

    Raises:
        DataError: if a field is of another kind, and, unless ``overwrite``, if a field or the
            key is taken.
    """
    check_run_key(dataset, run_key, overwrite=overwrite)
    check_name(field)
    for path in (field, level_field(field, FINE), level_field(field, COARSE)):
        _check_field(dataset, path, overwrite=overwrite)


def _check_field(dataset: fo.Dataset, path: str, *, overwrite: bool) -> None:
    existing = dataset.get_field(path)
    if existing is None:
        return
    if getattr(existing, "document_type", None) is not fo.Classification:
        raise DataError(
            f"'{path}' is a field of another kind ({existing}); choose another name for the "
            "cluster field.",
            "field",
        )
    if not overwrite:
        owner = owner_of(dataset, path)
        whose = f"run '{owner}'" if owner else "something else"
        raise DataError(
            f"'{path}' was written by {whose}; choose another field, or pass overwrite=True to "
            "replace it.",
            "field",
        )


def write_clusters(
    samples: SampleCollection,
    values: FieldValues,
    results: ClusteringRunResults,
    progress: Progress,
) -> None:
    """Writes both fields of a new clustering, their indexes and the run record.

    Labels go to fields beside them, which take their names when they are complete: until then
    what was there before is untouched, and after a failure nothing new is left.
    """
    dataset, config, run_key = dataset_of(samples), results.config, results.key
    fields = {f"{path}_staged": path for path in (config.field, config.level_field)}
    _drop(dataset, fields)
    try:
        for staged in fields:
            _make_field(dataset, staged, run_key)
        write_labels(dataset, list(fields), values, progress)
    except BaseException:
        _drop(dataset, fields)
        raise
    try:
        if dataset.has_run(run_key):
            dataset.delete_run(run_key)
        for path in (config.field, *(level_field(config.field, level) for level in (FINE, COARSE))):
            drop_field(dataset, path)
        for staged, path in fields.items():
            dataset.rename_sample_field(staged, path)
            dataset.create_index(f"{path}.label")
        _declare(dataset, config)
        samples.register_run(run_key, config)
        dataset.save_run_results(run_key, results)
    except BaseException:
        if dataset.has_run(run_key):
            dataset.delete_run(run_key)
        _drop(dataset, [*fields, *fields.values()])
        raise
    progress(1.0, "written")


def update_clusters(
    dataset: fo.Dataset, config: ClusteringRunConfig, values: FieldValues, progress: Progress
) -> None:
    """Writes the labels of some items into the fields of a clustering that is there; what else
    their labels hold stays."""
    _declare(dataset, config)
    now, rows, written = datetime.now(timezone.utc), values.rows(), 0
    while chunk := list(islice(rows, _ROWS)):
        operations = []
        for key, attributes, other in chunk:
            changes = {f"{config.field}.{name}": value for name, value in attributes.items()}
            changes |= {f"{config.level_field}.label": other, "last_modified_at": now}
            gone = {} if "nearest" in attributes else _unset(config.field)
            operations.append(UpdateOne({"_id": ObjectId(key)}, {"$set": changes, **gone}))
        dataset._sample_collection.bulk_write(operations, ordered=False)
        reload_samples(dataset, [key for key, _, _ in chunk])
        written += len(chunk)
        progress(written / len(values), f"writing clusters, {written:,} of {len(values):,}")


def _unset(field: str) -> dict[str, Any]:
    return {"$unset": {f"{field}.nearest": "", f"{field}.distance": ""}}


def _make_field(dataset: fo.Dataset, path: str, run_key: str) -> None:
    dataset.add_sample_field(
        path,
        fo.EmbeddedDocumentField,
        embedded_doc_type=fo.Classification,
        info={"uvl": {"run_key": run_key}},
    )


def _declare(dataset: fo.Dataset, config: ClusteringRunConfig) -> None:
    """Lets the App filter noise by its nearest cluster and how far it is."""
    if config.n_noise and dataset.get_field(f"{config.field}.nearest") is None:
        dataset.add_sample_field(f"{config.field}.nearest", fo.StringField)
        dataset.add_sample_field(f"{config.field}.distance", fo.FloatField)


def write_labels(
    dataset: fo.Dataset, fields: list[str], values: FieldValues, progress: Progress
) -> None:
    """Writes new labels into both fields, in place of those that items have.

    Args:
        fields: the cluster field and that of the other level.
    """
    main, other = (Images(dataset, path) for path in fields)
    rows, written = values.rows(), 0
    while chunk := list(islice(rows, _ROWS)):
        write_values(main, {key: _label(attributes) for key, attributes, _ in chunk})
        write_values(
            other,
            {
                key: _label({"label": name, "confidence": attributes["confidence"]})
                for key, attributes, name in chunk
            },
        )
        written += len(chunk)
        progress(0.95 * written / len(values), f"writing clusters, {written:,} of {len(values):,}")


def _label(attributes: dict[str, Any]) -> dict[str, Any]:
    """A ``Classification`` as MongoDB keeps it."""
    return {"_id": ObjectId(), "_cls": "Classification", "tags": [], **attributes}


def _drop(dataset: fo.Dataset, fields: "list[str] | dict[str, str]") -> None:
    """Only the fields: a run of the same key may be an earlier one."""
    for path in fields:
        if dataset.get_field(path) is not None:
            dataset.delete_sample_field(path)


def write_attribute(
    dataset: fo.Dataset, field: str, name: str, values: Mapping[str, float]
) -> None:
    """Writes a number to an attribute of the cluster label of each sample, by its id."""
    if dataset.get_field(f"{field}.{name}") is None:
        dataset.add_sample_field(f"{field}.{name}", fo.FloatField)
    write_values(Images(dataset, f"{field}.{name}"), values)


def check_heatmap(dataset: fo.Dataset, field: str) -> None:
    """Raises :class:`DataError` unless ``field`` can take heat maps."""
    check_name(field)
    existing = dataset.get_field(field)
    if existing is not None and getattr(existing, "document_type", None) is not fo.Heatmap:
        raise DataError(
            f"'{field}' is a field of another kind ({existing}); choose another name for the heat "
            "maps.",
            "heatmap",
        )


def write_heatmap(dataset: fo.Dataset, field: str, key: str, values: np.ndarray) -> None:
    """Writes a heat map over the whole image of a sample.

    Args:
        values: shape ``(height, width)``, 0 to 1.
    """
    shades = np.rint(values * 255).astype(np.uint8)
    dataset.set_values(field, {key: fo.Heatmap(map=shades, range=[0, 255])}, key_field="id")

"""Clusters to fields: all of it, or none of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import fiftyone as fo
import numpy as np

from uvl_plugin.adapter.cluster_fields import ClusterField, FieldValues, still_there
from uvl_plugin.adapter.fields import delete_field, rename_field
from uvl_plugin.adapter.runs import (
    ClusteringRunConfig,
    ClusteringRunResults,
    check_run_key,
    drop_field,
    owner_of,
)
from uvl_plugin.adapter.vectors import check_name, write_rows, write_values
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Progress

_ROWS = 5000  # labels in one write
_STAGED = "staged_"  # before the names of fields that are not complete yet


def check_may_cluster(place: ClusterField, run_key: str, *, overwrite: bool) -> None:
    """Checks, before any work, that clusters may go into a field under ``run_key``.

    Raises:
        DataError: if a field is of another kind, and, unless ``overwrite``, if a field or the
            key is taken.
    """
    check_run_key(place.items.dataset, run_key, overwrite=overwrite)
    check_name(place.name)
    for name, kind in place.possible.items():
        _check_field(place, name, kind, overwrite=overwrite)


def _check_field(place: ClusterField, name: str, kind: type[fo.Field], *, overwrite: bool) -> None:
    path = place.path_of(name)
    existing = place.items.dataset.get_field(path)
    if existing is None:
        return
    if not place.is_of_kind(existing, kind):
        raise DataError(
            f"'{path}' is a field of another kind ({existing}); choose another name for the "
            "cluster field.",
            "field",
        )
    if not overwrite:
        owner = owner_of(place.items.dataset, path)
        whose = f"run '{owner}'" if owner else "something else"
        raise DataError(
            f"'{path}' was written by {whose}; choose another field, or pass overwrite=True to "
            "replace it.",
            "field",
        )


def write_clusters(
    place: ClusterField, values: FieldValues, results: ClusteringRunResults, progress: Progress
) -> None:
    """Writes the fields of a new clustering, the indexes of both levels and the run record.

    Labels go to fields beside them, which take their names when they are complete: until then
    what was there before is untouched, and after a failure nothing new is left.
    """
    dataset, config, run_key = place.items.dataset, results.config, results.key
    columns = place.columns(config.level, noise=bool(config.n_noise))
    names = {f"{_STAGED}{name}": name for name in columns}
    _drop(place, names)
    try:
        for staged, name in names.items():
            place.make(staged, columns[name], run_key)
        new = (
            (key, place.new(attributes, other, config.level))
            for key, attributes, other in values.rows()
        )
        staged_rows = (
            (key, {f"{_STAGED}{name}": value for name, value in row.items()}) for key, row in new
        )
        _write(place, staged_rows, len(values), progress)
    except BaseException:
        _drop(place, names)
        raise
    try:
        if dataset.has_run(run_key):
            dataset.delete_run(run_key)
        for name in place.possible:
            drop_field(dataset, place.path_of(name))
        for staged, name in names.items():
            rename_field(dataset, place.path_of(staged), place.path_of(name))
        dataset.reload()  # its fields still know themselves by their names before
        for name in (place.name, place.level(config.level)):
            dataset.create_index(place.text_of(name))
        _declare(place, config, run_key)
        place.items.samples.register_run(run_key, config)
        dataset.save_run_results(run_key, results)
    except BaseException:
        if dataset.has_run(run_key):
            dataset.delete_run(run_key)
        _drop(place, [*names, *names.values()])
        raise
    progress(1.0, "written")


def update_clusters(
    place: ClusterField,
    config: ClusteringRunConfig,
    run_key: str,
    values: FieldValues,
    progress: Progress,
) -> None:
    """Writes the labels of some items into the fields of a clustering that is there; what else
    their labels hold stays."""
    _declare(place, config, run_key)
    none, there = place.noise_gone(), set(still_there(place.items, values.ids.tolist()))
    rows = (
        (key, {**none, **place.changed(attributes, other, config.level)})
        for key, attributes, other in values.rows()
        if key in there
    )
    _write(place, rows, len(there), progress)


def _declare(place: ClusterField, config: ClusteringRunConfig, run_key: str) -> None:
    if config.n_noise:
        place.declare_noise(run_key)


def write_labels(place: ClusterField, level: str, values: FieldValues, progress: Progress) -> None:
    """Writes new labels into both fields, in place of those that items have."""
    rows = ((key, place.new(attributes, other, level)) for key, attributes, other in values.rows())
    _write(place, rows, len(values), progress)


def clear_labels(place: ClusterField, level: str, ids: Sequence[str]) -> None:
    """Takes the labels of some items out of both fields."""
    nothing = place.nothing(level)
    for start in range(0, len(ids), _ROWS):
        write_rows(place.items, dict.fromkeys(ids[start : start + _ROWS], nothing))


def _write(
    place: ClusterField, rows: Iterable[tuple[str, dict[str, Any]]], count: int, progress: Progress
) -> None:
    left: Iterator[tuple[str, dict[str, Any]]] = iter(rows)
    written = 0
    while some := dict(islice(left, _ROWS)):
        write_rows(place.items, some)
        written += len(some)
        progress(0.95 * written / count, f"writing clusters, {written:,} of {count:,}")


def _drop(place: ClusterField, names: Iterable[str]) -> None:
    """Only the fields: a run of the same key may be an earlier one."""
    for name in names:
        delete_field(place.items.dataset, place.path_of(name))


def write_attribute(
    place: ClusterField, run_key: str, name: str, values: Mapping[str, float]
) -> None:
    """Writes a number about the cluster of each item, by its id."""
    place.declare(name, fo.FloatField, run_key)
    write_values(place.items.with_field(place.attribute(name)), values)


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

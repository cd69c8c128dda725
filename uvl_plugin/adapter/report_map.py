"""The points of the map in a report: of a map that is there, or a quick one of the vectors."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np
from fiftyone.core.view import DatasetView

from uvl_plugin.adapter.frames import Frames
from uvl_plugin.adapter.parts import Clips, Patches
from uvl_plugin.adapter.target import Target
from uvl_plugin.adapter.vectors import read_items
from uvl_plugin.core.errors import DataError

MOST_POINTS = 4000  # some 40 kB of drawing, and no page gets slow


@dataclass(frozen=True)
class MapPoints:
    """Some items and where they lie.

    Attributes:
        ids: shape ``(n,)``.
        points: shape ``(n, 2)``.
        said: what the map is, as a sentence.
    """

    ids: np.ndarray
    points: np.ndarray
    said: str


def map_keys(dataset: fo.Dataset) -> list[str]:
    """Keys of the 2-D maps of a dataset, the newest first."""
    infos = [dataset.get_brain_info(key) for key in dataset.list_brain_runs(type="visualization")]
    return [info.key for info in sorted(infos, key=lambda info: info.timestamp, reverse=True)]


def check_map(dataset: fo.Dataset, brain_key: str) -> None:
    """Raises :class:`DataError` unless there is a map of this key."""
    known = map_keys(dataset)
    if brain_key not in known:
        raise DataError(
            f"'{dataset.name}' has no map '{brain_key}'. Maps: {', '.join(known) or 'none'}.",
            "brain_key",
        )


def read_map(items: Target, brain_key: str | None) -> MapPoints | None:
    """The map of this key, else the newest of these vectors, else the first two principal
    components of a sample of them; None where there are no vectors.

    Args:
        items: with their vector field; only those of a view are in the map.

    Raises:
        DataError: if the map of this key is of other items.
    """
    known = set(items.ids()) if isinstance(items.samples, DatasetView) else None
    for key in _candidates(items) if brain_key is None else [brain_key]:
        ids, points = _stored(items.dataset, key)
        kept = np.array([known is None or one in known for one in ids.tolist()], bool)
        if kept.any():
            return _sampled(ids[kept], points[kept], f"The map '{key}' of {items.unit}")
    if brain_key is not None:
        raise DataError(
            f"The map '{brain_key}' has none of the {items.unit} of this report; choose another, "
            "or leave brain_key out.",
            "brain_key",
        )
    return _quick(items)


def _candidates(items: Target) -> Iterator[str]:
    """Keys of the maps of these vectors, the newest first."""
    for key in map_keys(items.dataset):
        config = items.dataset.get_brain_info(key).config
        if _of(config, "embeddings_field") in _names(items) and (
            _of(config, "patches_field") == _boxes(items)
        ):
            yield key


def _of(config: Any, name: str) -> Any:
    return getattr(config, name, None)


def _boxes(items: Target) -> str | None:
    """Objects are mapped by FiftyOne itself; frames and clips as samples of a view."""
    if isinstance(items, Patches) and not isinstance(items, Clips):
        return items.patches_field
    return None


def _names(items: Target) -> set[str]:
    """What the vectors may be called in the record of a map."""
    if isinstance(items, Clips):
        return {f"{items.patches_field}.{items.field}"}
    if isinstance(items, Frames | Patches):
        return {items.field, items.path}
    return {items.path}


def _stored(dataset: fo.Dataset, brain_key: str) -> tuple[np.ndarray, np.ndarray]:
    """Ids and points of a map, in the order of the ids."""
    found = dataset.load_brain_results(brain_key, cache=False, load_view=False)
    ids = np.array(found.sample_ids if found.label_ids is None else found.label_ids, str)
    order = np.argsort(ids)
    return ids[order], np.asarray(found.points, float)[order, :2]


def _sampled(ids: np.ndarray, points: np.ndarray, what: str) -> MapPoints:
    chosen = _evenly(len(ids))
    some = f", {len(chosen):,} of {len(ids):,} points" if len(chosen) < len(ids) else ""
    said = f"{what}{some}: what lies close together looks alike."
    return MapPoints(ids[chosen], points[chosen], said)


def _evenly(n: int) -> np.ndarray:
    """Places of at most :data:`MOST_POINTS` of ``n``, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).astype(int))


def _quick(items: Target) -> MapPoints | None:
    ids = np.array(sorted(items.ids()), str)
    try:
        found, _ = read_items(items, ids[_evenly(len(ids))].tolist())
    except DataError:  # no vectors: then there is no map
        return None
    points, kept = _principal(found.vectors)
    of = f"{len(found):,} of {len(ids):,}" if len(found) < len(ids) else f"{len(ids):,}"
    return MapPoints(
        found.ids,
        points,
        f"A quick map: the first two principal components of the vectors of {of} {items.unit}, "
        f"which hold {kept:.0%} of their spread. A map by UMAP shows groups more clearly: Explore "
        "this dataset makes one.",
    )


def _principal(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """First two principal components of vectors scaled to length 1, ``(n, 2)``, and their share of
    the variance. The sign is such that the largest weight is positive."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    centred = vectors / np.maximum(lengths, 1e-12)
    centred = centred - centred.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    points = np.zeros((len(vectors), 2))
    points[:, : axes.shape[1]] = centred @ axes
    return points, float(values[-2:].sum() / max(values.sum(), 1e-12))

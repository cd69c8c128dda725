"""How a cluster stands in the fields of an item.

Samples and frames have a ``Classification`` at each level, so that the App shows it on the media
and plays it with a video. Objects and clips are labels themselves, and the App filters and colours
these by plain attributes only: text at each level, and numbers whose names begin with that of the
cluster.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np
from fiftyone.core.video import FramesView

from uvl_plugin.adapter.documents import new_label
from uvl_plugin.adapter.fields import add_field
from uvl_plugin.adapter.frames import FRAMES, Frames
from uvl_plugin.adapter.parts import Patches
from uvl_plugin.adapter.target import Target
from uvl_plugin.core.errors import DataError
from uvl_plugin.curation.naming import COARSE, FINE

_DEFAULT = "cluster"
_OF_NOISE = {"nearest": fo.StringField, "distance": fo.FloatField}


@dataclass(frozen=True)
class FieldValues:
    """What is written for ``n`` items.

    Attributes:
        ids: of the items, shape ``(n,)``.
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


@dataclass(frozen=True)
class ClusterField:
    """A cluster field of samples or frames, a ``Classification``.

    Attributes:
        items: whose clusters they are.
        name: of the field, without what stands before it in its path.
    """

    items: Target
    name: str

    @property
    def path(self) -> str:
        """The field as FiftyOne knows it: ``frames.cluster``."""
        return self.path_of(self.name)

    @property
    def possible(self) -> dict[str, type[fo.Field]]:
        """The fields that clusters may be written to, and their types."""
        names = (self.name, self.level(FINE), self.level(COARSE))
        return dict.fromkeys(names, fo.EmbeddedDocumentField)

    def columns(self, level: str, *, noise: bool) -> dict[str, type[fo.Field]]:
        """The fields that a new clustering has, and their types."""
        return {name: self.possible[name] for name in (self.name, self.level(level))}

    def level(self, level: str) -> str:
        """The field of the other level."""
        return f"{self.name}_{level}"

    def attribute(self, name: str) -> str:
        """Where something else about the cluster of an item stands: ``cluster.confidence``."""
        return f"{self.name}.{name}"

    def path_of(self, name: str) -> str:
        """The path of a field of the items."""
        return self.items.with_field(name).path

    def text_of(self, name: str) -> str:
        """The path of the text in a field of clusters: ``frames.cluster.label``."""
        return f"{self.path_of(name)}.label"

    def make(self, name: str, kind: type[fo.Field], run_key: str) -> None:
        """Adds a field, and notes whose it is."""
        options = {"info": {"uvl": {"run_key": run_key}}}
        if kind is fo.EmbeddedDocumentField:
            options |= {"embedded_doc_type": fo.Classification}
        add_field(self.items.dataset, self.path_of(name), kind, **options)

    def declare_noise(self, run_key: str) -> None:
        """Lets the App filter noise by its nearest cluster and how far it is."""
        for name, kind in _OF_NOISE.items():
            self.declare(name, kind, run_key)

    def declare(self, name: str, kind: type[fo.Field], run_key: str) -> None:
        """Makes the field of something else about the cluster, if it is not there yet."""
        path = self.path_of(self.attribute(name))
        if self.items.dataset.get_field(path) is None:
            add_field(self.items.dataset, path, kind)

    def new(self, attributes: dict[str, Any], other: str, level: str) -> dict[str, Any]:
        """Values by field for an item that gets a cluster, in place of what it has."""
        confidence = attributes["confidence"]
        return {
            self.name: new_label("Classification", **attributes),
            self.level(level): new_label("Classification", label=other, confidence=confidence),
        }

    def changed(self, attributes: dict[str, Any], other: str, level: str) -> dict[str, Any]:
        """Values by field for an item whose cluster changes; what else its label holds stays."""
        return {
            **{self.attribute(name): value for name, value in attributes.items()},
            f"{self.level(level)}.label": other,
        }

    def nothing(self, level: str) -> dict[str, Any]:
        """Values by field for an item that has no cluster."""
        return dict.fromkeys(self.columns(level, noise=False))

    def noise_gone(self) -> dict[str, Any]:
        """Values by field that say of an item that it is no noise; empty where none ever was."""
        names = [self.attribute(name) for name in _OF_NOISE]
        dataset = self.items.dataset
        return {name: None for name in names if dataset.get_field(self.path_of(name)) is not None}

    def is_of_kind(self, existing: fo.Field, kind: type[fo.Field]) -> bool:
        """Whether a field that is there could be one of clusters."""
        return getattr(existing, "document_type", None) is fo.Classification


@dataclass(frozen=True)
class PlainClusterField(ClusterField):
    """A cluster field of objects or clips: text in an attribute of these labels."""

    @property
    def possible(self) -> dict[str, type[fo.Field]]:
        numbers = {"confidence": fo.FloatField, **_OF_NOISE}
        return {
            **dict.fromkeys((self.name, self.level(FINE), self.level(COARSE)), fo.StringField),
            **{self.attribute(name): kind for name, kind in numbers.items()},
        }

    def columns(self, level: str, *, noise: bool) -> dict[str, type[fo.Field]]:
        names = [self.name, self.level(level), self.attribute("confidence")]
        if noise:
            names += [self.attribute(name) for name in _OF_NOISE]
        return {name: self.possible[name] for name in names}

    def attribute(self, name: str) -> str:
        return self.name if name == "label" else f"{self.name}_{name}"

    def text_of(self, name: str) -> str:
        return self.path_of(name)

    def declare(self, name: str, kind: type[fo.Field], run_key: str) -> None:
        if self.items.dataset.get_field(self.path_of(self.attribute(name))) is None:
            self.make(self.attribute(name), kind, run_key)

    def new(self, attributes: dict[str, Any], other: str, level: str) -> dict[str, Any]:
        return self.changed(attributes, other, level)

    def changed(self, attributes: dict[str, Any], other: str, level: str) -> dict[str, Any]:
        own = {self.attribute(name): value for name, value in attributes.items()}
        return {**own, self.level(level): other}

    def nothing(self, level: str) -> dict[str, Any]:
        return dict.fromkeys(self.columns(level, noise=False)) | self.noise_gone()

    def is_of_kind(self, existing: fo.Field, kind: type[fo.Field]) -> bool:
        return type(existing) is kind


def cluster_field(items: Target, name: str) -> ClusterField:
    """The cluster field of this name of images, videos, frames, objects or clips."""
    return (PlainClusterField if isinstance(items, Patches) else ClusterField)(items, name)


def field_name(items: Target, field: str | None) -> str:
    """The name of a cluster field without what stands before it in its path.

    Args:
        field: as a person gives it; None: ``"cluster"``, of frames ``"frames.cluster"``.

    Raises:
        DataError: if the vectors are of frames and the field is not, or the other way round.
    """
    if field is None:
        return _DEFAULT
    of_frames = field.startswith(FRAMES)
    if isinstance(items, Frames):
        if not (of_frames or isinstance(items.samples, FramesView)):
            raise DataError(
                f"'{items.path}' is of frames and '{field}' is not, so the clusters cannot go "
                f"there; choose '{FRAMES}{field}'.",
                "field",
            )
        return field.removeprefix(FRAMES)
    if of_frames:
        raise DataError(
            f"'{field}' is of frames and the vectors in '{items.path}' are of {items.unit}; choose "
            f"'{field.removeprefix(FRAMES)}', or vectors of frames.",
            "field",
        )
    return field


def still_there(items: Target, ids: Sequence[str]) -> list[str]:
    """Those items that were not deleted since, where that has to be known before they are read
    or written: labels are found through their samples."""
    if not isinstance(items, Patches):
        return list(ids)
    known = set(items.ids())
    return [key for key in ids if key in known]

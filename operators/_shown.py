"""Which clusters the grid shows: the stages of a view that say so, made and found again.

What is selected in the panel Clusters is kept nowhere but in the view, so that it survives a
reload of the page, a saved view and the back button of the browser.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import fiftyone.core.view as fov
import fiftyone.server.view as fosv
from fiftyone.core.stages import ViewStage

from uvl_plugin.adapter.cluster_fields import ClusterField
from uvl_plugin.adapter.clusterings import items_of, place_of
from uvl_plugin.adapter.frames import FRAMES, Frames
from uvl_plugin.adapter.parts import Clips, Patches
from uvl_plugin.adapter.views import frames_view

Stages = list[dict[str, Any]]  # of a view, as the App sends them

_TILES = {"ToFrames", "ToPatches", "ToClips", "ToEvaluationPatches", "ToTrajectories"}


@dataclass(frozen=True)
class Parted:
    """A view in two parts.

    Attributes:
        base: its stages without those that show clusters.
        names: the clusters that these show; empty where there are no such stages.
    """

    base: Stages
    names: list[str]


@dataclass(frozen=True)
class Shown:
    """How the items of clusters are shown, each in a tile of its own.

    Attributes:
        place: the cluster field.
        name: of it, or of that of the other level.
    """

    place: ClusterField
    name: str

    @classmethod
    def of(cls, dataset: fo.Dataset, run_key: str, config: Any, level: str) -> "Shown":
        """How those of a run are shown at a level."""
        place = place_of(items_of(dataset, run_key, config), config)
        return cls(place, place.level(level) if level else place.name)

    def parted(self, stages: Stages) -> Parted:
        """Takes apart what :meth:`stages` and the user put together."""
        if stages:
            names = _names_in(stages[-1], self._match)
            if names is not None:
                return Parted(stages[:-1], names)
        if len(stages) > 1 and _kind(stages[-1]) == self._tile:
            names = _names_in(stages[-2], self._filter)
            if names is not None:
                return Parted(stages[:-2], names)
        return Parted(stages, [])

    def view(self, dataset: fo.Dataset, base: Stages, names: Sequence[str]) -> fov.DatasetView:
        """The items of these clusters that are in a view; without names the view itself."""
        tiles = [stage for stage in base if _kind(stage) in _TILES]
        if any(_kind(stage) != self._tile for stage in tiles):  # of something else
            base, tiles = [], []
        view = fov.DatasetView._build(dataset, base)
        if not names:
            return view
        if tiles or not self._tile:
            return view.add_stage(self._match(names))
        return self._tiled(view.add_stage(self._filter(names)))

    def inside(self, dataset: fo.Dataset, base: Stages, filters: dict, extended: dict):
        """What is in a view under the filters of the sidebar."""
        as_tiles = any(_kind(stage) in _TILES for stage in base)
        if not as_tiles:
            filters = {self._in_dataset(path): value for path, value in filters.items()}
        if not (base or filters or extended):
            return dataset
        return fosv.get_view(dataset, stages=base, filters=filters, extended_stages=extended)

    def are_items(self, stages: Stages) -> bool:
        """Whether each sample of a view is one of the items."""
        tiles = [_kind(stage) for stage in stages if _kind(stage) in _TILES]
        return tiles == ([self._tile] if self._tile else [])

    @property
    def _text(self) -> str:
        """The path of the names in a tile."""
        inner = self.place.text_of(self.name)
        if isinstance(self.place.items, Patches):
            return f"{self.place.items.patches_field}.{inner.rpartition('.')[2]}"
        return inner.removeprefix(FRAMES)

    @property
    def _tile(self) -> str:
        """The kind of stage that makes tiles of samples; empty where samples are tiles."""
        items = self.place.items
        if isinstance(items, Patches):
            return "ToClips" if isinstance(items, Clips) else "ToPatches"
        return "ToFrames" if isinstance(items, Frames) else ""

    def _match(self, names: Sequence[str]) -> ViewStage:
        return fo.Match({self._text: {"$in": list(names)}})  # as a query: an index can find them

    def _filter(self, names: Sequence[str]) -> ViewStage:
        items = self.place.items
        if isinstance(items, Patches):
            inner = self._text.removeprefix(f"{items.patches_field}.")
            return fo.FilterLabels(items.patches_field, _among(inner, names))
        return fo.MatchFrames(_among(self._text, names))

    def _tiled(self, view: fov.DatasetView) -> fov.DatasetView:
        items = self.place.items
        if isinstance(items, Patches):
            make = view.to_clips if isinstance(items, Clips) else view.to_patches
            return make(items.patches_field)
        return frames_view(view)

    def _in_dataset(self, path: str) -> str:
        """The path of a filter that was set on tiles."""
        items = self.place.items
        if isinstance(items, Patches) and path.startswith(f"{items.patches_field}."):
            before = items.path.removesuffix(items.field)
            return before + path.removeprefix(before).removeprefix(f"{items.patches_field}.")
        if isinstance(items, Frames) and items.dataset.get_field(path) is None:
            return FRAMES + path.removeprefix(FRAMES)
        return path


def _among(path: str, names: Sequence[str]) -> dict[str, Any]:
    """What a label or frame must meet; written out, as an expression has another form in a stage
    that is in no view yet."""
    return {"$in": [f"$$this.{path}", list(names)]}


def _names_in(stage: dict, make: Callable[[list[str]], ViewStage]) -> list[str] | None:
    """The names in a stage, if it is the one that ``make`` makes of them."""
    names = _listed(dict(stage["kwargs"]).get("filter"))
    if names is None:
        return None
    own = make(names)._serialize(include_uuid=False)
    same = json.dumps(own["kwargs"]) == json.dumps([list(pair) for pair in stage["kwargs"]])
    return names if same and own["_cls"] == stage["_cls"] else None


def _listed(condition: Any) -> list[str] | None:
    """The values in ``{path: {"$in": [...]}}`` or ``{"$in": [path, [...]]}``."""
    if not isinstance(condition, dict) or len(condition) != 1:
        return None
    ((key, value),) = condition.items()
    if key == "$in":
        found = value[1] if isinstance(value, list) and len(value) == 2 else None
    else:
        found = value.get("$in") if isinstance(value, dict) else None
    return found if isinstance(found, list) else None


def _kind(stage: dict) -> str:
    return str(stage["_cls"]).rpartition(".")[2]

"""What the panel Clusters looks at: a run at a level, in the view that the App shows."""

import hashlib
import json
import time

from bson import json_util

import uvl_plugin as uvl
from uvl_plugin.adapter.cards import Cards, cards
from uvl_plugin.adapter.clusterings import clustering_keys, record_of
from uvl_plugin.core.embeddings import noise_name

from ._clusters import noun_of_run
from ._shown import Parted, Shown


class Window:
    """What the panel looks at: a run at a level, and the view of the App taken apart."""

    def __init__(self, ctx, *, base=None, run_key=None, level=None, labels=None):
        state = ctx.panel.state
        self.ctx = ctx
        self.run_key = run_key or chosen_clustering(ctx)
        self.config = record_of(ctx.dataset, self.run_key)
        if base is None:  # as it was chosen before
            level, labels = state.level, state.labels
            level = level if level == self.config.level else ""  # else of a run that is gone
        self.level, self.labels = level or "", labels or None
        self.noise = noise_name(self.config.stem)
        self.shown = Shown.of(ctx.dataset, self.run_key, self.config, self.level)
        self.parted = self.shown.parted(_stages(ctx)) if base is None else Parted(base, [])

    @property
    def names(self):
        """The clusters that the grid is filtered to."""
        return self.parted.names

    @property
    def seen(self):
        """What is filtered besides, in short, and the clusters that the grid is filtered to."""
        besides = [_plain(self.parted.base), *self._filters]
        text = json.dumps(besides, sort_keys=True, default=json_util.default)
        return {"besides": hashlib.sha1(text.encode()).hexdigest(), "selected": self.names}

    @property
    def _filters(self):
        params = self.ctx.request_params
        return params.get("filters") or {}, params.get("extended") or {}

    def view(self, names):
        """What else is filtered, and of it the items of some clusters. The filters of the sidebar
        become stages, as the App drops them when it gets a view."""
        base = self.parted.base
        if any(self._filters):
            base = self._besides()._serialize(include_uuids=False)
        return self.shown.view(self.ctx.dataset, base, names)

    def cards(self) -> Cards:
        return cards(self._besides(), self.run_key, labels=self.labels, level=self.level)

    def _besides(self):
        """What is in the view but for the panel's own filter."""
        return self.shown.inside(self.ctx.dataset, self.parted.base, *self._filters)

    def board(self):
        """All that the browser draws."""
        found = self.cards()
        return vars(found) | {
            "cards": [vars(card) for card in found.cards],  # asdict would copy each value
            "runs": clustering_keys(self.ctx.dataset),
            "labels": self.labels or "",
            "noise": self.noise,
            "proposals": {} if self.level else getattr(self.config, "proposals", None) or {},
            "seen": self.seen,
            "stamp": time.monotonic_ns(),  # new cards, if it differs
        }

    def sizes(self):
        """Items by the name of each cluster that there is at the level."""
        if not self.level:
            return {cluster["name"]: cluster["size"] for cluster in self.config.clusters}
        return {card.name: card.size for card in self.cards().cards}

    def check(self, names):
        check_names(names, [*self.sizes(), self.noise], self.run_key)

    def items(self, selected):
        """Ids of the items that are selected in the grid."""
        if not selected:
            raise uvl.DataError("Select samples in the grid first; then they can be moved.")
        if not self.shown.are_items(_stages(self.ctx)):
            noun = noun_of_run(self.ctx, self.run_key)
            raise uvl.DataError(
                f"The clusters are of {noun}, and what is selected are not: click a cluster, so that "
                f"the grid shows {noun}, and select there."
            )
        return list(selected)


def chosen_clustering(ctx):
    """The chosen run, else the newest; "" where there is none."""
    keys = clustering_keys(ctx.dataset) if ctx.dataset is not None else []
    chosen = ctx.panel.state.run_key
    return chosen if chosen in keys else next(reversed(keys), "")


def _stages(ctx):
    """The stages of the App's view, without the filters of the sidebar."""
    params = ctx.request_params
    if params.get("view_name"):
        return ctx.view._serialize(include_uuids=False)
    return params.get("view") or []


def _plain(stages):
    return [{"_cls": stage["_cls"], "kwargs": stage["kwargs"]} for stage in stages]


def check_names(names, known, run_key):
    unknown = [name for name in names if name not in known]
    if unknown:
        raise uvl.DataError(
            f"'{run_key}' has no cluster '{unknown[0]}' now; the panel shows those that it has.",
            "clusters",
        )

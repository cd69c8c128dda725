"""Panel: the clusters of a run as cards, to look at, to filter by, to edit and to name.

What is drawn is in ``clusters_panel.js``. This side answers its events: it checks what the browser
sends, and no callback raises an error of the plugin, as FiftyOne would replace the panel by it.
"""

import functools
import json
from collections.abc import Callable

import fiftyone.operators as foo
from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.accepting import unused
from uvl_plugin.adapter.cards import thumbnails
from uvl_plugin.adapter.clusterings import record_of

from ._shown import Parted
from ._window import Window, check_names, chosen_clustering
from .review_panel import PANEL as REVIEW

PANEL = "uvl_clusters"
_COMPONENT = "UVLClusters"
_MOST_PICTURES = 300  # in one request
_FORMS = (  # that the panel opens
    "name_clusters",
    "select_samples",
    "label_clusters",
    "evaluate_clusters",
    "write_report",
    "compute_clusters",
    "explore_dataset",
)


def _told(method):
    """A callback that tells the user of an error in a message, and leaves the panel as it is."""

    @functools.wraps(method)
    def callback(self, ctx):
        try:
            return method(self, ctx)
        except uvl.UVLError as error:
            ctx.ops.notify(str(error), variant="error")
            return None

    return callback


class ClustersPanel(foo.Panel):
    @property
    def config(self):
        return foo.PanelConfig(
            name=PANEL,
            label="Clusters",
            icon="bubble_chart",
            surfaces="grid",
            help_markdown="The clusters of a run: look, filter, edit and name them.",
        )

    def render(self, ctx):
        events = (
            self.look, self.thumbnails, self.choose, self.select, self.rename, self.merge,
            self.split, self.move, self.dissolve, self.undo, self.redo, self.accept, self.open_form,
            self.follow, self.review,
        )  # fmt: skip
        view = types.View(
            component=_COMPONENT,
            composite_view=True,
            **{event.__name__: event for event in events},
        )
        return types.Property(types.Object(), view=view)

    def on_load(self, ctx):
        self.look(ctx)

    def on_change_dataset(self, ctx):
        ctx.panel.set_state({"run_key": None, "labels": None, "level": None})
        self.look(ctx)

    def on_change_selected(self, ctx):
        ctx.panel.set_data("picked", len(ctx.selected or ()))

    @_told
    def on_change_view(self, ctx):
        """Says what is filtered now; the browser asks for new cards where these are of something
        else. FiftyOne calls this several times for one change, and right after opening."""
        if chosen_clustering(ctx):
            ctx.panel.set_data("seen", Window(ctx).seen)

    @_told
    def look(self, ctx):
        """Sends the cards as they are now."""
        if not chosen_clustering(ctx):
            _send(ctx, {"runs": []})
            return
        window = Window(ctx)
        try:
            board = window.board()
        except uvl.DataError:
            if window.labels is None:
                raise
            ctx.panel.set_state("labels", None)  # a field that is gone
            board = Window(ctx).board()
        _send(ctx, board)

    @_told
    def choose(self, ctx):
        """Another run, level or field of labels."""
        now = Window(ctx)
        run_key = ctx.params.get("run_key") or now.run_key
        same = run_key == now.run_key
        wanted = {
            "run_key": run_key,
            "level": ctx.params.get("level", now.level if same else "") or None,
            "labels": ctx.params.get("labels", now.labels if same else "") or None,
        }
        after = Window(ctx, base=now.parted.base, **wanted)
        board = after.board()
        ctx.panel.set_state(wanted)
        if now.names:
            ctx.ops.set_view(view=now.view([]))
        _send(ctx, board)

    @_told
    def select(self, ctx):
        """Filters the grid to some clusters; to none: shows all again."""
        window = Window(ctx)
        names = _texts(ctx, "clusters")
        if names:
            window.check(names)
        ctx.ops.set_view(view=window.view(names))

    @_told
    def thumbnails(self, ctx):
        """Returns small pictures of items, as ``data:`` URLs by id."""
        ids = _texts(ctx, "ids")[:_MOST_PICTURES]
        return thumbnails(ctx.dataset, chosen_clustering(ctx), ids)

    @_told
    def rename(self, ctx):
        cluster, name = _text(ctx, "cluster"), _text(ctx, "name")
        _edit(ctx, lambda clusters: clusters.rename(cluster, name))

    @_told
    def accept(self, ctx):
        """Gives a cluster a proposed name, with a number behind it where the name is taken."""
        cluster, name = _text(ctx, "cluster"), _text(ctx, "name")
        _edit(
            ctx,
            lambda clusters: clusters.rename(cluster, unused(name, {*clusters.names} - {cluster})),
        )

    @_told
    def merge(self, ctx):
        names = _texts(ctx, "clusters")
        _edit(ctx, lambda clusters: clusters.merge(*names))

    @_told
    def split(self, ctx):
        cluster, parts = _text(ctx, "cluster"), _whole(ctx, "parts")
        _edit(ctx, lambda clusters: clusters.split(cluster, parts))

    @_told
    def dissolve(self, ctx):
        names = _texts(ctx, "clusters")

        def dissolve_all(clusters):
            check_names(names, clusters.names, clusters.run_key)
            for name in names:
                clusters.dissolve(name)

        _edit(ctx, dissolve_all)

    @_told
    def move(self, ctx):
        """Moves what is selected in the grid to a cluster."""
        window, cluster = Window(ctx), _text(ctx, "cluster")
        window.check([cluster])
        items = window.items(ctx.selected or ())
        into = None if cluster == window.noise else cluster
        _edit(ctx, lambda clusters: clusters.move(items, into))
        ctx.ops.clear_selected_samples()

    @_told
    def follow(self, ctx):
        """Lets the grid follow an edit: the clusters that it showed, as they are called now."""
        window, names = Window(ctx), _texts(ctx, "clusters")
        if names:
            window.check(names)
            ctx.ops.set_view(view=window.view(names))
        ctx.ops.reload_samples()

    @_told
    def undo(self, ctx):
        _edit(ctx, lambda clusters: clusters.undo())

    @_told
    def redo(self, ctx):
        _edit(ctx, lambda clusters: clusters.redo())

    @_told
    def open_form(self, ctx):
        """Opens the form of another operator, with the run filled in."""
        name = _text(ctx, "name")
        if name not in _FORMS:
            raise uvl.DataError(f"This panel opens no form '{name}'.", "name")
        ctx.prompt(f"uvl_plugin/{name}", params=_filled_in(ctx, name), on_success=self.look)

    @_told
    def review(self, ctx):
        """Opens the panel with the queue of what is to be looked at."""
        ctx.ops.open_panel(REVIEW, layout="horizontal", is_active=True)


def _send(ctx, board):
    """Sends all that is drawn, as text: the App copies every value of what it takes for data."""
    ctx.panel.set_data({"board": json.dumps(board), "picked": len(ctx.selected or ())})


def _edit(ctx, act: Callable):
    """Does one edit, and sends the cards as they are then. The browser draws them before it asks
    the grid to :meth:`ClustersPanel.follow`: the App would else first read all samples in sight."""
    before = Window(ctx)
    act(uvl.clusters(ctx.dataset, before.run_key, who=ctx.user_id or ""))
    after = Window(ctx)
    names = _still_selected(before, after) if before.names else []
    after.parted = Parted(before.parted.base, names)
    _send(ctx, after.board() | {"edited": True})
    said = after.config.steps[-1] if after.config.steps else "no edits: as it came out"
    ctx.ops.notify(f"{said[:1].upper()}{said[1:]}.", variant="success")


def _still_selected(before, after):
    """The clusters to show after an edit: those that were, and what became of them."""
    was, now = before.sizes(), after.sizes()
    kept = [name for name in before.names if name in now or name == after.noise]
    touched = any(was.get(name) != now.get(name) for name in before.names)
    return kept + [name for name in now if touched and name not in was]


def _filled_in(ctx, name):
    """What the form of another operator starts with."""
    run_key = chosen_clustering(ctx)
    if not run_key or name in ("compute_clusters", "explore_dataset"):
        return {}
    filled = {"run_key": run_key}
    if name == "evaluate_clusters":
        filled = {"clusters": record_of(ctx.dataset, run_key).field}
    if name == "label_clusters":
        filled["clusters"] = _texts(ctx, "clusters")
    return filled


def _text(ctx, key):
    """A text that the browser sent."""
    value = ctx.params.get(key)
    if not isinstance(value, str) or not value.strip():
        raise uvl.DataError(f"Give {key}: a text that is not empty.", key)
    return value.strip()


def _texts(ctx, key):
    """A list of texts that the browser sent."""
    values = ctx.params.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise uvl.DataError(f"Give {key} as a list of texts.", key)
    return values


def _whole(ctx, key):
    """A whole number that the browser sent."""
    value = ctx.params.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise uvl.DataError(f"Give {key} as a whole number.", key)
    return value

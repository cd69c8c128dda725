"""Operator: one edit of the clusters of a run, or the last one taken back."""

import fiftyone.operators as foo
from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.adapter.clusterings import clustering_keys

from ._clusters import choose_cluster, choose_clusters, choose_run, chosen_run, clusters_of
from ._forms import mark

_EDITS = {
    "rename": "Rename a cluster",
    "merge": "Merge clusters",
    "split": "Split a cluster",
    "move": "Move what is selected to a cluster",
    "recluster": "Make new clusters of what is selected",
    "dissolve": "Dissolve a cluster into noise",
    "recut": "Another number of clusters (finer or coarser)",
    "undo": "Undo the last edit",
    "redo": "Do the last undone edit again",
}
_NOISE = "(noise)"


class EditClusters(foo.Operator):
    @property
    def config(self):
        return foo.OperatorConfig(
            name="edit_clusters",
            label="Edit clusters",
            description="Rename, merge, split or move; every edit can be undone",
            icon="edit",
            risk_level="high",
            dynamic=True,
        )

    def resolve_placement(self, ctx):
        button = types.Button(label="Edit clusters", icon="edit", prompt=True)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)

    def resolve_input(self, ctx):
        inputs = types.Object()
        run_key = choose_run(inputs, ctx)
        choices = types.DropdownView()
        for name, label in _EDITS.items():
            choices.add_choice(name, label=label)
        inputs.enum("edit", choices.values(), default="rename", label="Edit", view=choices)
        if run_key in clustering_keys(ctx.dataset):
            _ASK[_chosen_edit(ctx)](inputs, ctx, run_key)
            _tell_steps(inputs, ctx, run_key)
        return types.Property(inputs, view=types.View(label="Edit clusters"))

    def execute(self, ctx):
        clusters = uvl.clusters(ctx.dataset, chosen_run(ctx), who=ctx.user_id or "")
        _DO[_chosen_edit(ctx)](clusters, ctx)
        ctx.ops.reload_dataset()
        ctx.ops.set_active_fields([clusters.field])
        last = clusters.steps[-1] if clusters.steps else "no edits: as it came out"
        now = f"{len(clusters.names)} clusters. Last: {last}."
        ctx.ops.notify(now, variant="success")
        return {"now": now}


def _chosen_edit(ctx):
    return ctx.params.get("edit") or "rename"


def _tell_steps(inputs, ctx, run_key):
    steps = ctx.dataset.get_run_info(run_key).config.steps
    said = "; ".join(steps[-5:]) or "none"
    inputs.view("steps", types.Notice(label=f"Edits so far: {said}."))


def _ask_rename(inputs, ctx, run_key):
    choose_cluster(inputs, ctx, run_key)
    inputs.str("name", required=True, label="New name")
    name = (ctx.params.get("name") or "").strip()
    if name in clusters_of(ctx, run_key):
        mark(inputs, uvl.DataError(f"'{name}' is the name of a cluster already.", "name"), "name")


def _ask_split(inputs, ctx, run_key):
    choose_cluster(inputs, ctx, run_key)
    inputs.int("parts", default=2, min=2, label="Into how many parts")


def _ask_move(inputs, ctx, run_key):
    _ask_selection(inputs, ctx)
    choices = types.DropdownView()
    for name, size in clusters_of(ctx, run_key).items():
        choices.add_choice(name, label=f"{name} ({size:,})")
    choices.add_choice(_NOISE, label="no cluster (noise)")
    inputs.enum("cluster", choices.values(), required=True, label="Cluster", view=choices)


def _ask_recluster(inputs, ctx, run_key):
    _ask_selection(inputs, ctx)
    inputs.int("parts", default=1, min=1, label="How many new clusters")


def _ask_selection(inputs, ctx):
    selected = len(ctx.selected or ())
    if selected:
        inputs.view("selection", types.Notice(label=f"{selected} samples are selected."))
        return
    prop = inputs.view("selection", types.Warning(label="Select samples in the grid first."))
    prop.invalid = True
    prop.error_message = "Select samples in the grid first."


def _ask_recut(inputs, ctx, run_key):
    config = ctx.dataset.get_run_info(run_key).config
    most = len(config.tree["merges"]) + 1 if config.tree else 1
    now = min(len(config.clusters), most)
    inputs.int(
        "n_clusters", default=now, min=1, max=most, label="Number of clusters",
        view=types.SliderView(min=1, max=most, value_precision=0) if most > 1 else None,
        description=f"1 to {most}: the tree of the run is cut there. Replaces earlier edits.",
    )  # fmt: skip


def _nothing_to_ask(inputs, ctx, run_key):
    """Undo and redo."""


_ASK = {
    "rename": _ask_rename,
    "merge": choose_clusters,
    "split": _ask_split,
    "move": _ask_move,
    "recluster": _ask_recluster,
    "dissolve": choose_cluster,
    "recut": _ask_recut,
    "undo": _nothing_to_ask,
    "redo": _nothing_to_ask,
}
_DO = {
    "rename": lambda clusters, ctx: clusters.rename(ctx.params["cluster"], ctx.params["name"]),
    "merge": lambda clusters, ctx: clusters.merge(*ctx.params["clusters"]),
    "split": lambda clusters, ctx: clusters.split(ctx.params["cluster"], _number(ctx, "parts", 2)),
    "move": lambda clusters, ctx: clusters.move(list(ctx.selected), _target(ctx)),
    "recluster": lambda clusters, ctx: clusters.recluster(
        list(ctx.selected), _number(ctx, "parts", 1)
    ),
    "dissolve": lambda clusters, ctx: clusters.dissolve(ctx.params["cluster"]),
    "recut": lambda clusters, ctx: clusters.recut(_number(ctx, "n_clusters", len(clusters.names))),
    "undo": lambda clusters, ctx: clusters.undo(),
    "redo": lambda clusters, ctx: clusters.redo(),
}


def _number(ctx, key, default):
    return int(ctx.params.get(key) or default)


def _target(ctx):
    cluster = ctx.params["cluster"]
    return None if cluster == _NOISE else cluster

"""Choices of runs and clusters, which several forms share, and their items in the grid."""

from fiftyone.operators import types

from uvl_plugin.adapter.clusterings import clustering_keys, items_of, record_of
from uvl_plugin.adapter.frames import Frames
from uvl_plugin.adapter.parts import Clips, Patches
from uvl_plugin.adapter.views import frames_view
from uvl_plugin.frame_search import show_frames

from ._vectors import unit_of


def choose_run(inputs, ctx, key="run_key", label="Clustering"):
    """Adds the choice of a clustering; returns the chosen key, "" where there is none."""
    keys = clustering_keys(ctx.dataset)
    default = keys[-1] if keys else None
    inputs.enum(key, keys, default=default, label=label)
    if not keys:
        prop = inputs.properties[key]
        prop.invalid = True
        prop.error_message = "There is no clustering yet: Compute clusters makes one."
    return chosen_run(ctx, key)


def chosen_run(ctx, key="run_key"):
    """The key that :func:`choose_run` asked for."""
    keys = clustering_keys(ctx.dataset)
    return ctx.params.get(key) or (keys[-1] if keys else "")


def clusters_of(ctx, run_key):
    """Name and size of each cluster of a run, as its record has them; the largest first."""
    if run_key not in clustering_keys(ctx.dataset):
        return {}
    found = ctx.dataset.get_run_info(run_key).config.clusters
    return {cluster["name"]: cluster["size"] for cluster in sorted(found, key=lambda c: -c["size"])}


def choose_cluster(inputs, ctx, run_key, key="cluster", label="Cluster"):
    """Adds the choice of one cluster."""
    choices = types.DropdownView()
    for name, size in clusters_of(ctx, run_key).items():
        choices.add_choice(name, label=f"{name} ({size:,})")
    inputs.enum(key, choices.values(), required=True, label=label, view=choices)


def choose_clusters(inputs, ctx, run_key, key="clusters", label="Clusters"):
    """Adds the choice of several clusters."""
    choices = types.DropdownView(multiple=True)
    for name, size in clusters_of(ctx, run_key).items():
        choices.add_choice(name, label=f"{name} ({size:,})")
    inputs.list(key, types.String(), required=True, label=label, view=choices)


def unit_of_run(ctx, run_key):
    """What was clustered, in the words of a person."""
    config = ctx.dataset.get_run_info(run_key).config
    return unit_of(ctx.dataset, config.embeddings, patches_field_of(config))


def noun_of_run(ctx, run_key):
    """The same, and "samples" for images."""
    unit = unit_of_run(ctx, run_key)
    return "samples" if unit == "images" else unit


def patches_field_of(config):
    """The field of the labels that were clustered; None where they were no labels."""
    return getattr(config, "patches_field", None)  # records of old have none


def shown_field(ctx, run_key):
    """The field of the sidebar in which the clusters of a run are."""
    config = ctx.dataset.get_run_info(run_key).config
    return patches_field_of(config) or config.field


def members_view(ctx, run_key, ids, progress=False):
    """Some items of a run, each in a tile of its own, in the order of their ids; of frames
    pictures are written where there are none."""
    dataset, items = ctx.dataset, _items_of(ctx, run_key)
    if isinstance(items, Frames):
        return show_frames(dataset, ids, progress=progress).view
    if isinstance(items, Patches):
        view = _tiles(dataset.select_labels(ids=ids, fields=items.patches_field), items)
    else:
        view = dataset
    return view.select(ids, ordered=True)


def matching_view(ctx, run_key, condition):
    """The items of a run that meet a condition on their fields, each in a tile of its own."""
    dataset, items = ctx.dataset, _items_of(ctx, run_key)
    if isinstance(items, Frames):
        return frames_view(dataset.match_frames(condition))
    if isinstance(items, Patches):
        return _tiles(dataset.filter_labels(items.patches_field, condition), items)
    return dataset.match(condition)


def _items_of(ctx, run_key):
    """All items of the kind that a run is of; its arrays are not read."""
    return items_of(ctx.dataset, run_key, record_of(ctx.dataset, run_key))


def _tiles(labels, items):
    make = labels.to_clips if isinstance(items, Clips) else labels.to_patches
    return make(items.patches_field)

"""Choices of runs and clusters, which several forms share."""

from fiftyone.operators import types

from uvl_plugin.adapter.clusterings import clustering_keys


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

"""Operator: the whole chain in one click."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin import api
from uvl_plugin.backbones.presets import presets
from uvl_plugin.clustering.base import clusterers

from ._forms import choose, choose_backbone, chosen, chosen_backbone, free_name, mark
from ._jobs import JobOperator, run_job, show_message
from .compute_clusters import clustered_message
from .compute_embeddings import embedded_message

_ALGORITHM = "auto"


class ExploreDataset(JobOperator):
    about: ClassVar = {
        "name": "explore_dataset",
        "label": "Explore this dataset",
        "description": "Vectors, clusters, similarity index and map in one click",
        "icon": "travel_explore",
        "risk_level": "medium",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view(require_flat=True)
        inputs = types.Object()
        inputs.str(
            "name",
            default=_free_name(ctx),
            label="Name",
            description="Stands in the names of the fields and keys, and before each cluster.",
        )
        settings = ctx.params.get("all_settings", False)
        choose_backbone(inputs, ctx, _backbone(samples), settings=settings)
        choose(inputs, ctx, clusterers, "algorithm", _ALGORITHM, settings=settings)
        inputs.enum("map_method", list(api.MAP_METHODS), default="umap", label="Map")
        inputs.bool("overwrite", default=False, label="Overwrite an earlier exploration")
        inputs.bool(
            "all_settings", default=False, label="Show all settings of backbone and algorithm"
        )
        try:
            arguments = self._arguments(ctx, samples)
            names = api.Names.of(arguments.pop("name"))
            del arguments["algorithm"]
            api.check_explore(samples, names, **arguments)
        except uvl.UVLError as error:
            mark(inputs, error, "name")
        return types.Property(inputs, view=types.View(label="Explore this dataset"))

    def execute(self, ctx):
        samples = ctx.target_view(require_flat=True)
        arguments = self._arguments(ctx, samples)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: uvl.explore(samples, **arguments, progress=progress),
            show=lambda result: self._show(ctx, result),
            summary=lambda result: {
                "field": result.names.clusters,
                "clusters": result.clustering.n_clusters,
                "noise": result.clustering.n_noise,
                "failed": len(result.embedding.failures),
            },
        )

    def _arguments(self, ctx, samples):
        return {
            "name": ctx.params.get("name") or _free_name(ctx),
            "backbone": chosen_backbone(ctx, _backbone(samples)),
            "algorithm": chosen(ctx, clusterers, "algorithm", _ALGORITHM),
            "map_method": ctx.params.get("map_method", "umap"),
            "overwrite": ctx.params.get("overwrite", False),
        }

    def _show(self, ctx, result):
        severity, embedded = embedded_message(result.embedding)
        clustered = clustered_message(result.clustering, result.names.clusters)
        yield ctx.ops.reload_dataset()
        yield ctx.ops.set_active_fields([result.names.clusters])
        yield show_message(
            ctx,
            severity,
            f"{embedded} {clustered} The map is '{result.names.map_key}' in the Embeddings panel.",
        )


def _backbone(samples):
    """Name of the preset that suits the pictures."""
    suitable = api.default_backbone(samples)
    return next(name for name, preset in presets.items() if preset.backbone == suitable)


def _free_name(ctx):
    """A name none of whose derived names is taken."""
    dataset = ctx.dataset
    keys = [*dataset.list_runs(), *dataset.list_brain_runs()]
    fields = [field.removesuffix("_cluster") for field in dataset.get_field_schema()]
    return free_name("explore", [*keys, *fields])

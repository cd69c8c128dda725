"""Operator: images to vectors in a field."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin import api
from uvl_plugin.backbones.base import backbones

from ._forms import choose, chosen, free_name, mark
from ._jobs import JobOperator, run_job, show_message

_DEFAULT = "torchvision"


class ComputeEmbeddings(JobOperator):
    about: ClassVar = {
        "name": "compute_embeddings",
        "label": "Compute embeddings",
        "description": "Turn every image into a vector with a deep network",
        "icon": "scatter_plot",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view(require_flat=True)
        inputs = types.Object()
        choose(inputs, ctx, backbones, "backbone", _DEFAULT)
        inputs.str(
            "field",
            default=free_name("embedding", ctx.dataset.get_field_schema()),
            label="Field",
            description="Where the vectors go. A field of the same backbone is completed.",
        )
        inputs.int("batch_size", default=32, label="Batch size", description="Images at once.")
        inputs.bool("overwrite", default=False, label="Overwrite what the field holds")
        try:
            api.check_embed(samples, **self._arguments(ctx))
        except uvl.UVLError as error:
            mark(inputs, error, "field")
        return types.Property(inputs, view=types.View(label="Compute embeddings"))

    def execute(self, ctx):
        samples = ctx.target_view(require_flat=True)
        arguments = self._arguments(ctx)
        return run_job(
            ctx,
            lambda progress: uvl.embed(samples, **arguments, progress=progress),
            show=lambda result: self._show(ctx, result),
            summary=lambda result: {
                "field": result.field,
                "embedded": result.n_embedded,
                "present": result.n_present,
                "failed": len(result.failures),
            },
        )

    def _arguments(self, ctx):
        return {
            "backbone": chosen(ctx, backbones, "backbone", _DEFAULT),
            "field": ctx.params.get("field")
            or free_name("embedding", ctx.dataset.get_field_schema()),
            "batch_size": ctx.params.get("batch_size", 32),
            "overwrite": ctx.params.get("overwrite", False),
        }

    def _show(self, ctx, result):
        yield ctx.ops.reload_dataset()
        yield show_message(ctx, *embedded_message(result))


def embedded_message(result):
    """Severity and sentence for a person."""
    said = f"{result.n_embedded} images embedded into '{result.field}'"
    if result.n_present:
        said += f", {result.n_present} had their vector already"
    if not result.failures:
        return "success", f"{said}."
    first = next(iter(result.failures.values()))
    return "warning", f"{said}; {len(result.failures)} could not be read, the first: {first}."

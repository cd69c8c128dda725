"""Operator: a similarity index, with which the App sorts by similarity."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.indexing.auto import AUTO
from uvl_plugin.indexing.index import PRECISIONS
from uvl_plugin.indexing.kind import index_kinds
from uvl_plugin.indexing.metrics import METRICS
from uvl_plugin.searching import check_index

from ._forms import SUITABLE, choose, chosen, free_name, mark
from ._jobs import JobOperator, run_job, show_message
from ._vectors import choose_vectors, chosen_vectors

_AUTO = "Picks by the number of vectors and the memory, and says what it picked."
_METRIC = "How near two vectors are; cosine compares directions."
_PRECISION = "Of the stored vectors; float16 takes half the space."
_USE = {
    "images": "Select images and use the magnifying glass over the grid.",
    "objects": (
        "Show the objects with the button 'Patches' over the grid, select some, and use the "
        "magnifying glass."
    ),
    "frames": "Use the operator Find similar frames.",
    "videos": "Select videos and use the magnifying glass over the grid.",
    "clips": (
        "Clips are found in Python: dataset.sort_by_similarity(clip_id, k=25, brain_key=...)"
        ".to_clips(...)."
    ),
}


class IndexSimilarity(JobOperator):
    about: ClassVar = {
        "name": "index_similarity",
        "label": "Index similarity",
        "description": "Sorts by similarity: to images, objects, frames or videos, and by text",
        "icon": "image_search",
        "risk_level": "medium",
    }

    def resolve_input(self, ctx):
        inputs = types.Object()
        choose_vectors(inputs, ctx)
        inputs.str("brain_key", default=_free_key(ctx), label="Key", description="Names the index.")
        choose(inputs, ctx, index_kinds, "kind", SUITABLE, suitable=_AUTO)
        inputs.enum("metric", METRICS, default=METRICS[0], label="Metric", description=_METRIC)
        inputs.enum(
            "precision", PRECISIONS, default=PRECISIONS[0], label="Precision",
            description=_PRECISION,
        )  # fmt: skip
        inputs.bool("overwrite", default=False, label="Replace an index of this key")
        try:
            asked = self._arguments(ctx)
            check_index(
                ctx.dataset, asked["embeddings"], asked["brain_key"], asked.get("patches_field"),
                overwrite=asked["overwrite"],
            )  # fmt: skip
        except uvl.UVLError as error:
            mark(inputs, error, "embeddings")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        arguments = self._arguments(ctx)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: uvl.index(ctx.dataset, **arguments, progress=progress),
            show=lambda result: self._show(ctx, result),
            summary=lambda result: {
                "brain_key": result.brain_key,
                "items": result.n_items,
                "kind": result.kind,
                "recall": result.recall,
            },
        )

    def _arguments(self, ctx):
        return {
            **chosen_vectors(ctx),
            "brain_key": ctx.params.get("brain_key") or _free_key(ctx),
            "kind": chosen(ctx, index_kinds, "kind", SUITABLE) or AUTO,
            "metric": ctx.params.get("metric", METRICS[0]),
            "precision": ctx.params.get("precision", PRECISIONS[0]),
            "overwrite": ctx.params.get("overwrite", False),
        }

    def _show(self, ctx, result):
        yield ctx.ops.reload_dataset()
        yield show_message(ctx, "success", f"{result}. {_USE[result.unit]}")


def _free_key(ctx):
    return free_name("similarity", ctx.dataset.list_brain_runs())

"""Operator: the vectors of frames to one for each whole video or clip."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.adapter.parts import Clips, clip_fields
from uvl_plugin.pooling.base import poolings
from uvl_plugin.videos import check_pool

from ._forms import choose, chosen, free_name, mark
from ._jobs import run_job, show_message
from ._vectors import (
    choose_frame_vectors,
    choose_whole_or_clips,
    chosen_clips,
    chosen_frame_vectors,
    holds_videos,
)
from ._videos import VideoOperator

_DEFAULT = "signature"
_NEXT = "Compute clusters, Index similarity and the others take it from here."


class PoolVideos(VideoOperator):
    about: ClassVar = {
        "name": "pool_videos",
        "label": "Pool frames into videos or clips",
        "description": "One vector for each whole video or clip, made of those of its frames",
        "icon": "compress",
        "risk_level": "medium",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view(require_flat=True)
        inputs = types.Object()
        choose_frame_vectors(inputs, ctx)
        choose_whole_or_clips(inputs, ctx, "patches_field", "What to pool")
        choose(inputs, ctx, poolings, "pooling", _DEFAULT)
        inputs.str(
            "field",
            default=_free_field(ctx),
            label="Field",
            description="Where the vectors go; of clips an attribute of their labels. A field of "
            "the same pooling is completed.",
        )
        inputs.bool("overwrite", default=False, label="Overwrite what the field holds")
        try:
            check_pool(samples, **self._arguments(ctx))
        except uvl.UVLError as error:
            mark(inputs, error, "embeddings")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        samples = ctx.target_view(require_flat=True)
        arguments = self._arguments(ctx)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: uvl.pool(samples, **arguments, progress=progress),
            show=lambda result: self._show(ctx, result),
            summary=lambda result: {
                "field": result.field,
                "pooled": result.n_pooled,
                "present": result.n_present,
                "without_frames": result.n_missing,
            },
        )

    def _arguments(self, ctx):
        return {
            "embeddings": chosen_frame_vectors(ctx),
            "field": ctx.params.get("field") or _free_field(ctx),
            "pooling": chosen(ctx, poolings, "pooling", _DEFAULT),
            "patches_field": chosen_clips(ctx, "patches_field"),
            "overwrite": ctx.params.get("overwrite", False),
        }

    def _show(self, ctx, result):
        yield ctx.ops.reload_dataset()
        severity = "warning" if result.n_missing else "success"
        yield show_message(ctx, severity, f"{result} {_NEXT}")


def _free_field(ctx):
    """A name that neither the videos nor the clips have."""
    patches_field, dataset = chosen_clips(ctx, "patches_field"), ctx.dataset
    if patches_field in clip_fields(dataset) and holds_videos(dataset):
        before = Clips(dataset, "", patches_field).path
        every = dataset.get_field_schema(flat=True)
        return free_name("vector", [path.removeprefix(before) for path in every])
    return free_name("video", dataset.get_field_schema())

"""Operator: a network learns how things move, from the vectors of the frames of videos."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.temporal.base import temporal_methods
from uvl_plugin.temporal.checkpoint import temporal_names
from uvl_plugin.watching import check_train_encoder, train_encoder

from ._forms import choose, chosen, free_name, mark
from ._jobs import run_job, show_message
from ._vectors import (
    choose_frame_vectors,
    choose_whole_or_clips,
    chosen_clips,
    chosen_frame_vectors,
)
from ._videos import VideoOperator

_METHOD = "gru"


class TrainEncoder(VideoOperator):
    about: ClassVar = {
        "name": "train_encoder",
        "label": "Train a temporal encoder",
        "description": "A network learns how things move in your own videos, without labels",
        "icon": "animation",
        "risk_level": "medium",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view(require_flat=True)
        inputs = types.Object()
        inputs.str(
            "name",
            default=_free_name(),
            label="Name of the encoder",
            description="With the name and settings of a training that was stopped, it goes on.",
        )
        choose_frame_vectors(inputs, ctx)
        choose_whole_or_clips(inputs, ctx, "patches_field", "Learn from")
        choose(inputs, ctx, temporal_methods, "method", _METHOD)
        inputs.bool("overwrite", default=False, label="Train anew in place of this encoder")
        try:
            arguments = self._arguments(ctx)
            del arguments["overwrite"]
            check_train_encoder(samples, **arguments)
        except uvl.UVLError as error:
            mark(inputs, error, "embeddings")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        samples = ctx.target_view(require_flat=True)
        arguments = self._arguments(ctx)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: train_encoder(samples, **arguments, progress=progress),
            show=lambda result: self._show(ctx, result),
            summary=lambda result: {
                "encoder": result.pooling.encoder,
                "state": result.training.state,
                "epochs": len(result.training.curve),
                "warnings": list(result.training.warnings),
            },
        )

    def _arguments(self, ctx):
        return {
            "method": chosen(ctx, temporal_methods, "method", _METHOD),
            "name": ctx.params.get("name") or _free_name(),
            "embeddings": chosen_frame_vectors(ctx),
            "patches_field": chosen_clips(ctx, "patches_field"),
            "overwrite": ctx.params.get("overwrite", False),
        }

    def _show(self, ctx, result):
        yield ctx.ops.reload_dataset()
        wrong = result.training.warnings or result.training.state != "finished"
        said = (
            f"{result} Next: in Pool frames into videos or clips choose the pooling "
            f"'{result.pooling.label}' and the encoder '{result.pooling.encoder}'."
        )
        yield show_message(ctx, "warning" if wrong else "success", said)


def _free_name():
    return free_name("motion", temporal_names())

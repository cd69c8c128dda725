"""Operator: shots and scenes of videos, as a timeline."""

from typing import ClassVar

import fiftyone as fo
from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.adapter.frames import FRAMES
from uvl_plugin.segmenting import check_segment

from ._forms import add_settings, free_name, mark, settings_of
from ._jobs import run_job, show_message
from ._vectors import choose_frame_vectors, chosen_frame_vectors, holds_videos
from ._videos import VideoOperator

_SCENES = "the scenes that are found"
_NEXT = "To see the timeline, open a video and choose Annotate, then Show tracks."


class SegmentVideos(VideoOperator):
    about: ClassVar = {
        "name": "segment_videos",
        "label": "Find segments",
        "description": "Shots of videos, on the timeline; the same scene has the same label",
        "icon": "movie_filter",
        "risk_level": "medium",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view(require_flat=True)
        inputs = types.Object()
        choose_frame_vectors(inputs, ctx)
        inputs.str(
            "field",
            default=_free_field(ctx),
            label="Field",
            description="Where the segments go; also the name of this run.",
        )
        clusters = _clusters_of_frames(ctx.dataset)
        if clusters:
            inputs.enum(
                "clusters",
                [_SCENES, *clusters],
                default=_SCENES,
                label="Shares of",
                description="Of what it is told how large its share in each video is.",
            )
        inputs.bool("overwrite", default=False, label="Replace earlier segments of this name")
        inputs.bool("show_settings", default=False, label="Show when something is a boundary")
        if ctx.params.get("show_settings"):
            add_settings(inputs, uvl.Boundaries, ctx, "find", "Boundaries")
            add_settings(inputs, uvl.Scenes, ctx, "match", "The same scene again")
        try:
            arguments = self._arguments(ctx)
            del arguments["find"], arguments["match"]
            check_segment(samples, **arguments)
        except uvl.UVLError as error:
            mark(inputs, error, "embeddings")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        samples = ctx.target_view(require_flat=True)
        arguments = self._arguments(ctx)

        return run_job(
            ctx,
            self.about["label"],
            lambda progress: uvl.segment(samples, **arguments, progress=progress),
            show=lambda result: self._show(ctx, result),
            summary=lambda result: {
                "field": result.field,
                "videos": len(result.segments),
                "segments": result.n_segments,
                "scenes": len(result.names),
                "without_frames": result.n_missing,
                "failed": len(result.failures),
            },
        )

    def _arguments(self, ctx):
        clusters = ctx.params.get("clusters") or _SCENES
        return {
            "embeddings": chosen_frame_vectors(ctx),
            "field": ctx.params.get("field") or _free_field(ctx),
            "clusters": None if clusters == _SCENES else clusters,
            "find": settings_of(ctx, uvl.Boundaries, "find"),
            "match": settings_of(ctx, uvl.Scenes, "match"),
            "overwrite": ctx.params.get("overwrite", False),
        }

    def _show(self, ctx, result):
        yield ctx.ops.reload_dataset()
        yield ctx.ops.set_active_fields([result.field])
        severity = "warning" if result.n_missing or result.failures else "success"
        yield show_message(ctx, severity, f"{result} {_NEXT}")


def _clusters_of_frames(dataset):
    """Fields of frames that hold one label each."""
    if not holds_videos(dataset):
        return []
    schema = dataset.get_frame_field_schema(ftype=fo.EmbeddedDocumentField)
    return [
        f"{FRAMES}{name}"
        for name, field in schema.items()
        if field.document_type is fo.Classification
    ]


def _free_field(ctx):
    return free_name("segments", [*ctx.dataset.get_field_schema(), *ctx.dataset.list_runs()])

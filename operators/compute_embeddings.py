"""Operator: images, objects in them, or frames of videos, to vectors in a field."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin import api
from uvl_plugin.adapter.failures import FAILED_TAG
from uvl_plugin.adapter.frames import FRAMES
from uvl_plugin.adapter.parts import patch_fields
from uvl_plugin.adapter.samples import image_slices
from uvl_plugin.backbones.presets import DEFAULT
from uvl_plugin.engine.settings import Engine

from ._forms import add_settings, choose_backbone, chosen_backbone, free_name, mark, settings_of
from ._frames import choose_frames, chosen_frames
from ._jobs import JobOperator, run_job, show_message
from ._vectors import holds_videos

_WHOLE = "whole images"
_ALL_SLICES = "all image slices"


class ComputeEmbeddings(JobOperator):
    about: ClassVar = {
        "name": "compute_embeddings",
        "label": "Compute embeddings",
        "description": "Turn every image, object or video frame into a vector with a deep network",
        "icon": "scatter_plot",
        "risk_level": "medium",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view()
        inputs = types.Object()
        choose_backbone(inputs, ctx, DEFAULT)
        if holds_videos(ctx.dataset):
            choose_frames(inputs, ctx, samples)
        else:
            add_target(inputs, ctx, "What to embed")
        inputs.str(
            "field",
            default=_free_field(ctx),
            label="Field",
            description="Where the vectors go. A field of the same backbone is completed.",
        )
        inputs.bool("overwrite", default=False, label="Overwrite what the field holds")
        inputs.bool("show_engine", default=False, label="Show devices, batches and threads")
        if ctx.params.get("show_engine"):
            add_settings(inputs, Engine, ctx, "engine", "Devices, batches and threads")
        try:
            arguments, engine = self._arguments(ctx), settings_of(ctx, Engine, "engine")
            api.check_embed(samples, **arguments, **engine.to_dict())
        except uvl.UVLError as error:
            mark(inputs, error, "field")
        return types.Property(inputs, view=types.View(label="Compute embeddings"))

    def execute(self, ctx):
        samples = ctx.target_view()
        arguments = self._arguments(ctx) | settings_of(ctx, Engine, "engine").to_dict()
        return run_job(
            ctx,
            self.about["label"],
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
            "backbone": chosen_backbone(ctx, DEFAULT),
            "field": ctx.params.get("field") or _free_field(ctx),
            **(chosen_frames(ctx) if holds_videos(ctx.dataset) else target_arguments(ctx)),
            "overwrite": ctx.params.get("overwrite", False),
        }

    def _show(self, ctx, result):
        yield ctx.ops.reload_dataset()
        yield show_message(ctx, *embedded_message(result))


def add_target(inputs, ctx, label):
    """Which slices, and whether the images or the objects in them; asked where there is a choice."""
    slices, objects = image_slices(ctx.dataset), patch_fields(ctx.dataset)
    if slices:
        inputs.enum("slices", [_ALL_SLICES, *slices], default=_ALL_SLICES, label="Slices")
    if objects:
        inputs.enum("patches_field", [_WHOLE, *objects], default=_WHOLE, label=label)
    if ctx.params.get("patches_field", _WHOLE) != _WHOLE:
        inputs.float(
            "margin",
            default=0.0,
            label="Margin",
            description="Share of each object's width and height that is added around it.",
        )


def target_arguments(ctx):
    """What :func:`add_target` asked for, as the verbs take it."""
    patches_field = ctx.params.get("patches_field", _WHOLE)
    slices = ctx.params.get("slices", _ALL_SLICES)
    return {
        "patches_field": None if patches_field == _WHOLE else patches_field,
        "margin": ctx.params.get("margin") or 0.0,
        "slices": None if slices == _ALL_SLICES else slices,
    }


def _free_field(ctx):
    if holds_videos(ctx.dataset):
        return FRAMES + free_name("embedding", ctx.dataset.get_frame_field_schema())
    return free_name("embedding", ctx.dataset.get_field_schema())


def embedded_message(result):
    """Severity and sentence for a person."""
    said = f"{result.n_embedded:,} {result.unit} embedded into '{result.field}'"
    if result.n_present:
        said += f", {result.n_present:,} had their vector already"
    if not result.failures:
        return "success", f"{said}."
    listed = "; ".join(list(result.failures.values())[:3])
    more = len(result.failures) - 3
    return "warning", (
        f"{said}; {_not_embedded(result)} the tag "
        f"'{FAILED_TAG}': {listed}" + (f"; and {more} more in the run record." if more > 0 else ".")
    )


def _not_embedded(result):
    """How many failed. Frames have no tags in FiftyOne, so the videos carry them."""
    if result.unit != "frames":
        return f"{len(result.failures):,} could not be embedded and carry"
    n_videos = len({key.partition(":")[0] for key in result.failures})
    if n_videos == 1:
        return "1 video could not be read, or not all of it, and carries"
    return f"{n_videos:,} videos could not be read, or not all of them, and carry"

"""Operator: images, objects or frames that are blank, dark, overexposed, blurred or broken."""

from typing import ClassVar

import uvl_plugin as uvl
from uvl_plugin.adapter.frames import FRAMES
from uvl_plugin.inspecting import check_find_poor_images, find_poor_images

from ._cleaning import CleaningOperator
from ._forms import add_settings, settings_of
from ._vectors import holds_videos, part_fields

_WHOLE = "whole images"


class FindPoorImages(CleaningOperator):
    about: ClassVar = {
        "name": "find_poor_images",
        "label": "Find poor images",
        "description": "Blank, dark, overexposed, blurred and broken images, objects or frames",
        "icon": "broken_image",
        "risk_level": "medium",
    }
    verb, check = find_poor_images, check_find_poor_images
    field = "quality"
    on_vectors = False

    def ask(self, inputs, ctx):
        parts = [] if holds_videos(ctx.dataset) else part_fields(ctx.dataset)
        if parts:
            inputs.enum("patches_field", [_WHOLE, *parts], default=_WHOLE, label="Look at")
        inputs.bool("show_settings", default=False, label="Show what counts as poor")
        if ctx.params.get("show_settings"):
            add_settings(inputs, uvl.Quality, ctx, "quality", "What counts as poor")

    def asked(self, ctx):
        found = {"quality": settings_of(ctx, uvl.Quality, "quality")}
        chosen = ctx.params.get("patches_field") or _WHOLE
        if chosen != _WHOLE:
            found["patches_field"] = chosen
        field = ctx.params.get("field") or self.field
        if holds_videos(ctx.dataset) and not field.startswith(FRAMES):
            found["field"] = f"{FRAMES}{field}"
        return found

    def summary(self, result):
        return {
            "field": result.field,
            "looked_at": result.n_items,
            "issues": result.counts,
            "failed": len(result.failures),
            "view": result.view,
        }

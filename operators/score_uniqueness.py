"""Operator: how unlike all others each image, object or frame is."""

from typing import ClassVar

from uvl_plugin.cleaning import check_score_uniqueness, score_uniqueness

from ._cleaning import CleaningOperator


class ScoreUniqueness(CleaningOperator):
    about: ClassVar = {
        "name": "score_uniqueness",
        "label": "Score uniqueness",
        "description": "How unlike all others each image, object, frame or video is",
        "icon": "fingerprint",
        "risk_level": "medium",
    }
    verb, check = score_uniqueness, check_score_uniqueness
    field = "uniqueness"
    names = "Where the figure goes: 0 for an item that has an equal, towards 1 the lonelier."

    def summary(self, result):
        return {
            "field": result.field,
            "scored": len(result.scores),
            "without_vector": result.n_missing,
        }

    def view_of(self, ctx, samples, result):
        """Shows the images or videos, the most unlike ones first."""
        if result.unit not in ("images", "videos"):
            return None
        samples.reload()
        return ctx.ops.set_view(samples.exists(result.field).sort_by(result.field, reverse=True))

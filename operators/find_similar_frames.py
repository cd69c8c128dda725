"""Operator: frames of videos that are like a frame or a text."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.adapter.frame_queries import (
    exemplar_number,
    frame_indexes,
    frames_among,
)
from uvl_plugin.core.progress import part
from uvl_plugin.frame_search import check_similar_frames, show_frames, similar_frames

from ._forms import mark
from ._jobs import run_job, show_message
from ._vectors import chosen_number
from ._videos import VideoOperator

_FRAME, _TEXT = "frame", "text"
_K, _GAP = 25, 1.0
_NOTHING = (
    "Open or select a video, or select frames in a view of frames; then one can ask for what is "
    "like them."
)


class FindSimilarFrames(VideoOperator):
    about: ClassVar = {
        "name": "find_similar_frames",
        "label": "Find similar frames",
        "description": "Frames of videos that are like a frame, or a text",
        "icon": "image_search",
        "risk_level": "medium",
    }

    def resolve_input(self, ctx):
        inputs = types.Object()
        indexes = frame_indexes(ctx.dataset)
        inputs.enum(
            "brain_key",
            indexes,
            default=indexes[-1] if indexes else None,
            label="Index",
            description="A similarity index of frames: Index similarity makes it.",
        )
        _ask(inputs, ctx)
        inputs.int("k", default=_K, label="How many frames")
        inputs.float(
            "gap",
            default=_GAP,
            label="Seconds apart",
            description="Of frames of one video that are closer only the most similar is shown.",
        )
        inputs.bool("in_view", default=False, label="Only in the current view")
        try:
            check_similar_frames(ctx.dataset, _query(ctx), **_settings(ctx))
        except uvl.UVLError as error:
            mark(inputs, error, "brain_key")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        samples = ctx.view if ctx.params.get("in_view") else ctx.dataset
        query, settings = _query(ctx), _settings(ctx)

        def work(progress):
            found = similar_frames(samples, query, **settings)
            return found, show_frames(ctx.dataset, found.ids, progress=part(progress, 0.1, 1.0))

        return run_job(
            ctx,
            self.about["label"],
            work,
            show=lambda result: self._show(ctx, *result),
            summary=lambda result: {"frames": result[0].ids, "query": result[0].query},
        )

    def _show(self, ctx, found, pictured):
        yield ctx.ops.reload_dataset()
        yield ctx.ops.close_sample()
        yield ctx.ops.clear_selected_samples()
        yield ctx.ops.set_view(view=pictured.view)
        severity = "warning" if pictured.pictures.failures else "success"
        yield show_message(ctx, severity, f"{found} {pictured}")


def _ask(inputs, ctx):
    """Adds what is asked: the chosen frames, a frame of the chosen video, or a text."""
    frames, video = _chosen(ctx)
    by = types.RadioGroup()
    by.add_choice(_FRAME, label="Frames like those chosen" if frames else "Frames like this one")
    by.add_choice(_TEXT, label="Frames that show this")
    inputs.enum("by", by.values(), default=_FRAME, label="What to find", view=by)
    if _by(ctx) == _TEXT:
        inputs.str("query", label="Text", description="Such as: a red car")
    elif frames:
        inputs.view("query", types.Notice(label=f"{len(frames):,} frames are chosen."))
    elif video is None:
        inputs.view("query", types.Warning(label=_NOTHING))
    else:
        inputs.int(
            "query",
            default=_number_shown(ctx, video),
            label="Frame number",
            description="Of the chosen video; 1 is its first frame. Its player shows the number "
            "when its time is clicked.",
        )


def _query(ctx):
    """What is asked, as :func:`uvl_plugin.frame_search.similar_frames` takes it; None: nothing."""
    if _by(ctx) == _TEXT:
        return str(ctx.params.get("query") or "")
    frames, video = _chosen(ctx)
    if frames or video is None:
        return frames or None
    number = ctx.params.get("query")
    return video, int(number) if isinstance(number, int | float) else _number_shown(ctx, video)


def _by(ctx):
    return ctx.params.get("by") or _FRAME


def _chosen(ctx):
    """Ids of the frames that are chosen, and the id of the video: the open one, else those that
    are selected."""
    ids = [ctx.current_sample] if ctx.current_sample else list(ctx.selected or ())
    frames = frames_among(ctx.dataset, ids)
    return frames, ids[0] if ids and not frames else None


def _number_shown(ctx, video):
    """The number of the frame of a label that was clicked in the open video, else of the frame
    that stands for its first segment: FiftyOne does not tell which frame is on screen."""
    for label in ctx.selected_labels or ():
        if label.get("frame_number"):
            return label["frame_number"]
    return exemplar_number(ctx.dataset, video)


def _settings(ctx):
    gap = chosen_number(ctx, "gap")
    return {
        "brain_key": ctx.params.get("brain_key") or None,
        "k": int(ctx.params.get("k") or _K),
        "gap": _GAP if gap is None else gap,
    }

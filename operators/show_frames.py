"""Operator: pictures for the frames of a view, so that each tile shows its own frame."""

from typing import ClassVar

from fiftyone.core.video import FramesView
from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.adapter.frame_pictures import MOST
from uvl_plugin.frame_search import show_frames

from ._forms import mark
from ._jobs import run_job, show_message
from ._videos import VideoOperator

_WHY = (
    "Without a picture of its own, FiftyOne shows the first frame of its video for each frame. "
    "This writes the pictures of the first frames of the view, and shows them."
)


class ShowFrames(VideoOperator):
    about: ClassVar = {
        "name": "show_frames",
        "label": "Show pictures of frames",
        "description": "In a view of frames: each tile shows its own frame",
        "icon": "photo_library",
        "risk_level": "medium",
    }

    def resolve_input(self, ctx):
        inputs = types.Object()
        ctx.target_view()
        inputs.view("about", types.Notice(label=_WHY))
        inputs.int("most", default=MOST, label="At most", description="So many frames are shown.")
        try:
            self._check(ctx)
        except uvl.UVLError as error:
            mark(inputs, error, "most")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        self._check(ctx)
        ids, most = ctx.target_view().values("id"), self._most(ctx)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: show_frames(ctx.dataset, ids, most=most, progress=progress),
            show=lambda result: self._show(ctx, result),
            summary=lambda result: {"shown": len(result.pictures.ids), "left_out": result.n_left},
        )

    def _most(self, ctx):
        most = ctx.params.get("most")
        return MOST if most is None else int(most)

    def _check(self, ctx):
        if not isinstance(ctx.target_view(), FramesView):
            raise uvl.DataError("This is no view of frames, such as that of a search, or a map.")
        if self._most(ctx) < 1:
            raise uvl.SettingsError("At least 1 frame has to be shown.", "most")

    def _show(self, ctx, result):
        yield ctx.ops.reload_dataset()
        yield ctx.ops.clear_selected_samples()
        yield ctx.ops.set_view(view=result.view)
        severity = "warning" if result.pictures.failures else "success"
        yield show_message(ctx, severity, str(result))

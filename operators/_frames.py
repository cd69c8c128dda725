"""Which frames of videos: asked, and about how many they are."""

import fiftyone as fo
from fiftyone import ViewField as F
from fiftyone.core.video import FramesView
from fiftyone.operators import types

from uvl_plugin.media.frame_choice import FrameChoice

from ._forms import add_setting
from ._vectors import choose_whole_or_clips, chosen_clips

_FPS, _STRIDE, _KEY, _EVERY = "fps", "stride", "key_frames", "every"
_CHOICES = {
    _FPS: "So many of each second",
    _STRIDE: "Every n-th frame",
    _KEY: "Key frames",
    _EVERY: "Every frame",
}
_DEFAULTS = {_FPS: 2.0, _STRIDE: 10}
_NOT_WRITTEN = "Each video is decoded once; no picture of a frame is written."
_SPECS = {spec.name: spec for spec in FrameChoice.specs()}


def choose_frames(inputs, ctx, samples):
    """Adds which frames of each video are meant, and about how many frames of ``samples`` that
    makes."""
    choices = types.DropdownView()
    for name, label in _CHOICES.items():
        description = _SPECS[name].help if name in _SPECS else None
        choices.add_choice(name, label=label, description=description)
    inputs.enum("frames", choices.values(), default=_FPS, label="Which frames", view=choices)
    name = _chosen(ctx)
    if name in _DEFAULTS:
        number = add_setting(inputs, _SPECS[name])
        number.default = _DEFAULTS[name]
    add_setting(inputs, _SPECS["max_frames"])
    choose_whole_or_clips(inputs, ctx, "clips", "Only inside of clips")
    chosen = chosen_frames(ctx)
    if not FrameChoice.problems({key: chosen[key] for key in chosen if key in _SPECS}):
        inputs.view("about", types.Notice(label=f"{_about(samples, chosen)} {_NOT_WRITTEN}"))


def chosen_frames(ctx):
    """What :func:`choose_frames` asked for, as :func:`uvl_plugin.embed` takes it."""
    name = _chosen(ctx)
    settings = {"max_frames": _given(ctx, "max_frames")}
    if name == _KEY:
        settings[_KEY] = True
    elif name in _DEFAULTS:
        settings[name] = _given(ctx, name, _DEFAULTS[name])
    return {**settings, "clips": chosen_clips(ctx, "clips")}


def _given(ctx, name, default=None):
    value = ctx.params.get(name)
    return default if value in (None, "") else value


def _about(samples, chosen):
    """As far as the metadata tells."""
    if isinstance(samples, FramesView):
        return f"The {len(samples):,} frames of the view."
    if chosen.get(_KEY):
        return "How many key frames there are shows when the videos are read."
    n_videos, n_known, n_frames = _counted(samples, chosen)
    if not n_known:
        return f"How many frames {n_videos:,} videos have is not known: they have no metadata."
    said = f"About {round(n_frames):,} frames of {n_known:,} videos."
    if n_known < n_videos:
        said += f" {n_videos - n_known:,} more have no metadata, so theirs are not counted."
    return said


def _counted(samples, chosen):
    """How many videos there are, of how many the metadata tells, and about how many frames."""
    rate, total = F("metadata.frame_rate"), F("metadata.total_frame_count")
    if chosen["clips"] is not None:
        total = _inside(samples, chosen["clips"])
    if chosen.get(_FPS) is not None:
        total = total * (chosen[_FPS] / rate).min(1)
    elif chosen.get(_STRIDE) is not None:
        total = total / chosen[_STRIDE]
    if chosen["max_frames"] is not None:
        total = total.min(chosen["max_frames"])
    known = samples.match((rate > 0) & (F("metadata.total_frame_count") > 0))
    n_known, n_frames = known.aggregate([fo.Count(), fo.Sum(total)])
    return len(samples), n_known, n_frames or 0


def _inside(samples, clips):
    """The length of all clips of a video, in frames; what two of them share counts twice."""
    length = F("support")[1] - F("support")[0] + 1
    if samples.get_field(clips).document_type is fo.TemporalDetection:
        support = F(f"{clips}.support")
        return support[1] - support[0] + 1
    return F(f"{clips}.detections").map(length).sum()


def _chosen(ctx):
    return ctx.params.get("frames") or _FPS

"""The choice among all vectors of a dataset: of images, objects in them, frames, videos, clips."""

from uvl_plugin.adapter.frames import FRAMES, Frames
from uvl_plugin.adapter.parts import clip_fields, parts, patch_fields
from uvl_plugin.adapter.vectors import vector_fields, vector_paths
from uvl_plugin.core.errors import DataError

from ._forms import mark

_UNNAMED = ""
_WHOLE = "whole videos"
_OF_IMAGES = "The vectors to compare: of images, of objects in them, or of frames."
_OF_VIDEOS = "The vectors to compare: of frames, of whole videos, or of clips."


def vector_choices(dataset):
    """What the verbs take, by the path of each vector field as FiftyOne knows it."""
    choices = {path: {"embeddings": path} for path in frame_vectors(dataset)}
    choices |= {field: {"embeddings": field} for field in vector_fields(dataset)}
    for patches_field in part_fields(dataset):
        for path in vector_paths(parts(dataset, _UNNAMED, patches_field)):
            attribute = path.rpartition(".")[2]
            choices[path] = {"embeddings": attribute, "patches_field": patches_field}
    return choices


def frame_vectors(dataset):
    """Paths of the vector fields of frames, such as ``frames.embedding``."""
    return vector_paths(Frames(dataset, _UNNAMED)) if holds_videos(dataset) else []


def part_fields(dataset):
    """Names of the fields of clips, or of objects where the dataset holds images."""
    return (clip_fields if holds_videos(dataset) else patch_fields)(dataset)


def holds_videos(dataset):
    """Whether every sample is a video."""
    return dataset.media_type == "video"


def unit_of(dataset, path, patches_field=None):
    """What a field is of, in the words of a person, by its path as FiftyOne knows it."""
    if path.startswith(FRAMES):
        return "frames"
    if patches_field is not None:
        return "clips" if holds_videos(dataset) else "objects"
    return "videos" if holds_videos(dataset) else "images"


def choose_vectors(inputs, ctx):
    """Adds the choice of a vector field."""
    choices = vector_choices(ctx.dataset)
    inputs.enum(
        "embeddings",
        list(choices),
        default=_newest(choices),
        label="Embeddings",
        description=_OF_VIDEOS if holds_videos(ctx.dataset) else _OF_IMAGES,
    )
    if not choices:
        missing = DataError("There are no vectors yet: Compute embeddings makes them.")
        mark(inputs, missing, "embeddings")


def chosen_vectors(ctx):
    """What :func:`choose_vectors` asked for, as the verbs take it."""
    choices = vector_choices(ctx.dataset)
    path = ctx.params.get("embeddings") or _newest(choices) or ""
    return choices.get(path, {"embeddings": path})


def choose_frame_vectors(inputs, ctx):
    """Adds the choice of a vector field of frames."""
    fields = frame_vectors(ctx.dataset)
    inputs.enum(
        "embeddings",
        fields,
        default=fields[-1] if fields else None,
        label="Embeddings",
        description="The vectors of the frames.",
    )


def chosen_frame_vectors(ctx):
    """What :func:`choose_frame_vectors` asked for."""
    fields = frame_vectors(ctx.dataset)
    return ctx.params.get("embeddings") or (fields[-1] if fields else "frames.embedding")


def choose_whole_or_clips(inputs, ctx, name, label):
    """Adds the choice between whole videos and a field of clips, where there is one."""
    fields = clip_fields(ctx.dataset)
    if fields:
        inputs.enum(name, [_WHOLE, *fields], default=_WHOLE, label=label)


def chosen_clips(ctx, name):
    """The field that :func:`choose_whole_or_clips` asked for; None for whole videos."""
    chosen = ctx.params.get(name) or _WHOLE
    return None if chosen == _WHOLE else chosen


def _newest(choices):
    """The field that was made last, of whole images or videos if there is one."""
    of_samples = [path for path, named in choices.items() if "patches_field" not in named]
    return next(reversed(of_samples or list(choices)), None)


def add_names(inputs, field, what):
    """Asks for the name of the field, and whether what is there may be replaced."""
    inputs.str("field", default=field, label="Field", description=what)
    inputs.bool("overwrite", default=False, label="Overwrite an earlier run of this name")


def chosen_names(ctx, field):
    """What :func:`add_names` asked for."""
    return {
        "field": ctx.params.get("field") or field,
        "overwrite": ctx.params.get("overwrite", False),
    }


def chosen_number(ctx, key):
    """A number that may be left empty: None then."""
    value = ctx.params.get(key)
    return None if value in (None, "") else float(value)

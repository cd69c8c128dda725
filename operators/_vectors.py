"""The choice among all vectors of a dataset: of its images, of objects in them, of frames."""

from uvl_plugin.adapter.target import Frames, Patches, patch_fields
from uvl_plugin.adapter.vectors import vector_fields, vector_paths
from uvl_plugin.core.errors import DataError

from ._forms import mark

_UNNAMED = ""


def vector_choices(dataset):
    """What the verbs take, by the path of each vector field as FiftyOne knows it."""
    if dataset.media_type == "video":
        return {path: {"embeddings": path} for path in vector_paths(Frames(dataset, _UNNAMED))}
    choices = {field: {"embeddings": field} for field in vector_fields(dataset)}
    for patches_field in patch_fields(dataset):
        for path in vector_paths(Patches(dataset, _UNNAMED, patches_field, 0.0)):
            attribute = path.rpartition(".")[2]
            choices[path] = {"embeddings": attribute, "patches_field": patches_field}
    return choices


def choose_vectors(inputs, ctx):
    """Adds the choice of a vector field."""
    choices = vector_choices(ctx.dataset)
    inputs.enum(
        "embeddings",
        list(choices),
        default=_newest(choices),
        label="Embeddings",
        description="The vectors to compare: of images, of objects in them, or of frames.",
    )
    if not choices:
        missing = DataError("There are no vectors yet: Compute embeddings makes them.")
        mark(inputs, missing, "embeddings")


def chosen_vectors(ctx):
    """What :func:`choose_vectors` asked for, as the verbs take it."""
    choices = vector_choices(ctx.dataset)
    path = ctx.params.get("embeddings") or _newest(choices) or ""
    return choices.get(path, {"embeddings": path})


def _newest(choices):
    """The field that was made last, of whole images if there is one."""
    of_images = [path for path, named in choices.items() if "patches_field" not in named]
    return next(reversed(of_images or list(choices)), None)


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

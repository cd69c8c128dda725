"""Operator: what is shown to a tool for annotation, through FiftyOne's own integrations."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.adapter import annotations
from uvl_plugin.core.progress import shown

from ._forms import free_name, mark
from ._jobs import JobOperator, run_job, show_message

_NEW = "(a new field)"
_FIELD = "annotated"
_PICKS = "pick"


class SendToAnnotation(JobOperator):
    about: ClassVar = {
        "name": "send_to_annotation",
        "label": "Send to annotation",
        "description": "What is shown to CVAT, Label Studio, Labelbox or a tool of your own",
        "icon": "send",
        "risk_level": "dangerous",
    }

    def resolve_input(self, ctx):
        inputs, samples = types.Object(), _samples(ctx)
        _choose_backend(inputs)
        tags = ctx.dataset.distinct("tags")
        if _PICKS in tags:
            inputs.bool("only_picks", default=False, label=f"Only those with the tag '{_PICKS}'")
        fields = [*annotations.label_fields(samples), _NEW]
        inputs.enum("label_field", fields, default=_NEW, label="Labels to correct, or to give")
        if _chosen_field(ctx) == _NEW:
            inputs.str("field", default=_FIELD, label="Name of the new field")
            types_ = list(annotations.NEW_TYPES)
            inputs.enum("label_type", types_, default=types_[0], label="Kind of labels")
        suggested = _suggested(ctx, _arguments(ctx)["field"])
        inputs.str(
            "classes", default=suggested, label="Classes",
            description="To choose from, with commas between them.",
        )  # fmt: skip
        inputs.str(
            "key", default=_free_key(ctx), label="Name of this annotation run",
            description="dataset.load_annotations(name) brings the labels back.",
        )  # fmt: skip
        _tell(inputs, ctx, samples)
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        request = annotations.check_send(_samples(ctx), **_arguments(ctx))
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: _send(request, progress),
            show=lambda sent: _show(ctx, sent),
            summary=lambda sent: {"key": sent.key, "samples": sent.n_samples, "said": str(sent)},
        )


def _send(request, progress):
    with shown(progress, "annotation") as report:
        return annotations.send(request, report)


def _choose_backend(inputs):
    choices = types.DropdownView()
    for backend in annotations.backends():
        choices.add_choice(backend.name, label=str(backend))
    inputs.enum("backend", choices.values(), default=_default(), label="Send to", view=choices)
    inputs.view(
        "how",
        types.Notice(
            label="Single labels can also be drawn right here: open a sample, then its Annotate tab."
        ),
    )


def _default():
    return next((backend.name for backend in annotations.backends()), None)


def _samples(ctx):
    samples = ctx.target_view()
    if ctx.params.get("only_picks"):
        return samples.match_tags(_PICKS)
    return samples


def _chosen_field(ctx):
    return ctx.params.get("label_field") or _NEW


def _free_key(ctx):
    return free_name("annotate", ctx.dataset.list_annotation_runs())


def _suggested(ctx, field):
    return ", ".join(annotations.classes_of(ctx.dataset, field))


def _arguments(ctx):
    chosen = _chosen_field(ctx)
    is_new = chosen == _NEW
    field = (ctx.params.get("field") or _FIELD) if is_new else chosen
    classes = ctx.params.get("classes") or ""
    as_suggested = classes == _suggested(ctx, field)  # names may have commas in them
    return {
        "backend": ctx.params.get("backend") or _default(),
        "field": field,
        "label_type": ctx.params.get("label_type") if is_new else None,
        "classes": () if as_suggested else classes.split(","),
        "key": ctx.params.get("key") or _free_key(ctx),
    }


def _tell(inputs, ctx, samples):
    """How many samples go, or what is wrong."""
    try:
        request = annotations.check_send(samples, **_arguments(ctx))
    except uvl.UVLError as error:
        mark(inputs, error, "backend")
    else:
        said = (
            f"{len(samples):,} samples are sent, {len(request.classes):,} classes to choose from."
        )
        inputs.view("count", types.Notice(label=said))


def _show(ctx, sent):
    yield ctx.ops.reload_dataset()
    yield show_message(ctx, "success", str(sent))

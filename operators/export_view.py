"""Operator: what is shown to a folder, in a format of FiftyOne."""

from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.adapter import exports
from uvl_plugin.core.progress import shown

from ._forms import mark
from ._jobs import JobOperator, run_job, show_message

_MEDIA = {
    "copy": "Copy the files",
    "symlink": "Link to the files",
    "none": "Leave the files where they are",
}


class ExportView(JobOperator):
    about: ClassVar = {
        "name": "export_view",
        "label": "Export",
        "description": "What is shown to a folder, as COCO, YOLO, folders of classes, CSV, ...",
        "icon": "download",
        "risk_level": "dangerous",
    }

    def resolve_input(self, ctx):
        inputs, samples = types.Object(), ctx.target_view()
        form = _choose_format(inputs, ctx, samples)
        fields = exports.fields_for(samples, form) if form.kinds else []
        if fields:
            inputs.enum("label_field", fields, default=fields[0], label="Field of the labels")
        inputs.str(
            "folder", required=True, label="Folder",
            description="The whole path, on the machine that FiftyOne's server runs on.",
        )  # fmt: skip
        choices = types.DropdownView()
        for name in exports.media_choices(form):
            choices.add_choice(name, label=_MEDIA[name])
        inputs.enum("media", choices.values(), default="copy", label="Files", view=choices)
        inputs.bool("with_excluded", default=False, label="Also what a review has excluded")
        inputs.bool(
            "overwrite", default=False, label="Delete what is in the folder",
            description="Never done to a folder with media of this dataset.",
        )  # fmt: skip
        _tell(inputs, ctx, samples)
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        export = exports.check_export(ctx.target_view(), **_arguments(ctx, ctx.target_view()))
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: _write(export, progress),
            show=lambda done: _show(ctx, done),
            summary=lambda done: {
                "folder": done.folder,
                "samples": done.n_samples,
                "said": str(done),
            },
        )


def _write(export, progress):
    with shown(progress, "export") as report:
        return exports.write_export(export, report)


def _choose_format(inputs, ctx, samples):
    choices = types.DropdownView()
    for form in exports.formats_for(samples):
        choices.add_choice(form.name, label=form.label)
    inputs.enum("form", choices.values(), default=_default(samples), label="Format", view=choices)
    return exports.FORMATS.get(ctx.params.get("form") or "", exports.FORMATS[_default(samples)])


def _default(samples):
    return exports.formats_for(samples)[0].name


def _tell(inputs, ctx, samples):
    """How many samples go, or what is wrong."""
    try:
        export = exports.check_export(samples, **_arguments(ctx, samples))
    except uvl.UVLError as error:
        if ctx.params.get("folder") or error.argument != "folder":  # else nothing was typed yet
            mark(inputs, error, "form")
    else:
        excluded = f"; {export.n_excluded:,} are excluded" if export.n_excluded else ""
        said = f"{len(export.samples):,} samples are written{excluded}."
        inputs.view("count", types.Notice(label=said))


def _arguments(ctx, samples):
    name = ctx.params.get("form") or _default(samples)
    form = exports.FORMATS.get(name)
    fields = exports.fields_for(samples, form) if form and form.kinds else []
    return {
        "form": name,
        "field": ctx.params.get("label_field") or (fields[0] if fields else None),
        "folder": ctx.params.get("folder") or "",
        "media": ctx.params.get("media") or "copy",
        "with_excluded": ctx.params.get("with_excluded") or False,
        "overwrite": ctx.params.get("overwrite") or False,
    }


def _show(ctx, done):
    yield show_message(ctx, "success", str(done))

"""Operator: one page that says what is in the dataset."""

import base64
import os
from pathlib import Path
from typing import ClassVar

from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.adapter.cluster_counts import label_fields
from uvl_plugin.adapter.clusterings import clustering_keys, items_of, place_of, record_of
from uvl_plugin.reporting import check_report

from ._clusters import choose_run, chosen_run
from ._forms import mark
from ._jobs import JobOperator, run_job, show_message

_FOLDER = "fiftyone"  # in the home of whoever runs the server: FiftyOne's own
_NONE = "(none)"


class WriteReport(JobOperator):
    about: ClassVar = {
        "name": "write_report",
        "label": "What is in this dataset?",
        "description": "One page with map, clusters, duplicates, outliers and picks, to pass on",
        "icon": "summarize",
        "risk_level": "dangerous",
    }

    def resolve_input(self, ctx):
        ctx.target_view()
        inputs = types.Object()
        if clustering_keys(ctx.dataset):
            choose_run(inputs, ctx)
        _choose_labels(inputs, ctx)
        inputs.str(
            "path",
            default=_default_path(ctx),
            label="File",
            description="On the machine of the server, ending in .html; it is also offered as a "
            "download.",
        )
        inputs.bool("overwrite", default=False, label="Replace the file if it is there")
        try:
            check_report(ctx.target_view(), **_arguments(ctx))
        except uvl.UVLError as error:
            mark(inputs, error, "path")
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        samples, arguments = ctx.target_view(), _arguments(ctx)
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: uvl.report(samples, **arguments, progress=progress),
            show=lambda result: _show(ctx, result),
            summary=_summary,
        )


def _choose_labels(inputs, ctx):
    fields = _label_fields(ctx)
    if fields:
        inputs.enum(
            "labels",
            [_NONE, *fields],
            default=_NONE,
            label="Labels",
            description="To compare the clusters with.",
        )


def _label_fields(ctx):
    run_key = chosen_run(ctx)
    if run_key not in clustering_keys(ctx.dataset):
        return ()
    config = record_of(ctx.dataset, run_key)
    return label_fields(place_of(items_of(ctx.dataset, run_key, config), config))


def _default_path(ctx):
    """In FiftyOne's folder in the home of the server's user, else in the home itself."""
    home = Path.home()
    folder = home / _FOLDER if os.access(home / _FOLDER, os.W_OK) else home
    return str(folder / f"{ctx.dataset.slug}-report.html")


def _arguments(ctx):
    labels = ctx.params.get("labels") or _NONE
    return {
        "path": ctx.params.get("path") or _default_path(ctx),
        "run_key": chosen_run(ctx) or None,
        "labels": None if labels == _NONE else labels,
        "overwrite": ctx.params.get("overwrite", False),
    }


def _show(ctx, result):
    """Offers the file to the browser, which may run on another machine than the server."""
    data = base64.b64encode(result.path.read_bytes()).decode()
    yield ctx.ops.browser_download(f"data:text/html;base64,{data}", filename=result.path.name)
    yield show_message(ctx, "success", str(result))


def _summary(result):
    return {
        "path": str(result.path),
        "bytes": result.n_bytes,
        "clustering": result.run_key,
        "chapters": list(result.chapters),
        "missing": list(result.missing),
    }

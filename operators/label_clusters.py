"""Operator: labels from clusters that a person has looked at."""

from typing import ClassVar

from fiftyone import ViewField as F
from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin.adapter.clusterings import clustering_keys, open_clustering
from uvl_plugin.adapter.frames import FRAMES
from uvl_plugin.adapter.matching import count
from uvl_plugin.labelling import check_label_clusters, reviewed

from ._clusters import choose_run, chosen_run, clusters_of, patches_field_of
from ._forms import mark
from ._jobs import JobOperator, run_job, show_message

_FIELD = "label_from_clusters"


class LabelClusters(JobOperator):
    about: ClassVar = {
        "name": "label_clusters",
        "label": "Make labels",
        "description": "Labels in a field of your own, from clusters that you have named",
        "icon": "label",
        "risk_level": "high",
    }

    def resolve_input(self, ctx):
        inputs = types.Object()
        run_key = choose_run(inputs, ctx)
        if run_key in clustering_keys(ctx.dataset):
            _add_fields(inputs, ctx, run_key)
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def execute(self, ctx):
        arguments, overwrite = _arguments(ctx), ctx.params.get("overwrite") or False
        return run_job(
            ctx,
            self.about["label"],
            lambda progress: uvl.label_clusters(
                ctx.dataset, **arguments, overwrite=overwrite, who=ctx.user_id or "",
                progress=progress,
            ),
            show=lambda done: _show(ctx, done),
            summary=lambda done: {"field": done.field, "labels": done.counts, "said": str(done)},
        )  # fmt: skip


def _add_fields(inputs, ctx, run_key):
    choices = types.DropdownView(multiple=True)
    for name, size in clusters_of(ctx, run_key).items():
        choices.add_choice(name, label=f"{name} ({size:,})")
    inputs.list(
        "clusters", types.String(), label="Clusters", view=choices,
        description="Empty: all that were named, or whose proposed name was accepted.",
    )  # fmt: skip
    inputs.str(
        "label", label="Label", description="Of all these clusters; empty: the name of each."
    )
    inputs.str(
        "field", default=_default_field(ctx, run_key), label="Field",
        description="For the labels; made if it is not there. Labels of a person in it stay.",
    )  # fmt: skip
    inputs.float(
        "min_confidence", default=0.0, min=0.0, max=1.0, label="Least confidence",
        view=types.SliderView(min=0, max=1, value_precision=2),
        description="Items that belong to their cluster less firmly get no label.",
    )  # fmt: skip
    inputs.bool("overwrite", default=False, label="Replace labels that were made here before")
    try:
        plan = check_label_clusters(ctx.dataset, **_arguments(ctx))
    except uvl.UVLError as error:
        mark(inputs, error, "clusters")
    else:
        said = _said(plan, float(ctx.params.get("min_confidence") or 0.0))
        inputs.view("count", types.Notice(label=said))


def _said(plan, least):
    """How many items the least confidence leaves."""
    place, names = plan.run.place, plan.run.edited.names
    members = F(place.attribute("label")).is_in([names[number] for number in plan.labels])
    n_all = count(plan.run.items, members)
    n_left = count(plan.run.items, members & (F(place.attribute("confidence")) >= least))
    named = ", ".join(dict.fromkeys(plan.labels.values()))
    return f"{n_left:,} of {n_all:,} {plan.run.items.unit} are labelled: {named}."


def _default_field(ctx, run_key):
    config = ctx.dataset.get_run_info(run_key).config
    of_frames = config.field.startswith(FRAMES) and patches_field_of(config) is None
    return f"{FRAMES}{_FIELD}" if of_frames else _FIELD


def _arguments(ctx):
    run_key, clusters = chosen_run(ctx), ctx.params.get("clusters") or None
    label = (ctx.params.get("label") or "").strip()
    if label and clusters is None:
        clusters = reviewed(open_clustering(ctx.dataset, run_key)) or None
    return {
        "run_key": run_key,
        "field": ctx.params.get("field") or _default_field(ctx, run_key),
        "clusters": clusters,
        "names": dict.fromkeys(clusters, label) if label and clusters else None,
        "min_confidence": float(ctx.params.get("min_confidence") or 0.0),
    }


def _show(ctx, done):
    yield ctx.ops.reload_dataset()
    yield ctx.ops.set_active_fields([done.field])
    yield show_message(ctx, "success" if done.n_labelled else "warning", str(done))

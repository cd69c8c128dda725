"""Panel: what the last evaluation of a clustering found."""

import fiftyone.operators as foo
from fiftyone import ViewField as F
from fiftyone.operators import types

from uvl_plugin.adapter.clusterings import clustering_keys, open_clustering
from uvl_plugin.adapter.frames import FRAMES, Frames

from ._clusters import matching_view, members_view, noun_of_run

PANEL = "uvl_evaluation"
_CLASSES = {
    "name": "Class",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "support": "Samples",
}
_CLUSTERS = {
    "name": "Cluster",
    "size": "Samples",
    "cohesion": "Cohesion",
    "stands_for": "Stands for",
    "pure": "Purity",
    "recovered": "Found again",
}
_SUSPECTS = {"given": "Label", "suggested": "Suggested", "score": "Score"}
_MOST = 50  # rows of a table
_LAYOUT = {"height": 460, "margin": {"l": 110, "r": 20, "t": 50, "b": 90}}


class EvaluationPanel(foo.Panel):
    @property
    def config(self):
        return foo.PanelConfig(
            name=PANEL,
            label="Evaluation",
            icon="fact_check",
            surfaces="grid",
            help_markdown="How good clusters are, with labels and without.",
        )

    def on_load(self, ctx):
        self.look(ctx)

    def on_change_dataset(self, ctx):
        ctx.panel.state.run_key = None
        self.look(ctx)

    def choose(self, ctx):
        ctx.panel.state.run_key = ctx.params.get("value")
        self.look(ctx)

    def look(self, ctx):
        """Sends what the record says now."""
        found = _evaluation(ctx)
        if found is None:
            return
        data = {
            "classes": _rows(found["classes"], _CLASSES),
            "clusters": _rows(found["clusters"], _CLUSTERS),
            "suspects": _rows(found["suspects"], _SUSPECTS),
        }
        if found["heat_map"]:
            data["heat_map"] = found["heat_map"]["data"]
        ctx.panel.set_data(data)

    def show_cell(self, ctx):
        """Shows the samples of one cell of the heat map in the grid."""
        config, found = _config(ctx), _evaluation(ctx)
        place = open_clustering(ctx.dataset, _run_key(ctx)).place
        members = F(place.attribute("label")) == _full(config, ctx.params.get("y"))
        truth = found["ground_truth"]
        if truth is not None:
            members &= F(_text_of(ctx, place.items, truth)) == ctx.params.get("x")
        ctx.ops.set_view(matching_view(ctx, _run_key(ctx), members))

    def show_suspects(self, ctx):
        """Shows the samples whose label may be wrong, the worst first."""
        ids = [suspect["id"] for suspect in _evaluation(ctx)["suspects"]]
        ctx.ops.set_view(members_view(ctx, _run_key(ctx), ids))

    def render(self, ctx):
        panel = types.Object()
        keys = _evaluated(ctx)
        if not keys:
            panel.md(
                f"No clustering of **{ctx.dataset.name}** was evaluated yet. Press `` ` `` and choose "
                "**Evaluate clusters**.",
                name="nothing",
            )
        else:
            panel.enum(
                "run_key", keys, default=_run_key(ctx), label="Clustering", on_change=self.choose
            )
            self._add_figures(panel, _evaluation(ctx), noun_of_run(ctx, _run_key(ctx)))
        return types.Property(panel, view=types.GridView(orientation="vertical", gap=2, pad=2))

    def _add_figures(self, panel, found, noun):
        panel.md(_said(found, noun), name="said")
        for number, note in enumerate(found["notes"]):
            panel.view(f"note_{number}", types.AlertView(severity="info", label=note))
        if found["heat_map"]:
            panel.plot(
                "heat_map",
                layout=found["heat_map"]["layout"] | _LAYOUT,
                config={"displayModeBar": False, "scrollZoom": False},
                height="480px",
                on_click=self.show_cell,
            )
        _add_table(panel, "classes", "By class", _CLASSES, found["classes"])
        _add_table(panel, "clusters", "By cluster", _CLUSTERS, found["clusters"])
        if found["suspects"]:
            _add_table(panel, "suspects", "Labels that may be wrong", _SUSPECTS, found["suspects"])
            panel.btn("show_suspects", label="Show these samples", on_click=self.show_suspects)


def _evaluated(ctx):
    """Keys of the runs that were evaluated, the newest last."""
    infos = {key: ctx.dataset.get_run_info(key).config for key in clustering_keys(ctx.dataset)}
    return [key for key, config in infos.items() if config.evaluation]


def _run_key(ctx):
    keys, chosen = _evaluated(ctx), ctx.panel.state.run_key
    return chosen if chosen in keys else next(reversed(keys), None)


def _config(ctx):
    return ctx.dataset.get_run_info(_run_key(ctx)).config


def _evaluation(ctx):
    return _config(ctx).evaluation if _run_key(ctx) else None


def _text_of(ctx, items, field):
    """The path of a field's text in its item."""
    name = field.removeprefix(FRAMES) if isinstance(items, Frames) else field
    labelled = hasattr(ctx.dataset.get_field(items.with_field(name).path), "document_type")
    return f"{name}.label" if labelled else name


def _full(config, row):
    return f"{config.stem} noise" if row == "noise" else row


def _add_table(panel, name, label, columns, rows):
    shown = {
        key: text for key, text in columns.items() if any(row[key] is not None for row in rows)
    }
    if not rows:
        return
    more = f", the first {_MOST} of {len(rows)}" if len(rows) > _MOST else ""
    table = types.TableView(label=label + more, componentsProps={"table": {"sx": {"minWidth": 0}}})
    for key, text in shown.items():
        table.add_column(key, label=text)
    panel.list(name, types.Object(), view=table)


def _rows(rows, columns):
    return [{key: _cell(row[key]) for key in columns} for row in rows[:_MOST]]


def _said(found, noun):
    agreement, held_out = found["agreement"], found["held_out"]
    counted = f"{found['n_items']:,} {noun} in {found['n_clusters']} clusters"
    lines = [f"**{counted}**, {found['n_noise']:,} in none."]
    if agreement:
        lines.append(
            f"Against **{found['ground_truth']}** ({agreement['n_classes']} classes): accuracy "
            f"**{agreement['accuracy']:.3f}**, on held-out {noun} "
            f"**{_cell(held_out['one_to_one'])}** (each cluster one class), "
            f"{_cell(held_out['many_to_one'])} (several clusters may share one); NMI "
            f"{agreement['nmi']:.3f}, AMI {agreement['ami']:.3f}, ARI {agreement['ari']:.3f}, purity "
            f"{agreement['purity']:.3f}, V-measure {agreement['v_measure']:.3f}."
        )
    if found["strength_auroc"] is not None:
        lines.append(
            f"The confidence finds wrong assignments with an AUROC of {found['strength_auroc']:.2f}."
        )
    if found["separation"]:
        figures = ", ".join(
            f"{name.replace('_', '-')} {_cell(value)}"
            for name, value in found["separation"].items()
            if isinstance(value, float)
        )
        lines.append(f"Without labels: {figures}.")
    if found["stability"]:
        lines.append(_stable(found["stability"]))
    return "\n\n".join(lines)


def _stable(stability):
    parts = [
        f"{text} {sum(values) / len(values):.2f}"
        for text, values in (
            ("with other seeds", stability["seeds"]),
            ("on parts of the samples", stability["bootstraps"]),
        )
        if values
    ]
    return f"Clustered again, agreement (ARI): {', '.join(parts)}."


def _cell(value):
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)

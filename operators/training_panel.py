"""Panel: how a training goes, live, and whether it helped."""

import contextlib
import time
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from uvl_plugin.backbones.checkpoint import CARD, checkpoints_folder, read_card
from uvl_plugin.core.errors import UVLError
from uvl_plugin.training.evidence import FIGURES

PANEL = "uvl_training"
_NEWEST = "/newest"  # no checkpoint can have this name
_LIVE, _IDLE = 2_000, 5_000  # milliseconds between looks at the files
_SPACES = {"pixels": "Raw pixels", "start": "Before training", "learned": "Learned"}
_CLASS = {"precision": "Precision", "recall": "Recall", "f1": "F1", "support": "Images"}
_LAYOUT = {
    "height": 360,
    "showlegend": True,
    "uirevision": "keep",  # new data leave what was zoomed as it is
    "margin": {"l": 60, "r": 60, "t": 70, "b": 50},
    "legend": {"orientation": "h", "x": 0, "y": 1.3},
    "xaxis": {"title": {"text": "Epoch"}},
    "yaxis": {"title": {"text": "Loss"}},
    "yaxis2": {
        "title": {"text": "Share", "font": {"size": 14}},
        "overlaying": "y",
        "side": "right",
        "range": [0, 1.05],
        "showgrid": False,
    },
}


class TrainingPanel(foo.Panel):
    @property
    def config(self):
        return foo.PanelConfig(
            name=PANEL,
            label="Training",
            icon="model_training",
            surfaces="grid",
            help_markdown="How the training of a backbone goes, and whether it helped.",
        )

    def on_load(self, ctx):
        self.look(ctx)

    def on_change_dataset(self, ctx):
        self.look(ctx)

    def choose(self, ctx):
        ctx.panel.state.checkpoint = ctx.params.get("value") or _NEWEST
        self.look(ctx)

    def look(self, ctx):
        """Sends what the card says now."""
        card = _shown(ctx, _cards(ctx))
        if card is not None:
            evidence = card.get("evidence", [])
            ctx.panel.set_data(
                {
                    "curve": _traces(card),
                    "evidence": _evidence_rows(evidence),
                    "classes": _class_rows(evidence),
                }
            )

    def render(self, ctx):
        panel = types.Object()
        cards = _cards(ctx)
        card = _shown(ctx, cards)
        _add_choice(panel, self, cards)
        if card is None:
            panel.md(_nothing_yet(ctx), name="nothing")
        else:
            _add_card(panel, card)
            _add_evidence(panel, card.get("evidence", []))
        running = card is not None and card["state"] == "running"
        interval = _LIVE if running else _IDLE
        timer = types.TimerView(interval=interval, on_interval=self.look)
        panel.view("timer", timer)
        return types.Property(panel, view=types.GridView(orientation="vertical", gap=2, pad=2))


def _cards(ctx) -> list[dict[str, Any]]:
    """Cards of all trainings: those of this dataset first, then the newest first."""
    found = []
    for file in checkpoints_folder().glob(f"*/{CARD}"):
        with contextlib.suppress(UVLError, OSError):  # damaged, or deleted just now
            found.append(read_card(file.parent.name) | {"written": file.stat().st_mtime})
    return sorted(found, key=lambda card: (card["dataset"] != ctx.dataset.name, -card["written"]))


def _shown(ctx, cards: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The card that was chosen, else the newest of this dataset."""
    chosen = ctx.panel.state.checkpoint or _NEWEST
    fitting = [card for card in cards if card["name"] == chosen]
    own = [card for card in cards if card["dataset"] == ctx.dataset.name]
    return next(iter([*fitting, *own]), None)


def _add_choice(panel, owner, cards):
    choices = types.DropdownView()
    choices.add_choice(_NEWEST, label="The newest of this dataset")
    for card in cards:
        choices.add_choice(card["name"], label=f"{card['name']} ({card['dataset']})")
    panel.enum(
        "checkpoint", choices.values(), default=_NEWEST, label="Checkpoint", view=choices,
        on_change=owner.choose,
    )  # fmt: skip


def _add_card(panel, card):
    panel.md(_said(card), name="said")
    for number, warning in enumerate(card["warnings"]):
        panel.view(f"warning_{number}", types.AlertView(severity="warning", label=warning))
    if card["curve"]:
        panel.plot(
            "curve",
            layout=_LAYOUT,
            config={"displayModeBar": False, "scrollZoom": False},
            height="380px",
        )


def _add_evidence(panel, evidence):
    if evidence:
        _add_table(panel, "evidence", "Did it help?", {"figure": "Figure"} | _SPACES)
    if _class_rows(evidence):
        title = "Learned, on the test part, by class"
        _add_table(panel, "classes", title, {"name": "Class"} | _CLASS)


def _add_table(panel, name, label, columns):
    narrow = {"table": {"sx": {"minWidth": 0}}}  # FiftyOne's is wider than half a window
    table = types.TableView(label=label, componentsProps=narrow)
    for key, text in columns.items():
        table.add_column(key, label=text)
    panel.list(name, types.Object(), view=table)


def _nothing_yet(ctx) -> str:
    return (
        f"No backbone was trained on **{ctx.dataset.name}** yet. Press `` ` `` and choose "
        "**Train a backbone on this dataset**; its curve appears here after the first epoch."
    )


def _said(card: dict[str, Any]) -> str:
    """State, epoch, speed."""
    curve, epochs = card["curve"], card["recipe"]["epochs"]
    ago = max(0, round(time.time() - card["written"]))
    said = f"**{card['name']}** is {card['state']}: epoch {len(curve)} of {epochs}"
    if card["state"] == "running":
        said += f", last heard of {ago} s ago"
    elif card["state"] != "finished" and card.get("best_epoch"):
        said += f", epoch {card['best_epoch']} was kept"
    if curve:
        said += f". Loss {_number(curve[-1]['loss'])}, {curve[-1]['images_per_second']:g} images/s"
    how, parts = card["how"], card["parts"]
    return (
        f"{said}, on {how['device']} in {how['precision']}. {how['images']:,} images to learn from, "
        f"{parts['validation']:,} to watch, {parts['test']:,} for the end; batches of "
        f"{how['batch_size']}."
    )


def _traces(card: dict[str, Any]) -> list[dict[str, Any]]:
    """The curve as Plotly draws it."""
    curve, dim = card["curve"], card["how"]["dim"]
    shares = {
        "Finds its own view": [entry["consistency"] for entry in curve],
        "Spread": [entry["spread"] for entry in curve],
        f"Effective rank / {dim}": [
            None if entry["effective_rank"] is None else entry["effective_rank"] / dim
            for entry in curve
        ],
    }
    lines = {"Loss": [entry["loss"] for entry in curve]} | shares
    return [
        {
            "type": "scatter",
            "mode": "lines+markers" if len(curve) < 30 else "lines",
            "name": name,
            "x": [entry["epoch"] for entry in curve],
            "y": values,
            "yaxis": "y2" if name in shares else "y",
        }
        for name, values in lines.items()
    ]


def _evidence_rows(evidence: list[dict[str, Any]]) -> list[dict[str, str]]:
    """One row a figure that is known, one column a space."""
    spaces = {figures["space"]: figures for figures in evidence}
    return [
        {"figure": text} | {space: _number(found[key]) for space, found in spaces.items()}
        for key, text in FIGURES.items()
        if any(found[key] is not None for found in spaces.values())
    ]


def _class_rows(evidence: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [
        {"name": found["name"], "support": str(found["support"])}
        | {key: _number(found[key]) for key in ("precision", "recall", "f1")}
        for figures in evidence
        for found in figures["classes"]
        if figures["space"] == "learned"
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

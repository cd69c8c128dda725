"""Operator: a network learns from the user's own images, without labels."""

import base64
import re
from typing import Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types

import uvl_plugin as uvl
from uvl_plugin import learning
from uvl_plugin.backbones.base import TrainableBackbone, backbones
from uvl_plugin.backbones.checkpoint import checkpoints_folder
from uvl_plugin.backbones.presets import presets
from uvl_plugin.training.augmentation.base import augmentations
from uvl_plugin.training.methods.base import methods
from uvl_plugin.training.recipe import Recipe
from uvl_plugin.training.split import Split

from ._forms import (
    SUITABLE,
    add_setting,
    add_settings,
    choose,
    choose_backbone,
    chosen,
    chosen_backbone,
    free_name,
    mark,
    settings_of,
)
from ._jobs import JobOperator, run_job, show_message
from .compute_embeddings import add_target, target_arguments
from .training_panel import PANEL

_METHOD = "simclr"
_NO_LABELS = "none"
_EPOCHS = next(spec for spec in Recipe.specs() if spec.name == "epochs")
_PLAIN = (fo.StringField, fo.IntField, fo.BooleanField)
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_.-]+")


class TrainBackbone(JobOperator):
    about: ClassVar = {
        "name": "train_backbone",
        "label": "Train a backbone on this dataset",
        "description": "A network learns from your own images, without labels",
        "icon": "school",
        "risk_level": "medium",
    }

    def resolve_input(self, ctx):
        samples = ctx.target_view()
        inputs = types.Object()
        inputs.str(
            "name",
            default=_free_name(ctx),
            label="Name of the checkpoint",
            description="By this name the trained network can be chosen as a backbone. With the "
            "name and settings of a training that was stopped, it goes on.",
        )
        choose(inputs, ctx, methods, "method", _METHOD)
        choose_backbone(
            inputs, ctx, SUITABLE, kind=TrainableBackbone,
            suitable="A compact CNN for pictures under 64 pixels, else a ResNet-18 that has "
            "learnt from photos.",
        )  # fmt: skip
        add_target(inputs, ctx, "What to train on")
        _add_labels(inputs, ctx)
        add_setting(inputs, _EPOCHS)
        _add_recipe(inputs, ctx)
        inputs.bool("overwrite", default=False, label="Train anew in place of this checkpoint")
        _add_augmentation(inputs, ctx)
        self._check(ctx, samples, inputs)
        return types.Property(inputs, view=types.View(label=self.about["label"]))

    def _check(self, ctx, samples, inputs):
        """Marks what is wrong, else shows views where they are wanted."""
        try:
            arguments = self._arguments(ctx)
            looking = ctx.params.get("show_views", False)
            plan = learning.check_train(samples, **(arguments if looking else _cheap(arguments)))
            if looking:
                _show_views(inputs, samples, plan, target_arguments(ctx))
        except uvl.UVLError as error:
            mark(inputs, error, "name")

    def execute(self, ctx):
        samples = ctx.target_view()
        arguments = self._arguments(ctx)
        job = run_job(
            ctx,
            self.about["label"],
            lambda progress: uvl.train(samples, **arguments, progress=progress),
            show=lambda result: self._show(ctx, result),
            summary=_summary,
        )
        return job if ctx.delegated else self._watched(ctx, job)

    def _watched(self, ctx, job):
        yield ctx.ops.open_panel(PANEL, layout="horizontal")
        yield from job

    def _show(self, ctx, result):
        yield ctx.ops.reload_dataset()
        yield show_message(ctx, *trained_message(result))

    def _arguments(self, ctx) -> dict[str, Any]:
        labels = ctx.params.get("labels") or _NO_LABELS
        epochs = ctx.params.get("epochs")
        return {
            "method": chosen(ctx, methods, "method", _METHOD),
            "name": ctx.params.get("name") or _free_name(ctx),
            "backbone": chosen_backbone(ctx, SUITABLE),
            "augmentation": chosen(ctx, augmentations, "augmentation", SUITABLE),
            "split": settings_of(ctx, Split, "split"),
            "labels": None if labels == _NO_LABELS else labels,
            **target_arguments(ctx),
            "overwrite": ctx.params.get("overwrite", False),
            **settings_of(ctx, Recipe, "recipe").to_dict(),
            "epochs": _EPOCHS.default if epochs is None else epochs,
        }


def _add_labels(inputs, ctx):
    """By what to judge; asked where there is something."""
    if ctx.params.get("patches_field") in ctx.dataset.get_field_schema():
        fields = ["label"]
    else:
        fields = [name for name, field in ctx.dataset.get_field_schema().items() if _plain(field)]
    if fields:
        inputs.enum(
            "labels",
            [_NO_LABELS, *fields],
            default=_NO_LABELS,
            label="Labels",
            description="Only to judge at the end what was learnt; the network never sees them.",
        )


def _plain(field):
    """Whether a field can hold classes."""
    if field.name in ("id", "filepath", "media_type"):
        return False
    return isinstance(field, _PLAIN) or getattr(field, "document_type", None) is fo.Classification


def _add_recipe(inputs, ctx):
    inputs.bool("show_recipe", default=False, label="Show all settings of the training")
    if ctx.params.get("show_recipe"):
        add_settings(inputs, Recipe, ctx, "recipe", "Training", hidden=[_EPOCHS.name])
        add_settings(inputs, Split, ctx, "split", "Parts of the dataset")


def _add_augmentation(inputs, ctx):
    """How views are made; last, since the views are shown below."""
    choose(
        inputs, ctx, augmentations, "augmentation", SUITABLE,
        settings=ctx.params.get("show_augmentation", False),
        suitable="Glyph for small pictures without colours, else Photo.",
    )  # fmt: skip
    if ctx.params.get("augmentation", SUITABLE) != SUITABLE:
        inputs.bool("show_augmentation", default=False, label="Show all settings of the views")
    inputs.bool(
        "show_views",
        default=False,
        label="Look at views before training",
        description="The network learns that an image and its views are the same.",
    )


def _show_views(inputs, samples, plan, arguments):
    picture = uvl.preview(samples, plan.augmentation, backbone=plan.backbone, **arguments)
    inputs.str(
        "views",
        default="data:image/png;base64," + base64.b64encode(picture).decode(),
        view=types.ImageView(
            label=f"Views by {plan.augmentation.label}",
            description="Each image with a random view of it on its right. If a view could be "
            "taken for something else than its image, choose another augmentation.",
            width="100%",
            alt="images beside their views",
        ),
    )


def _cheap(arguments):
    """The same, with something that needs no look at the images in place of what suits them."""
    stand_ins = {"backbone": uvl.CompactCNN(), "augmentation": uvl.Glyph()}
    return arguments | {key: arguments[key] or stand_in for key, stand_in in stand_ins.items()}


def _free_name(ctx):
    stem = _NOT_ALLOWED.sub("_", ctx.dataset.name).strip("_.-") or "trained"
    taken = [folder.name for folder in checkpoints_folder().glob("*")]  # begun ones as well
    return free_name(stem[:80], [*taken, *presets, *backbones.names()])


def _summary(result):
    return {
        "checkpoint": result.checkpoint.checkpoint,
        "state": result.outcome.state,
        "epochs": len(result.outcome.curve),
        "accuracy": {figures.space: figures.accuracy for figures in result.evidence},
        "warnings": list(result.outcome.warnings),
        "failed": len(result.outcome.failures),
    }


def trained_message(result):
    """Severity and sentences for a person."""
    outcome, name = result.outcome, result.checkpoint.checkpoint
    said = [
        f"'{name}' was trained for {len(outcome.curve)} epochs ({outcome.state}).",
        *_compared(result.evidence, "consistency", "Images found again by another view"),
        *_compared(result.evidence, "accuracy", "Accuracy of k-means"),
    ]
    said += outcome.warnings
    if outcome.failures:
        said.append(f"{len(outcome.failures)} images could not be read.")
    said.append(f"Next: choose '{name}' as the backbone in Compute embeddings.")
    wrong = outcome.warnings or outcome.failures or outcome.state != "finished"
    return ("warning" if wrong else "success"), " ".join(said)


def _compared(evidence, figure, title):
    """A sentence with one figure of every space; none where it is not known."""
    values = {figures.space: getattr(figures, figure) for figures in evidence}
    if values and None not in values.values():
        yield (
            f"{title}: " + ", ".join(f"{name} {value:.3f}" for name, value in values.items()) + "."
        )

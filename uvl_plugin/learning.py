"""The verbs of learning: each checks everything first, then reads, learns, judges, and records."""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.adapter import target, training
from uvl_plugin.adapter.target import Target
from uvl_plugin.backbones.base import Backbone, Encoder, TrainableBackbone, backbones
from uvl_plugin.backbones.checkpoint import Checkpoint, checkpoint_path
from uvl_plugin.backbones.choice import suitable_network
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.backbones.presets import presets, resolve_backbone
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.packages import check_installed, versions
from uvl_plugin.core.progress import Progress, part, shown
from uvl_plugin.core.registry import Registry
from uvl_plugin.core.timing import Stopwatch
from uvl_plugin.engine.loaded import resolve_devices
from uvl_plugin.media.images import read_image
from uvl_plugin.media.sources import Reader, Source
from uvl_plugin.temporal.base import TemporalMethod
from uvl_plugin.training.augmentation.base import Augmentation, augmentations
from uvl_plugin.training.augmentation.choice import suitable_augmentation
from uvl_plugin.training.checkpoint import CheckpointWriter
from uvl_plugin.training.distributed import is_follower
from uvl_plugin.training.evidence import Figures
from uvl_plugin.training.judge import judge
from uvl_plugin.training.loop import storing, train_network
from uvl_plugin.training.methods.base import Method, methods
from uvl_plugin.training.recipe import Recipe
from uvl_plugin.training.robustness import flips
from uvl_plugin.training.split import Split, split_ids
from uvl_plugin.training.task import Outcome, Task
from uvl_plugin.watching import TemporalResult, train_encoder

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection

_UNUSED = "embedding"  # a target wants a name for its vectors; training writes none
_LISTED_FAILURES = 1000
_SHOWN = 16  # images in a preview
_ENOUGH = 128  # pixels of a side, to see whether an image is small
_LOOKED_AT = 20  # images, to see how large they are and whether they have colours


@dataclass(frozen=True)
class TrainingResult:
    """What :func:`train` did.

    Attributes:
        checkpoint: the trained backbone.
        outcome: curve, warnings, failures and how the work was done.
        parts: how many items each part of the split has.
        evidence: whether it helped: figures of pixels, of the starting weights, and of what was
            learnt.
        seconds: time by stage.
    """

    checkpoint: Checkpoint
    outcome: Outcome
    parts: dict[str, int]
    evidence: list[Figures]
    seconds: dict[str, float]


def train(
    samples: "SampleCollection",
    method: Method | TemporalMethod | str = "simclr",
    *,
    name: str,
    backbone: Backbone | str | None = None,
    augmentation: Augmentation | str | None = None,
    split: Split | None = None,
    labels: str | None = None,
    patches_field: str | None = None,
    margin: float = 0.0,
    slices: str | Sequence[str] | None = None,
    overwrite: bool = False,
    progress: "Progress | bool | None" = None,
    **recipe: Any,
) -> TrainingResult | TemporalResult:
    """Trains a network without labels on the user's own images.

    A temporal method, such as ``uvl.TemporalGRU()``, learns from the frames of videos instead:
    see :func:`uvl_plugin.train_encoder`, whose arguments it then takes.

    The result is a checkpoint, which is a backbone like any other:
    ``uvl.embed(samples, uvl.Checkpoint(name), "learned")``. It is written after every epoch;
    the same call goes on where an earlier one was interrupted, and does nothing where it was
    complete.

    Args:
        samples: an image dataset, a grouped one, or a view.
        method: how to learn, such as ``uvl.SimCLR(temperature=0.5)``, or its name.
        name: of the checkpoint.
        backbone: the network to begin with; or the name of a preset or of a checkpoint. None:
            ``CompactCNN`` where pictures are under 64 pixels, else torchvision's ResNet-18 with
            weights learnt on ImageNet.
        augmentation: how views are made, such as ``uvl.Glyph(rotation=10)``, or its name. None:
            ``Glyph`` for small pictures without colours, else ``Photo``. The wrong one costs more
            than anything else here: look at the views first, :func:`preview`.
        split: what is learnt from, what is watched, what is kept for the end.
        labels: field of labels, for judging only; of objects an attribute, such as ``"label"``.
        patches_field, margin, slices: as for :func:`uvl_plugin.embed`.
        overwrite: train anew, in place of a checkpoint of this name.
        progress: see :func:`uvl_plugin.core.progress.shown`.
        **recipe: settings of :class:`~uvl_plugin.training.recipe.Recipe`: ``epochs``,
            ``batch_size``, ``optimizer``, ``learning_rate``, ``device`` and more.

    Returns:
        The checkpoint, how its training went, and whether it helped.

    Raises:
        SettingsError: if a setting is out of bounds or there is no such device.
        DataError: if there are too few images, the name is taken, or a field is missing.
        WeightsError: if the starting weights cannot be found.
        Cancelled: if ``progress`` raised it; the checkpoint then holds the best epoch so far.
    """
    if isinstance(method, TemporalMethod):
        given = {
            "backbone": backbone, "augmentation": augmentation, "split": split, "labels": labels,
            "slices": slices, "margin": margin or None,
        }  # fmt: skip
        _check_temporal(given, recipe)
        return train_encoder(
            samples, method, name=name, patches_field=patches_field, overwrite=overwrite,
            progress=progress, **recipe,
        )  # fmt: skip
    plan = check_train(
        samples, method, name=name, backbone=backbone, augmentation=augmentation, split=split,
        labels=labels, patches_field=patches_field, margin=margin, slices=slices,
        overwrite=overwrite, **recipe,
    )  # fmt: skip
    watch = Stopwatch()
    with shown(progress, "train") as report:
        report(0.0, "reading the list of images")
        with watch.stage("read"):
            parts = plan.parts()
            sources = {name: list(plan.items.sources(ids)) for name, ids in parts.items()}
            task = plan.task(sources, {name: len(ids) for name, ids in parts.items()})
        _make_room(task, overwrite=overwrite)
        if plan.split.tag and not is_follower():
            training.tag_parts(plan.items, parts)
        with watch.stage("train"):
            outcome = train_network(task, part(report, 0.02, 0.85))
        checkpoint, evidence = Checkpoint(name), []
        if "weights" in checkpoint.card and not is_follower():
            with watch.stage("judge"):
                evidence = judge(task, sources, plan.labels(), part(report, 0.85, 1.0))
            _keep_evidence(task, evidence)
        result = TrainingResult(checkpoint, outcome, task.about["parts"], evidence, watch.seconds)
        if not is_follower():
            _record(plan.items, task, result)
        report(1.0, "trained")
    return result


def preview(
    samples: "SampleCollection",
    augmentation: Augmentation | str | None = None,
    *,
    backbone: Backbone | str | None = None,
    patches_field: str | None = None,
    margin: float = 0.0,
    slices: str | Sequence[str] | None = None,
    seed: int = 0,
) -> bytes:
    """Sixteen images, each beside a random view of it, as a PNG picture.

    Args:
        samples, augmentation, backbone, patches_field, margin, slices: as for :func:`train`.
        seed: of the views.

    Raises:
        As :func:`train`.
    """
    from uvl_plugin.training.augmentation.preview import preview_png

    items = target.target(
        samples, _UNUSED, patches_field=patches_field, margin=margin, slices=slices, pictures=True
    )
    looked_at = _look(items, items.ids())
    chosen = _network_for(backbone, looked_at)
    shown_as = _augmentation_of(augmentation, looked_at)
    preprocess = storing(chosen.untrained().network().preprocess, shown_as)
    images = np.stack([preprocess(image) for image in looked_at[:_SHOWN]])
    return preview_png(images, shown_as, seed=seed)


def robustness(
    samples: "SampleCollection",
    run_key: str,
    *,
    size: float = 0.03,
    steps: int = 10,
    n_images: int = 200,
    seed: int = 0,
    device: str = "auto",
) -> dict[str, float]:
    """How many images change their cluster when their pixels are disturbed.

    Args:
        samples: images, of which ``n_images`` are drawn.
        run_key: of a clustering of this dataset.
        size: how far each colour of each pixel may move, on a scale from 0 to 1.
        steps: of the strongest attack.
        seed: of the draw and the noise.
        device: see :func:`uvl_plugin.embed`.

    Returns:
        Share of assignments that flip under ``"random"``, ``"fgsm"`` and ``"pgd"`` noise, see
        :func:`uvl_plugin.training.robustness.flips`.

    Raises:
        DataError: if there is no such clustering, its vectors are not of a network, or no image
            can be read.
        SettingsError: if ``size`` is not within 0 and 1.
    """
    from uvl_plugin.adapter import model  # FiftyOne's models import torch: seconds

    items = target.target(samples, _UNUSED, pictures=True)
    labeller = model.labeller(items.dataset, run_key, device)
    if not isinstance(labeller.encoder, Encoder):
        raise DataError(f"No gradient can be had of the backbone of '{run_key}'.", "run_key")
    ids = np.random.default_rng(seed).permutation(sorted(items.ids()))[:n_images].tolist()
    images = [labeller.encoder.preprocess(image) for image in _read(items, ids)]
    return flips(
        labeller.encoder, labeller.clusters, np.array(images), size=size, steps=steps, seed=seed
    )


@dataclass(frozen=True)
class Plan:
    """A training that was checked, and not begun."""

    items: Target
    name: str
    backbone: TrainableBackbone
    method: Method
    augmentation: Augmentation
    recipe: Recipe
    split: Split
    label_field: str | None

    def parts(self) -> dict[str, list[str]]:
        """Ids of the items of each part."""
        ids = self.items.ids()
        strata = training.labels_of(self.items, self.split.stratify) if self.split.stratify else {}
        return split_ids(
            ids,
            self.split,
            labels=[strata.get(key) for key in ids] if strata else None,
            groups=training.groups_of(self.items, ids, self.split.group),
        )

    def task(self, sources: Mapping[str, Sequence[Source]], parts: dict[str, int]) -> Task:
        """What is trained on what."""
        about = {
            "dataset": self.items.dataset.name,
            "unit": self.items.unit,
            "split": self.split.to_dict(),
            "parts": parts,
        }
        return Task(
            self.name, self.backbone, self.method, self.augmentation, self.recipe,
            sources["train"], sources["validation"], about,
        )  # fmt: skip

    def labels(self) -> dict[str, str]:
        """The label of each item that has one; empty where no field was named."""
        return training.labels_of(self.items, self.label_field) if self.label_field else {}


def check_train(
    samples: "SampleCollection",
    method: Method | str,
    *,
    name: str,
    backbone: Backbone | str | None = None,
    augmentation: Augmentation | str | None = None,
    split: Split | None = None,
    labels: str | None = None,
    patches_field: str | None = None,
    margin: float = 0.0,
    slices: str | Sequence[str] | None = None,
    overwrite: bool = False,
    **recipe: Any,
) -> Plan:
    """Raises what :func:`train` would, without working; forms call it."""
    check_installed("lightly", package="lightly", needed_by="Training")
    items = target.target(
        samples, _UNUSED, patches_field=patches_field, margin=margin, slices=slices, pictures=True
    )
    _check_name(name)
    split = split or Split()
    for argument, field in (
        ("labels", labels),
        ("stratify", split.stratify),
        ("group", split.group),
    ):
        if field:
            items.check_field(field, argument)
    how = Recipe.from_dict(recipe)
    resolve_devices(how.device)
    chosen = _resolved(method, methods, "method")
    chosen.check()
    looked_at = [] if backbone and augmentation else _look(items, items.ids())
    network = _network_for(backbone, looked_at)
    network.check()
    views = _augmentation_of(augmentation, looked_at)
    return Plan(items, name, network, chosen, views, how, split, labels)


def _check_temporal(given: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
    """Refuses what only the training on images knows."""
    unknown = [key for key, value in given.items() if value is not None]
    unknown += sorted(recipe.keys() - {"embeddings", "seed", "device"})
    if unknown or "embeddings" not in recipe:
        raise SettingsError(
            "A temporal method takes embeddings=, the vector field of the frames, and name, "
            "patches_field, seed, device, overwrite"
            + (f"; it does not take {', '.join(unknown)}." if unknown else "."),
            unknown[0] if unknown else "embeddings",
        )


def _check_name(name: str) -> None:
    """Refuses what cannot be the name of a folder, or names another backbone already."""
    checkpoint_path(name)
    if name in presets or name in backbones:
        raise SettingsError(
            f"'{name}' is the name of a backbone already; choose another for the checkpoint.",
            "name",
        )


def _resolved(given: Any, registry: Registry, what: str) -> Any:
    """An entry of a registry: as given, or by its name."""
    if isinstance(given, str):
        return registry[given]()
    if type(given) not in list(registry):
        raise SettingsError(
            f"{what} must be one of {', '.join(registry.by_class_name())}, or a name such as "
            f"'{registry.names()[0]}', got {given!r}.",
            what,
        )
    return given


def _network_for(
    backbone: Backbone | str | None, images: Sequence[np.ndarray]
) -> TrainableBackbone:
    if backbone is None:
        return suitable_network(_sides(images))
    chosen = resolve_backbone(backbone)
    if not isinstance(chosen, TrainableBackbone):
        known = [cls.__name__ for cls in backbones if issubclass(cls, TrainableBackbone)]
        raise SettingsError(
            f"{type(chosen).__name__} has no network that can be trained; choose one of "
            f"{', '.join(known)}.",
            "backbone",
        )
    return chosen


def _augmentation_of(
    augmentation: Augmentation | str | None, images: Sequence[np.ndarray]
) -> Augmentation:
    if augmentation is not None:
        return _resolved(augmentation, augmentations, "augmentation")
    squash = Preprocess(size=round(median(_sides(images))), fit="squash")
    return suitable_augmentation(np.stack([squash(image) for image in images]))


def _sides(images: Sequence[np.ndarray]) -> list[int]:
    return [min(image.shape[:2]) for image in images]


def _look(items: Target, ids: Sequence[str]) -> list[np.ndarray]:
    """The first items that can be read, large ones reduced."""
    reader = partial(read_image, enough=lambda height, width: (_ENOUGH, _ENOUGH))
    return _read(items, ids[:_LOOKED_AT], reader)


def _read(items: Target, ids: Sequence[str], reader: Reader = read_image) -> list[np.ndarray]:
    """Pixels of those items that can be read; bad files are reported where they matter."""
    found: list[Any] = []
    for source in items.sources(ids):
        with contextlib.suppress(DataError):
            found += [pixels for _, pixels in source.read(reader)]
    found = [pixels for pixels in found if isinstance(pixels, np.ndarray)][: len(ids)]
    if not found:
        raise DataError(f"None of {len(ids)} {items.unit} can be read.")
    return found


def _make_room(task: Task, *, overwrite: bool) -> None:
    """Refuses to replace another training of this name, unless told to."""
    if is_follower():
        return
    writer = CheckpointWriter(task.name)
    card = writer.card()
    if card is None or card["fingerprint"] == task.fingerprint and not overwrite:
        return
    if not overwrite:
        asked = task.asked()
        differ = [key for key, value in asked.items() if card.get(key) != value] or ["images"]
        raise DataError(
            f"There is a checkpoint '{task.name}' already, trained with other {', '.join(differ)}; "
            "choose another name, or pass overwrite=True to replace it.",
            "name",
        )
    writer.clear()


def _keep_evidence(task: Task, evidence: Sequence[Figures]) -> None:
    writer = CheckpointWriter(task.name)
    card = writer.card()
    if card is not None:
        writer.write_card({**card, "evidence": [figures.to_dict() for figures in evidence]})


def _record(items: Target, task: Task, result: TrainingResult) -> None:
    outcome = dataclasses.asdict(result.outcome)
    curve, failures = outcome.pop("curve"), outcome.pop("failures")
    record = {
        "method": f"uvl/{task.method.name}",
        "checkpoint": task.name,
        "asked": task.asked(),
        "outcome": outcome,
        "curve": curve,
        "evidence": [figures.to_dict() for figures in result.evidence],
        "n_failed": len(failures),
        "failures": dict(islice(failures.items(), _LISTED_FAILURES)),
        "seconds": result.seconds,
        "versions": versions(),
    }
    training.record_training(items, task.name, record)

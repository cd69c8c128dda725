"""What a training takes from a dataset, and what it leaves there: labels, groups, tags, the record."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from fiftyone.core.runs import Run, RunConfig

from uvl_plugin.adapter.parts import Patches
from uvl_plugin.adapter.target import Target

_PAGE = 10_000  # ids in one request: MongoDB takes 16 MiB


class TrainingRunConfig(RunConfig):
    """Record of :func:`uvl_plugin.train`.

    Attributes:
        method: ``"uvl/"`` and the name of the method.
        checkpoint: name of the checkpoint, which has all of this and more in its card.
        asked: backbone, method, augmentation, recipe and split, with their settings.
        outcome: state, best epoch, warnings, how the work was done.
        curve: figures of each epoch.
        evidence: whether it helped, see :mod:`uvl_plugin.training.evidence`.
        n_failed, failures: reason by the id of each image that could not be read.
        seconds: time by stage.
        versions: of the packages.
    """


class TrainingRun(Run):
    """The training of a checkpoint; deleting it leaves the checkpoint where it is."""


def training_run_key(name: str) -> str:
    """Key of the run that records the training of a checkpoint."""
    return "train_" + "".join(char if char.isalnum() else "_" for char in name)


def record_training(items: Target, name: str, record: Mapping[str, Any]) -> None:
    """Writes the record, in place of that of an earlier training of this name."""
    config = TrainingRunConfig(**record)
    items.dataset.register_run(training_run_key(name), config, overwrite=True, cleanup=False)


def labels_of(items: Target, field: str) -> dict[str, str]:
    """The label of each item that has one.

    Args:
        field: of images a ``Classification`` or a plain field; of objects an attribute of the
            labels, such as ``"label"``.

    Raises:
        DataError: if there is no such field, or it is of another kind.
    """
    return {key: str(value) for key, value in items.values(field).items() if value is not None}


def groups_of(items: Target, ids: Sequence[str], field: str) -> list[Hashable] | None:
    """What must not straddle parts, for each item: the value of a field where one is named; the
    image, where items are the objects in it; else None."""
    if field:
        found = items.values(field)
        return [found[key] for key in ids]
    if isinstance(items, Patches):
        return [items.sample_of(key) for key in ids]
    return None


def tag_parts(items: Target, parts: Mapping[str, Sequence[str]]) -> None:
    """Tags each item with the name of its part, in place of an earlier split's tags."""
    for name, ids in parts.items():
        for start in range(0, len(ids), _PAGE):
            page = ids[start : start + _PAGE]
            if isinstance(items, Patches):
                chosen = items.dataset.select_labels(ids=page, fields=items.patches_field)
                chosen.untag_labels([*parts], label_fields=items.patches_field)
                chosen.tag_labels(name, label_fields=items.patches_field)
            else:
                chosen = items.dataset.select(page)
                chosen.untag_samples([*parts])
                chosen.tag_samples(name)

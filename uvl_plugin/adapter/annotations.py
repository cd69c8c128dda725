"""Items to a tool for annotation, through FiftyOne's own integrations."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter.clusterings import clustering_keys
from uvl_plugin.adapter.samples import dataset_of
from uvl_plugin.adapter.vectors import check_name
from uvl_plugin.core.errors import DataError, MissingPackageError, UVLError
from uvl_plugin.core.progress import Progress, silent

NEW_TYPES = ("classification", "classifications", "detections", "polylines", "keypoints")
_MOST_CLASSES = 1000
# what the integrations that FiftyOne has cannot do without; they would ask for it in a terminal
_NEEDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "cvat": ("url", "username", "password"),
        "labelstudio": ("url", "api_key"),
        "labelbox": ("api_key",),
    }
)
_PACKAGES = MappingProxyType(
    {"labelstudio": ("label_studio_sdk", "label-studio-sdk"), "labelbox": ("labelbox", "labelbox")}
)
_OPEN = ("config_cls", "url")  # parameters of a backend that are no secret


@dataclass(frozen=True)
class Backend:
    """An integration that FiftyOne is configured for.

    Attributes:
        name: of the backend.
        package: to be installed first; None: nothing.
        unset: environment variables that have to be set first; their values are never shown.
    """

    name: str
    package: str | None = None
    unset: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether items can be sent to it."""
        return self.package is None and not self.unset

    def __str__(self) -> str:
        missing = [f"pip install {self.package}"] if self.package else []
        missing += [f"set {name}" for name in self.unset]
        return f"{self.name}: {'ready' if self.ready else 'first ' + ', '.join(missing)}"


@dataclass(frozen=True)
class Request:
    """What is to be sent, checked.

    Attributes:
        samples: that go.
        key: of the annotation run.
        backend: where to.
        field: whose labels are asked for.
        label_type: of a new field; None where the field is there.
        classes: to choose from.
    """

    samples: SampleCollection
    key: str
    backend: str
    field: str
    label_type: str | None
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Sent:
    """What was sent.

    Attributes:
        key: of the annotation run.
        backend: where to.
        field: whose labels are asked for.
        n_samples: how many.
    """

    key: str
    backend: str
    field: str
    n_samples: int

    def __str__(self) -> str:
        return (
            f"{self.n_samples:,} samples were sent to '{self.backend}', for labels in "
            f"'{self.field}'. When they are done, dataset.load_annotations('{self.key}') brings "
            "them back."
        )


def backends() -> list[Backend]:
    """Those that FiftyOne is configured for, the ready ones first."""
    found = [_backend(name, dict(given)) for name, given in fo.annotation_config.backends.items()]
    return sorted(found, key=lambda backend: (not backend.ready, backend.name))


def _backend(name: str, given: Mapping[str, Any]) -> Backend:
    module, package = _PACKAGES.get(name, (None, None))
    installed = module is None or importlib.util.find_spec(module) is not None
    needed = _NEEDED.get(name, ("config_cls",))
    unset = tuple(f"FIFTYONE_{name.upper()}_{p.upper()}" for p in needed if not given.get(p))
    return Backend(name, None if installed else package, unset)


def classes_of(samples: SampleCollection, field: str) -> list[str]:
    """The classes to choose from: the labels that are in the field, else the names of the
    clusters of the last run."""
    dataset = dataset_of(samples)
    if dataset.get_field(field) is not None:
        path = _text_path(dataset, field)
        found = dataset.distinct(path) if path else []
    else:
        keys = clustering_keys(dataset)
        clusters = dataset.get_run_info(keys[-1]).config.clusters if keys else []
        found = [cluster["name"] for cluster in clusters]
    return sorted(str(name) for name in found if name)


def _text_path(dataset: fo.Dataset, field: str) -> str | None:
    kind = getattr(dataset.get_field(field), "document_type", None)
    inner = getattr(kind, "_LABEL_LIST_FIELD", None)
    path = f"{field}.{inner}.label" if inner else f"{field}.label"
    return path if dataset.get_field(path) is not None else None


def label_fields(samples: SampleCollection) -> list[str]:
    """Fields of labels that can be sent to be corrected; of frames too."""
    return [name for name in samples._get_label_fields() if _text_path(dataset_of(samples), name)]


def check_send(
    samples: SampleCollection,
    key: str,
    backend: str,
    field: str,
    *,
    label_type: str | None = None,
    classes: Sequence[str] = (),
) -> Request:
    """Checks that samples can be sent, without sending.

    Args:
        samples: a dataset or view, also one of objects.
        key: of the annotation run, which FiftyOne keeps with the dataset.
        backend: name of one of :func:`backends`.
        field: of labels; one that is there is corrected, another one is made.
        label_type: of a new field, see :data:`NEW_TYPES`; None: ``"classification"``.
        classes: to choose from; none: see :func:`classes_of`.

    Raises:
        DataError: if the samples, the key or the field do not allow it.
        MissingPackageError: if the backend needs a package that is not there.
    """
    dataset = dataset_of(samples)
    if not samples:
        raise DataError("There is nothing to send: this view has no samples.")
    if not key.isidentifier():
        raise DataError(
            f"'{key}' cannot be a key: use letters, digits and '_', and begin with a letter.", "key"
        )
    if dataset.has_annotation_run(key):
        raise DataError(f"There is an annotation run '{key}' already; choose another key.", "key")
    _check_backend(backend)
    there = dataset.get_field(field) is not None
    if there and field not in label_fields(samples):
        raise DataError(f"'{field}' is no field of labels; choose another one.", "field")
    if not there:
        check_name(field.removeprefix("frames."))
        label_type = label_type or NEW_TYPES[0]
        if label_type not in NEW_TYPES:
            raise DataError(
                f"There are no labels of type '{label_type}'. Known: {', '.join(NEW_TYPES)}.",
                "label_type",
            )
    chosen = tuple(dict.fromkeys(name.strip() for name in classes if name.strip()))
    chosen = chosen or tuple(classes_of(samples, field))
    if not 1 <= len(chosen) <= _MOST_CLASSES:
        raise DataError(
            f"Say which classes there are to choose from, 1 to {_MOST_CLASSES:,}; got "
            f"{len(chosen):,}.",
            "classes",
        )
    return Request(samples, key, backend, field, None if there else label_type, chosen)


def _check_backend(name: str) -> None:
    known = {backend.name: backend for backend in backends()}
    if name not in known:
        raise DataError(
            f"FiftyOne has no annotation backend '{name}'. Known: {', '.join(known) or 'none'}.",
            "backend",
        )
    backend = known[name]
    if backend.package:
        raise MissingPackageError(
            f"'{name}' needs the package '{backend.package}': pip install {backend.package}",
            "backend",
        )
    if backend.unset:
        raise DataError(
            f"'{name}' is not configured: set {', '.join(backend.unset)} in the environment of "
            "FiftyOne's server, and start it again.",
            "backend",
        )


def send(request: Request, progress: Progress = silent) -> Sent:
    """Sends samples; after a failure no annotation run is left.

    Raises:
        DataError: if the backend refuses, with its reason.
    """
    dataset, n_samples = dataset_of(request.samples), len(request.samples)
    progress(0.0, f"sending {n_samples:,} samples to {request.backend}")
    try:
        request.samples.annotate(
            request.key, backend=request.backend, label_field=request.field,
            label_type=request.label_type, classes=list(request.classes), attributes=False,
            launch_editor=False,
        )  # fmt: skip
    except BaseException as error:
        if dataset.has_annotation_run(request.key):
            dataset.delete_annotation_run(request.key)
        if isinstance(error, UVLError) or not isinstance(error, Exception):
            raise
        said = without_secrets(f"{type(error).__name__}: {error}", request.backend)
        raise DataError(
            f"'{request.backend}' did not take the samples: {said}", "backend"
        ) from None
    progress(1.0, "sent")
    return Sent(request.key, request.backend, request.field, n_samples)


def without_secrets(text: str, backend: str) -> str:
    """The text, with what a backend is configured by blotted out."""
    given = fo.annotation_config.backends.get(backend, {})
    secrets = [str(value) for name, value in given.items() if name not in _OPEN and value]
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text

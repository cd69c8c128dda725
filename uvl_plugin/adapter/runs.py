"""Run records: what was asked, what came out. Deleting a run removes what it wrote.

The class names below stand in the database. Any process that can import this module, by
the name ``uvl_plugin.adapter.runs``, loads the records with their own classes.
"""

import base64
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import fiftyone as fo
import numpy as np
from bson import json_util
from eta.core.utils import get_class_name
from fiftyone.core.collections import SampleCollection
from fiftyone.core.odm.runs import RunDocument
from fiftyone.core.runs import Run, RunConfig, RunResults

from uvl_plugin.adapter.fields import delete_field
from uvl_plugin.adapter.samples import dataset_of
from uvl_plugin.backbones.base import Backbone
from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.prepare import Preparation
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.packages import versions

_LISTED_FAILURES = 1000


class FieldRun(Run):
    """A run that wrote fields; deleting it deletes them."""

    def get_fields(self, samples: SampleCollection, key: str) -> list[str]:
        return [self.config.field]

    def cleanup(self, samples: SampleCollection, key: str) -> None:
        dataset = dataset_of(samples)
        for field in self.get_fields(samples, key):
            if owner_of(dataset, field) == key:
                delete_field(dataset, field)

    def rename(self, samples: SampleCollection, key: str, new_key: str) -> None:
        for path in self.get_fields(samples, key):
            field = dataset_of(samples).get_field(path)
            if field is not None and owner_of(dataset_of(samples), path) == key:
                field.info = {"uvl": {**field.info["uvl"], "run_key": new_key}}
                field.save()


class EmbeddingRunConfig(RunConfig):
    """Record of :func:`uvl_plugin.embed`.

    Attributes:
        method: ``"uvl/"`` and the name of the backbone.
        field: the vector field.
        backbone, settings: what made the vectors.
        patches_field, margin: the objects in the images, where the items are patches.
        engine: the engine's settings.
        device, precision, decode, batch_size, images_at_once, threads: how the work was done.
        dim: length of the vectors.
        n_embedded, n_failed: of the last call.
        failures: reason by the id of each sample that failed, at most 1,000 of them.
        seconds: time by stage.
        versions: of the packages.
    """


class EmbeddingRun(FieldRun):
    """Vectors in a field."""


class ClusteringRunConfig(RunConfig):
    """Record of :func:`uvl_plugin.cluster`.

    Attributes:
        method: ``"uvl/"`` and the name of the algorithm.
        field: the cluster field: ``cluster``, ``frames.cluster``, ``events.detections.cluster``.
        level_field, level: the field of the other level, and whether it is the ``"fine"`` or the
            ``"coarse"`` one.
        embeddings: the vector field that was clustered, likewise.
        patches_field: whose labels the items are; None for samples and frames. Records of earlier
            times do not have it, and are of samples.
        space: of these vectors, or None where something else made them.
        algorithm, settings: how, seed included.
        n_missing, sizes, names: what came out: clusters are numbered by size, the largest first.
        n_items, n_clusters, n_noise, clusters: as it is now, after edits and assignments; number,
            name and size of each cluster.
        figures: of these clusters, see :func:`uvl_plugin.adapter.cluster_figures.noted`; records of
            earlier times do not have them.
        tree: how the fine clusters join: merges and heights, or None.
        parts: which of the arrays has the parts that a new sample may be near to.
        stem, next_number: how new clusters are called, and from which number they count.
        report: what the algorithm said about its work.
        history: the edits over what came out, those that were taken back included.
        steps: those that hold, in words.
        evaluation: the last one, or None.
        proposals: names for clusters, by number, see :mod:`uvl_plugin.adapter.proposals`; may be
            missing.
        seconds: time by stage.
        versions: of the packages.
    """


class ClusteringRun(FieldRun):
    """Clusters in two fields, one for each level; of objects and clips, which are labels
    themselves, also in attributes beside these."""

    def get_fields(self, samples: SampleCollection, key: str) -> list[str]:
        levels = [self.config.field, self.config.level_field]
        dataset = dataset_of(samples)
        known = (path for path in dataset.get_field_schema(flat=True) if path not in levels)
        beside = (path for path in known if path.startswith(f"{self.config.field}_"))
        return levels + [path for path in beside if owner_of(dataset, path) == key]


class Arrays(Mapping[str, np.ndarray]):
    """Arrays by name, of which each is unpacked when it is first asked for, and packed once.

    Args:
        arrays: as they are; they must not be changed afterwards.
        texts: others, as :func:`packed` gave them.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray] | None = None,
        texts: Mapping[str, str] | None = None,
    ):
        self._arrays = dict(arrays or {})
        self._texts = dict(texts or {})

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            self._arrays[name] = unpacked(self._texts[name])
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._arrays, **self._texts})

    def __len__(self) -> int:
        return len({**self._arrays, **self._texts})

    def text(self, name: str) -> str:
        """An array, packed."""
        if name not in self._texts:
            self._texts[name] = packed(self._arrays[name])
        return self._texts[name]

    def replaced(self, new: Mapping[str, np.ndarray], instead_of: str = "") -> "Arrays":
        """With other arrays.

        Args:
            new: that are added, or replace those of the same name.
            instead_of: leaves out the others whose names begin so; "": none.
        """
        gone = {
            name
            for name in self
            if (name in new and self._arrays.get(name) is not new[name])
            or (instead_of and name.startswith(instead_of) and name not in new)
        }
        arrays = {name: array for name, array in self._arrays.items() if name not in gone}
        texts = {name: text for name, text in self._texts.items() if name not in gone}
        return Arrays({**arrays, **new}, texts)


class ClusteringRunResults(RunResults):
    """The arrays of a clustering, raw as they came out.

    Attributes:
        model: what assigns new samples to the clusters as they are now.
        arrays: by name: ``ids``, ``labels``, ``strengths``, ``coarse``, ``fine`` of the items,
            the model as it came out, and what the edits need, see
            :mod:`uvl_plugin.adapter.clusterings`.
    """

    def __init__(
        self,
        samples: Any,
        config: Any,
        key: str,
        model: ClusterModel,
        arrays: Arrays,
        backend: Any = None,
    ):
        super().__init__(samples, config, key, backend=backend)
        self.model = model
        self.arrays = arrays

    def serialize(self, reflective: bool = False) -> dict:
        preparation = self.model.preparation
        return {
            "cls": self.cls,
            "metric": self.model.metric,
            "normalize": preparation.normalize,
            "centroids": packed(self.model.centroids),
            "owners": packed(self.model.owners),
            "radii": packed(self.model.radii),
            "mean": None if preparation.mean is None else packed(preparation.mean),
            "components": (
                None if preparation.components is None else packed(preparation.components)
            ),
            "arrays": {name: self.arrays.text(name) for name in self.arrays},
        }

    @classmethod
    def _from_dict(cls, d: dict, samples: Any, config: Any, key: str) -> "ClusteringRunResults":
        mean, components = (
            None if d[name] is None else unpacked(d[name]) for name in ("mean", "components")
        )
        model = ClusterModel(
            Preparation(d["normalize"], mean, components),
            unpacked(d["centroids"]),
            unpacked(d["owners"]),
            unpacked(d["radii"]),
            d["metric"],
        )
        return cls(samples, config, key, model, Arrays(texts=d["arrays"]))


def keys_of(dataset: fo.Dataset, kind: type[RunConfig]) -> list[str]:
    """Keys of the runs whose records are of this class; no record is copied or gone through, as
    FiftyOne does when one is asked for."""
    kept = Run._get_run_docs(dataset)
    return [key for key in dataset.list_runs() if _config(kept[key])["cls"] == get_class_name(kind)]


def read_record(dataset: fo.Dataset, run_key: str) -> ClusteringRunConfig:
    """The record of a clustering as the database has it now.

    FiftyOne's ``get_run_info`` goes through each value of a record and copies it, which for a
    thousand clusters takes longer than to read it.

    Raises:
        DataError: if the run was deleted meanwhile.
    """
    return ClusteringRunConfig.from_dict(_stored(dataset, run_key)["config"])


def read_results(dataset: fo.Dataset, run_key: str) -> ClusteringRunResults:
    """The record of a clustering with its arrays, as the database has them now.

    Raises:
        DataError: if the run was deleted meanwhile.
    """
    stored = _stored(dataset, run_key)
    config = ClusteringRunConfig.from_dict(stored["config"])
    files = Run._get_run_doc(dataset, run_key).results.fs
    values = json.loads(files.get(stored["results"]).read())  # texts and nothing of MongoDB's own
    return ClusteringRunResults.from_dict(values, dataset, config, run_key)


def update_run(
    dataset: fo.Dataset,
    run_key: str,
    values: Mapping[str, Any],
    results: ClusteringRunResults | None = None,
) -> None:
    """Writes some values of a record, and with them its arrays, by one step of the database.

    FiftyOne's ``update_run_config`` writes all of a record and copies it three times, which for a
    thousand clusters takes longer than the rest of an edit; and its ``save_run_results`` deletes
    the old arrays before it writes the new ones.

    Args:
        values: JSON types, by name; the others stay as they are.
        results: None: those that are there stay.
    """
    kept = Run._get_run_doc(dataset, run_key)
    changes = {f"config.{name}": value for name, value in values.items()}
    files, new = kept.results.fs, None
    if results is not None:
        text = json_util.dumps(results.serialize()).encode()
        new = changes["results"] = files.put(text, content_type="application/json")
    old = kept._get_collection().find_one_and_update(
        {"_id": kept.id}, {"$set": changes}, {"results": True}
    )
    dict.update(_config(kept), values)  # without noting that it has to be saved
    if new is not None:
        files.delete(old["results"])
        kept.results.grid_id, kept.results.gridout = new, None
        dataset._run_cache[run_key] = results


def _stored(dataset: fo.Dataset, run_key: str) -> dict[str, Any]:
    kept = Run._get_run_doc(dataset, run_key)
    found = kept._get_collection().find_one({"_id": kept.id}, {"config": True, "results": True})
    if found is None:
        raise DataError(f"The run '{run_key}' was deleted meanwhile.", "run_key")
    return found


def _config(kept: RunDocument) -> dict[str, Any]:
    """The record of a run in memory, where ``kept.config`` would look for references in it."""
    return kept._data["config"]


def packed(array: np.ndarray) -> str:
    """An array as text, as a record can hold it."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return base64.b64encode(zlib.compress(buffer.getvalue(), 1)).decode()


def unpacked(text: str) -> np.ndarray:
    plain = zlib.decompress(base64.b64decode(text))
    return np.load(io.BytesIO(plain), allow_pickle=False)


def record_embedding(
    samples: SampleCollection,
    backbone: Backbone,
    asked: dict[str, Any],
    outcome: dict[str, Any],
    failures: dict[str, str],
) -> None:
    """Writes the record of an embedding, in place of that of an earlier call."""
    config = EmbeddingRunConfig(
        **asked,
        **outcome,
        method=f"uvl/{backbone.name}",
        backbone=backbone.name,
        settings=backbone.to_dict(),
        n_failed=len(failures),
        failures=dict(islice(failures.items(), _LISTED_FAILURES)),
        versions=versions(),
    )
    key = embedding_run_key(config.field)
    samples.register_run(key, config, overwrite=True, cleanup=False)


def embedding_run_key(field: str) -> str:
    """Key of the run that records how a vector field was made."""
    return f"embed_{field.replace('.', '_')}"


def owner_of(dataset: fo.Dataset, field: str) -> str | None:
    """Key of the run that wrote ``field``; None where no run of this plugin did."""
    return origin_of(dataset, field).get("run_key")


def origin_of(dataset: fo.Dataset, field: str) -> dict[str, Any]:
    """What this plugin noted with ``field`` when it made it; empty where it did not."""
    existing = dataset.get_field(field)
    return {} if existing is None else (existing.info or {}).get("uvl", {})


def drop_field(dataset: fo.Dataset, field: str) -> None:
    """Deletes a field, if it is there, and the run that wrote it."""
    owner = owner_of(dataset, field)
    if owner is not None and dataset.has_run(owner):
        dataset.delete_run(owner)
    delete_field(dataset, field)


def check_run_key(dataset: fo.Dataset, run_key: str, *, overwrite: bool) -> None:
    """Raises :class:`DataError` if the key cannot be one, or, unless ``overwrite``, is taken."""
    _check_key(run_key, "run_key")
    if not overwrite and dataset.has_run(run_key):
        raise DataError(
            f"There is a run '{run_key}' already; choose another run_key, or pass overwrite=True "
            "to replace it and what it wrote.",
            "run_key",
        )


def check_brain_key(dataset: fo.Dataset, brain_key: str, *, overwrite: bool) -> None:
    """The same for keys of similarity indexes and maps."""
    _check_key(brain_key, "brain_key")
    if not overwrite and dataset.has_brain_run(brain_key):
        raise DataError(
            f"There is a brain run '{brain_key}' already; choose another brain_key, or pass "
            "overwrite=True to replace it.",
            "brain_key",
        )


def _check_key(key: str, argument: str) -> None:
    if not key.isidentifier():
        raise DataError(
            f"'{key}' cannot be a key: use letters, digits and '_', and begin with a letter.",
            argument,
        )

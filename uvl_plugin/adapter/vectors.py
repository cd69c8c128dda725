"""Vector fields: made, read and written by sample id."""

import contextlib
from collections.abc import Iterator, Mapping

import fiftyone as fo
import numpy as np
from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter.runs import drop_field, embedding_run_key, origin_of
from uvl_plugin.adapter.target import dataset_of
from uvl_plugin.backbones.base import Backbone, backbones
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.core.errors import DataError


def read_embeddings(samples: SampleCollection, field: str) -> tuple[Embeddings, int]:
    """Reads the vectors of a field.

    Samples without a vector, or with one that is not finite, are left out.

    Args:
        samples: a dataset or view.
        field: name of a vector field.

    Returns:
        The vectors, and how many samples were left out.

    Raises:
        DataError: if there is no such field, no vector in it, or vectors of several lengths.
    """
    dataset = dataset_of(samples)
    check_vector_field(dataset, field)
    ids, found = samples.values(["id", field])
    rows = {
        key: np.asarray(row, np.float32)
        for key, row in zip(ids, found, strict=True)
        if row is not None
    }
    rows = {key: row for key, row in rows.items() if np.isfinite(row).all()}
    if not rows:
        raise DataError(
            f"None of the {len(ids)} samples has a vector in '{field}'; embed them first.",
            "embeddings",
        )
    lengths = {row.shape for row in rows.values()}
    if len(lengths) > 1:
        raise DataError(
            f"'{field}' holds vectors of different shapes {sorted(lengths)}; embed the samples "
            "again with one backbone and overwrite=True."
        )
    embeddings = Embeddings(np.array(list(rows)), np.stack(list(rows.values())), field)
    return embeddings, len(ids) - len(rows)


def check_vector_field(dataset: fo.Dataset, field: str) -> None:
    """Raises :class:`DataError` unless ``field`` is a field of vectors."""
    known = vector_fields(dataset)
    if field not in known:
        hint = f"Vector fields: {', '.join(known)}." if known else "Embed the samples first."
        raise DataError(f"'{dataset.name}' has no vector field '{field}'. {hint}", "embeddings")


def check_has_vectors(samples: SampleCollection, field: str) -> None:
    """Raises :class:`DataError` unless at least one sample has a vector in ``field``."""
    check_vector_field(dataset_of(samples), field)
    if not samples.exists(field):
        raise DataError(
            f"None of the samples has a vector in '{field}'; embed them first.", "embeddings"
        )


def vector_fields(dataset: fo.Dataset) -> list[str]:
    """Names of the fields that hold vectors."""
    return list(dataset.get_field_schema(ftype=fo.VectorField))


def check_may_write(dataset: fo.Dataset, field: str, space: str, *, overwrite: bool) -> None:
    """Checks, before any work, that vectors of ``space`` may go into ``field``.

    Raises:
        DataError: if the field holds something else, and, unless ``overwrite``, if it holds
            vectors that something else made.
    """
    check_name(field)
    existing = dataset.get_field(field)
    if existing is None:
        return
    if not isinstance(existing, fo.VectorField):
        raise DataError(
            f"'{field}' is a field of type {type(existing).__name__}, not of vectors; choose "
            "another name.",
            "field",
        )
    made_by = origin_of(dataset, field).get("space")
    if not overwrite and made_by != space:
        raise DataError(
            f"'{field}' holds vectors of {made_by or 'unknown origin'}; choose another field, "
            "or pass overwrite=True to replace them.",
            "field",
        )


def check_name(field: str) -> None:
    """Raises :class:`DataError` unless ``field`` can be the name of a new field."""
    if not field.isidentifier() or field.startswith("_"):
        raise DataError(
            f"'{field}' cannot be the name of a field: use letters, digits and '_', and begin "
            "with a letter.",
            "field",
        )


@contextlib.contextmanager
def opened(
    samples: SampleCollection, field: str, backbone: Backbone, *, overwrite: bool
) -> Iterator[None]:
    """Makes the field where it is missing.

    ``overwrite`` clears the vectors of ``samples``; where another backbone made the field, all
    of it goes, with its run. If the block fails before a vector is written, a field that was
    made here is removed again.
    """
    dataset = dataset_of(samples)
    if overwrite and origin_of(dataset, field).get("space") != backbone.space:
        drop_field(dataset, field)
    elif overwrite:
        dataset.set_values(field, dict.fromkeys(samples.values("id")), key_field="id")
    made = dataset.get_field(field) is None
    if made:
        origin = {
            "run_key": embedding_run_key(field),
            "backbone": backbone.name,
            "settings": backbone.to_dict(),
            "space": backbone.space,
        }
        dataset.add_sample_field(field, fo.VectorField, info={"uvl": origin})
    try:
        yield
    except BaseException:
        if made and not dataset.exists(field):
            drop_field(dataset, field)
        raise


def backbone_of(dataset: fo.Dataset, field: str) -> Backbone:
    """The backbone that made the vectors in ``field``.

    Raises:
        DataError: if no record says so.
    """
    origin = origin_of(dataset, field)
    if "backbone" not in origin:
        raise DataError(
            f"It is not known which backbone made the vectors in '{field}'; embed the samples "
            "with uvl.embed and cluster again."
        )
    return backbones[origin["backbone"]].from_dict(origin["settings"])


def without_vectors(samples: SampleCollection, field: str) -> SampleCollection:
    """The samples that have no vector in ``field``."""
    return samples if samples.get_field(field) is None else samples.exists(field, False)


def write_vectors(dataset: fo.Dataset, field: str, vectors: Mapping[str, np.ndarray]) -> None:
    """Writes vectors by sample id, float32."""
    if vectors:
        dataset.set_values(field, dict(vectors), key_field="id", validate=False)

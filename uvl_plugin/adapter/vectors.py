"""Vector fields: made, read and written by the ids of samples, objects and frames."""

import contextlib
import functools
import io
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import numpy as np
from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter.documents import VECTOR, Rows
from uvl_plugin.adapter.fields import add_field
from uvl_plugin.adapter.frames import Frames
from uvl_plugin.adapter.images import Images
from uvl_plugin.adapter.runs import drop_field, embedding_run_key, origin_of
from uvl_plugin.adapter.target import Target
from uvl_plugin.backbones.base import Backbone, backbones
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.scratch import new_rows

if TYPE_CHECKING:
    from typing_extensions import Self

_STORED = "<f4"  # float32, the least significant byte first
_PORTION_SECONDS = 1.0
_PORTION_BYTES = 4 * 2**20
_OPERATIONS = 2000  # of one request to the database
_PAGE = 500  # vectors read at once


def read_embeddings(samples: SampleCollection, field: str) -> tuple[Embeddings, int]:
    """Reads the vectors of a field of samples; see :func:`read_items`."""
    return read_items(Images(samples, field))


def read_items(items: Target, ids: Sequence[str] | None = None) -> tuple[Embeddings, int]:
    """Reads the vectors of images, objects or frames.

    Items without a vector, or with one that is not finite, are left out. The vectors are read
    page by page into one array, in a mapped file if memory is short.

    Args:
        items: images, objects or frames, with the name of their vector field.
        ids: of some of the items; None: all of them.

    Returns:
        The vectors, and how many items were left out.

    Raises:
        DataError: if there is no such field, no vector in it, or vectors of several lengths.
    """
    check_vectors(items)
    ids = items.ids() if ids is None else ids
    kept: list[str] = []
    vectors = np.zeros((0, 0), np.float32)
    for page, found in pages(items, ids):
        if not kept:
            vectors = new_rows(len(ids), found.shape[1])
        vectors[len(kept) : len(kept) + len(page)] = found
        kept += page
    if not kept:
        raise DataError(
            f"None of the {len(ids)} {_noun(items)} has a vector in '{items.path}'; embed them "
            "first.",
            "embeddings",
        )
    return Embeddings(np.array(kept), vectors[: len(kept)], items.path), len(ids) - len(kept)


def pages(
    items: Target, ids: Sequence[str] | None = None
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Reads vectors page by page, straight from the database.

    Items without a vector, or with one that is not finite, are left out; so are those that are
    no longer there. A page holds at most 500 items, at least one.

    Args:
        items: images, objects or frames, with the name of their vector field.
        ids: of some of the items; None: all of them.

    Yields:
        Ids, in the order of ``ids``, and their vectors of shape ``(m, dim)``, float32.

    Raises:
        DataError: if a vector is not as long as the first one.
    """
    values = items.stored(items.ids() if ids is None else ids)
    shape: tuple[int, ...] | None = None
    while page := list(islice(values, _PAGE)):
        kept: list[str] = []
        vectors: list[np.ndarray] = []
        for key, value in page:
            vector = as_vector(value)
            if np.isfinite(vector).all():
                shape = vector.shape if shape is None else shape
                _check_same(items, vector.shape, shape)
                kept.append(key)
                vectors.append(vector.ravel())
        if kept:
            yield kept, np.stack(vectors)


def _check_same(items: Target, shape: tuple[int, ...], first: tuple[int, ...]) -> None:
    if shape != first:
        raise DataError(
            f"'{items.path}' holds vectors of different shapes {sorted([first, shape])}; embed "
            f"the {_noun(items)} again with one backbone and overwrite=True.",
            "embeddings",
        )


def _noun(items: Target) -> str:
    return "samples" if isinstance(items, Images) else items.unit


def check_vectors(items: Target) -> None:
    """Raises :class:`DataError` unless the items have a field of vectors."""
    known = vector_paths(items)
    if items.path not in known:
        hint = (
            f"Vector fields: {', '.join(known)}." if known else f"Embed the {_noun(items)} first."
        )
        raise DataError(
            f"'{items.dataset.name}' has no vector field '{items.path}'. {hint}", "embeddings"
        )


def check_any_vector(items: Target) -> None:
    """Raises :class:`DataError` unless items of the dataset have vectors; does not look whether
    those of a view have, which reading them tells."""
    check_vectors(items)
    path = items.field if isinstance(items, Frames) else items.path
    if items.collection.find_one({path: VECTOR}, {"_id": 1}) is None:
        raise DataError(
            f"None of the {_noun(items)} has a vector in '{items.path}'; embed them first.",
            "embeddings",
        )


def vector_paths(items: Target) -> list[str]:
    """The fields of vectors that the items have, as :attr:`Target.path` names them."""
    before = items.path.removesuffix(items.field)
    if isinstance(items, Images):
        return vector_fields(items.dataset)
    if isinstance(items, Frames):
        names = items.dataset.get_frame_field_schema(ftype=fo.VectorField) or {}
        return [f"{before}{name}" for name in names]
    flat = items.dataset.get_field_schema(ftype=fo.VectorField, flat=True)
    return [path for path in flat if path.startswith(before)]


def check_has_vectors(samples: SampleCollection, field: str) -> None:
    """Raises :class:`DataError` unless at least one sample has a vector in ``field``."""
    check_vectors(Images(samples, field))
    if not samples.exists(field):
        raise DataError(
            f"None of the samples has a vector in '{field}'; embed them first.", "embeddings"
        )


def vector_fields(dataset: fo.Dataset) -> list[str]:
    """Names of the fields that hold vectors."""
    return list(dataset.get_field_schema(ftype=fo.VectorField))


def check_may_write(dataset: fo.Dataset, path: str, space: str, *, overwrite: bool) -> None:
    """Checks, before any work, that vectors of ``space`` may go into a field.

    Args:
        path: the field, or an attribute of labels: ``ground_truth.detections.embedding``.

    Raises:
        DataError: if the field holds something else, and, unless ``overwrite``, if it holds
            vectors that something else made.
    """
    check_name(path.rpartition(".")[2])
    if dataset.get_field(path) is None:
        return
    check_kind(dataset, path)
    made_by = origin_of(dataset, path).get("space")
    if not overwrite and made_by != space:
        raise DataError(
            f"'{path}' holds vectors of {made_by or 'unknown origin'}; choose another field, "
            "or pass overwrite=True to replace them.",
            "field",
        )


def check_kind(dataset: fo.Dataset, path: str) -> None:
    """Raises :class:`DataError` unless an existing field is one of vectors."""
    existing = dataset.get_field(path)
    if not isinstance(existing, fo.VectorField):
        raise DataError(
            f"'{path}' is a field of type {type(existing).__name__}, not of vectors; choose "
            "another name.",
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
def opened(target: Target, backbone: Backbone, *, overwrite: bool) -> Iterator[None]:
    """Makes the field where it is missing.

    ``overwrite`` clears the vectors of the target's items; where another backbone made the
    field, all of it goes, with its run. If the block fails before a vector is written, a field
    that was made here is removed again.
    """
    dataset, path = target.dataset, target.path
    if overwrite and origin_of(dataset, path).get("space") != backbone.space:
        drop_field(dataset, path)
    elif overwrite:
        write_values(target, dict.fromkeys(target.ids()))
    made = dataset.get_field(path) is None
    if made:
        origin = {
            "run_key": embedding_run_key(path),
            "backbone": backbone.name,
            "settings": backbone.to_dict(),
            "space": backbone.space,
        }
        add_field(dataset, path, fo.VectorField, info={"uvl": origin})
    try:
        yield
    except BaseException:
        if made and len(target.ids(missing=True)) == len(target.ids()):
            drop_field(dataset, path)
        raise


def backbone_of(dataset: fo.Dataset, field: str) -> Backbone:
    """The backbone that made the vectors in ``field``.

    Raises:
        DataError: if no record says so, or it is not what it was then.
    """
    origin = origin_of(dataset, field)
    if "backbone" not in origin:
        raise DataError(
            f"It is not known which backbone made the vectors in '{field}'; embed the samples "
            "with uvl.embed and cluster again."
        )
    backbone = backbones[origin["backbone"]].from_dict(origin["settings"])
    if backbone.space != origin["space"]:  # a checkpoint can be trained again under its name
        raise DataError(
            f"The vectors in '{field}' were made by {origin['space']}, which has been replaced by "
            f"{backbone.space}; embed the samples again with overwrite=True.",
            "embeddings",
        )
    return backbone


def without_vectors(samples: SampleCollection, field: str) -> SampleCollection:
    """The samples that have no vector in ``field``."""
    return samples if samples.get_field(field) is None else samples.exists(field, False)


class VectorWriter:
    """Writes vectors while others are computed: in portions, straight to the database.

    A portion is written when it is large or a second old, so that little is lost in a crash;
    on leaving the block the rest is written, also after an error.

    Args:
        target: whose items the vectors are of.
    """

    def __init__(self, target: Target):
        self._target = target
        self._waiting: dict[str, np.ndarray] = {}
        self._written_at = time.monotonic()

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *error: object) -> None:
        self.flush()

    def add(self, vectors: Mapping[str, np.ndarray]) -> None:
        """Takes vectors ``(dim,)``, float32, by item id."""
        self._waiting.update(vectors)
        old = time.monotonic() - self._written_at >= _PORTION_SECONDS
        if old or sum(vector.nbytes for vector in self._waiting.values()) >= _PORTION_BYTES:
            self.flush()

    def flush(self) -> None:
        """Writes what is waiting."""
        write_values(self._target, {key: stored(v) for key, v in self._waiting.items()})
        self._waiting.clear()
        self._written_at = time.monotonic()


def write_values(target: Target, values: Mapping[str, Any]) -> None:
    """Writes a value of MongoDB to the field of each item by its id, None to clear it."""
    write_rows(target, {key: {target.field: value} for key, value in values.items()})


def write_rows(target: Target, rows: Rows) -> None:
    """Writes values of MongoDB to several fields of each item, whatever ``target.field`` is."""
    if not rows:
        return
    operations = target.updates(rows, {"last_modified_at": datetime.now(timezone.utc)})
    while some := list(islice(operations, _OPERATIONS)):
        target.collection.bulk_write(some, ordered=False)
    ids = target.sample_ids(list(rows))
    reload_samples(target.dataset, ids)
    if isinstance(target, Frames):
        fo.Frame._reload_docs(target.dataset._frame_collection_name, sample_ids=ids)


def reload_samples(dataset: fo.Dataset, ids: Sequence[str]) -> None:
    """Brings samples that Python holds up to date with the database."""
    fo.Sample._reload_docs(dataset._sample_collection_name, sample_ids=ids)


def stored(vector: np.ndarray) -> bytes:
    """A vector as FiftyOne's ``VectorField`` keeps it: NumPy's own format in a zlib stream.

    The stream is not compressed: vectors hardly shrink, and level 0 is many times as fast.
    """
    plain = np.asarray(vector, _STORED)
    return zlib.compress(_header(len(plain)) + plain.tobytes(), 0)


def as_vector(value: Any) -> np.ndarray:
    """What MongoDB holds in a field of vectors, float32."""
    plain = read_stored(value) if isinstance(value, bytes) else value
    return np.asarray(plain, np.float32)


def read_stored(value: bytes) -> np.ndarray:
    """The vector that :func:`stored` or FiftyOne wrote, in the type it was written in."""
    plain = zlib.decompress(value)
    if plain[6] != 1:  # of NumPy's formats; 1 has two bytes for the length of its header
        return np.load(io.BytesIO(plain), allow_pickle=False)
    begin = 10 + int.from_bytes(plain[8:10], "little")
    shape, dtype = _described(plain[8:begin])
    return np.frombuffer(plain, dtype, offset=begin).reshape(shape)


@functools.lru_cache(maxsize=64)
def _described(header: bytes) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type that a header of NumPy's format tells; all vectors of a field share it."""
    shape, _, dtype = np.lib.format.read_array_header_1_0(io.BytesIO(header))
    return shape, dtype


@functools.cache
def _header(dim: int) -> bytes:
    """What NumPy's format puts before the numbers of a vector."""
    buffer = io.BytesIO()
    described = {"descr": _STORED, "fortran_order": False, "shape": (dim,)}
    np.lib.format.write_array_header_1_0(buffer, described)
    return buffer.getvalue()

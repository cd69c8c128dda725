"""What a write puts into the folder of an index: segments, and which rows are gone."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Progress, part, silent
from uvl_plugin.indexing.auto import AUTO, suitable_kind
from uvl_plugin.indexing.files import described, new_folder
from uvl_plugin.indexing.kind import IndexKind, index_kinds
from uvl_plugin.indexing.segment import Page, write_segment
from uvl_plugin.indexing.snapshot import Snapshot, as_bytes
from uvl_plugin.indexing.state import IndexFolder

GONE_ROWS = "rows"  # the file with the rows of a segment that are gone


def build(
    state: IndexFolder, base: dict[str, Any], pages: Iterable[Page], progress: Progress
) -> None:
    """Writes one segment of everything, with a structure, in place of all that is there."""
    kind, why = index_kinds["flat"](), "there are no vectors yet"

    def choose(n: int, dim: int) -> IndexKind:
        nonlocal kind, why
        if base["asked"] == AUTO:
            kind, why = suitable_kind(n, dim)
        else:
            kind, why = index_kinds[base["asked"]].from_dict(base["settings"]), "asked for"
        return kind

    entry = write_segment(
        state.path, state.new_name("segment", base), map(stored, pages), choose=choose,
        metric=base["metric"], precision=base["precision"], progress=part(progress, 0.3, 0.95),
    )  # fmt: skip
    described_ = {"kind": kind.name, "kind_settings": kind.to_dict(), "why": why}
    state.commit(base | described_, [entry] if entry["n"] else [])
    progress(1.0, "index written")


def beside(state: IndexFolder, manifest: dict[str, Any], pages: Iterable[Page]) -> dict[str, Any]:
    """Writes a segment without a structure; returns its entry."""
    return write_segment(
        state.path, state.new_name("segment", manifest), pages, choose=None,
        metric=manifest["metric"], precision=manifest["precision"], progress=silent,
    )  # fmt: skip


def without(
    state: IndexFolder, manifest: dict[str, Any], now: Snapshot, rows: np.ndarray
) -> list[dict[str, Any]]:
    """The entries of all segments, with these rows marked as gone."""
    entries, start = [], 0
    for entry, gone in zip(manifest["segments"], now.gone, strict=True):
        own = rows[(rows >= start) & (rows < start + entry["n"])] - start
        start += entry["n"]
        if len(own):
            name = state.new_name("gone", manifest)
            with new_folder(state.path / name) as partial:
                np.union1d(gone, own).astype("<i8").tofile(partial / GONE_ROWS)
                files = {GONE_ROWS: described(partial / GONE_ROWS)}
            entry = entry | {"gone": {"name": name, "files": files}}
        entries.append(entry)
    return entries


def first_merged(sizes: list[int]) -> int:
    """From which segment on they are merged: the last two at least, and further back as long as
    the next is at most twice as large, so that a vector is written again only a few times."""
    first, total = len(sizes) - 2, sum(sizes[-2:])
    while first > 1 and sizes[first - 1] <= 2 * total:
        first -= 1
        total += sizes[first]
    return first


def stored(page: Page) -> Page:
    """A page with its ids as bytes."""
    ids, vectors, owners = page
    return as_bytes(ids), vectors, None if owners is None else as_bytes(owners)


def check_added(
    keys: np.ndarray, vectors: np.ndarray, samples: np.ndarray | None, now: Snapshot
) -> None:
    """Of vectors to add, what :func:`write_segment` cannot know."""
    if vectors.ndim != 2 or len(vectors) != len(keys):
        raise DataError(f"There are {len(keys)} ids, and vectors of shape {vectors.shape}.")
    if samples is not None and len(samples) != len(keys):
        raise DataError(f"There are {len(keys)} ids, and the samples of {len(samples)}.")
    if now.dim and len(vectors) and vectors.shape[1] != now.dim:
        raise DataError(
            f"The vectors have {vectors.shape[1]} numbers, and those in the index have {now.dim}."
        )
    if now.segments and len(keys) and (now.segments[0].owners is None) != (samples is None):
        raise DataError(
            "The index is of samples, and these items are not."
            if samples is not None
            else "The index is of items that are not samples: give the sample of each."
        )

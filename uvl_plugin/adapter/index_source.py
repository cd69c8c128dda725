"""What an index is made of: the vectors in a field of a dataset."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import fiftyone.brain.internal.core.utils as fbu
import numpy as np
from fiftyone.core.collections import SampleCollection
from fiftyone.core.video import FramesView

from uvl_plugin.adapter import vectors
from uvl_plugin.adapter.fields import add_field
from uvl_plugin.adapter.frames import FRAMES, Frames
from uvl_plugin.adapter.images import Images
from uvl_plugin.adapter.parts import Patches
from uvl_plugin.adapter.runs import origin_of
from uvl_plugin.adapter.target import Target
from uvl_plugin.core.progress import Progress
from uvl_plugin.indexing.segment import Page


@dataclass(frozen=True)
class IndexSource:
    """Items of a dataset, and their vectors if they are in a field.

    Attributes:
        samples: the dataset, or its frames view.
        field: of the vectors; None where they were only given.
        patches_field: of the labels that are the items; None: the samples are.
    """

    samples: SampleCollection
    field: str | None
    patches_field: str | None

    def items(self) -> Target | None:
        """The items and their field; None where there is no such field."""
        items = self._items()
        return None if items is None or items.dataset.get_field(items.path) is None else items

    def about(self) -> dict[str, Any]:
        """What made the vectors, as JSON types, so that others are noticed."""
        items = self.items()
        origin = {} if items is None else origin_of(items.dataset, items.path)
        return {"space": origin.get("space")}

    def ids_there(self) -> np.ndarray:
        """Ids of what has a vector in the field; where there is no field, of every item."""
        if isinstance(self.samples, FramesView):
            self.samples.reload()  # or it would not have the frames that came since it was made
        items = self.items()
        if items is None:
            return self.ids_in(_every_slice(self.samples))
        return np.setdiff1d(as_text(items.ids()), as_text(items.ids(missing=True)))

    def ids_in(self, samples: SampleCollection) -> np.ndarray:
        """Ids of the items of a view, each once, in its order."""
        if self.field is not None and self.field.startswith(FRAMES):
            ids = as_text(Frames(samples, self.field.removeprefix(FRAMES)).ids())
        else:
            found = fbu.filter_ids(samples, None, None, patches_field=self.patches_field)
            ids = as_text(found[0] if self.patches_field is None else found[1])
        _, first = np.unique(ids, return_index=True)
        return ids[np.sort(first)]

    def write(self, ids: np.ndarray, matrix: np.ndarray | None) -> None:
        """Writes vectors to the field, where the items are to have one; makes it if needed. Items
        that are no longer there are passed over.

        Args:
            ids: of the items, shape ``(m,)``.
            matrix: their vectors, shape ``(m, dim)``; None takes them out.
        """
        items = self._items()
        if items is None or len(ids) == 0:
            return
        rows = [None] * len(ids) if matrix is None else np.asarray(matrix, np.float32)
        values = dict(zip(ids.tolist(), rows, strict=True))
        if isinstance(items, Patches) or isinstance(self.samples, FramesView):
            values = {key: values[key] for key in items.ids() if key in values}  # others are gone
        if isinstance(self.samples, FramesView):  # which is a copy, and passes on what it is told
            self.samples.set_values(items.field, values, key_field="id")
            return
        if self.items() is None:
            add_field(items.dataset, items.path, fo.VectorField)
        vectors.write_values(
            items,
            {key: None if row is None else vectors.stored(row) for key, row in values.items()},
        )

    def pages(self, progress: Progress, ids: Sequence[str] | None = None) -> Iterator[Page]:
        """Vectors from the field, page by page; none where there is no field.

        Args:
            ids: of some items; None: all.
        """
        items = self.items()
        if items is None:
            return
        wanted = items.ids() if ids is None else ids
        done = 0
        for keys, page in vectors.pages(items, wanted):
            owners = None
            if isinstance(items, Patches):
                owners = as_text([items.sample_of(key) for key in keys])
            done += len(keys)
            progress(done / len(wanted), f"vectors, {done:,} of {len(wanted):,}")
            yield as_text(keys), page, owners

    def _items(self) -> Target | None:
        """The items and the field that they are to have; None where the vectors are only given."""
        if self.field is None:
            return None
        if self.patches_field is not None:
            return Patches(_every_slice(self.samples), self.field, self.patches_field, margin=0.0)
        if isinstance(self.samples, FramesView) or self.field.startswith(FRAMES):
            return Frames(self.samples, self.field.removeprefix(FRAMES))
        return Images(_every_slice(self.samples), self.field)


def as_text(ids: "str | Iterable[str]") -> np.ndarray:
    """One id or several, shape ``(n,)``."""
    return np.asarray([ids] if isinstance(ids, str) else list(ids), str)


def _every_slice(samples: SampleCollection) -> SampleCollection:
    if samples.media_type != "group":
        return samples
    return samples.select_group_slices(_allow_mixed=True)

"""What an index is made of: the vectors in a field of a dataset."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone.brain.internal.core.utils as fbu
import numpy as np
from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter import vectors
from uvl_plugin.adapter.runs import origin_of
from uvl_plugin.adapter.target import FRAMES, Images, Patches, Target, target
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
        if self.field is None:
            return None
        parts = self.samples._is_generated or self.field.startswith(FRAMES)
        if self.patches_field is not None or parts:
            items: Target = target(self.samples, self.field, patches_field=self.patches_field)
        else:
            items = Images(_every_slice(self.samples), self.field)
        return None if items.dataset.get_field(items.path) is None else items

    def about(self) -> dict[str, Any]:
        """What made the vectors, as JSON types, so that others are noticed."""
        items = self.items()
        return {} if items is None else {"space": origin_of(items.dataset, items.path).get("space")}

    def ids_there(self) -> np.ndarray:
        """Ids of what has a vector in the field; where there is no field, of every item."""
        items = self.items()
        if items is None:
            return self.ids_in(self.samples)
        return np.setdiff1d(as_text(items.ids()), as_text(items.ids(missing=True)))

    def ids_in(self, samples: SampleCollection) -> np.ndarray:
        """Ids of the items of a view, each once, in its order."""
        found = fbu.filter_ids(_every_slice(samples), None, None, patches_field=self.patches_field)
        ids = as_text(found[0] if self.patches_field is None else found[1])
        _, first = np.unique(ids, return_index=True)
        return ids[np.sort(first)]

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


def as_text(ids: "str | Iterable[str]") -> np.ndarray:
    """One id or several, shape ``(n,)``."""
    return np.asarray([ids] if isinstance(ids, str) else list(ids), str)


def _every_slice(samples: SampleCollection) -> SampleCollection:
    if samples.media_type != "group":
        return samples
    return samples.select_group_slices(_allow_mixed=True)

"""Samples whose image, or an object in it, could not be embedded carry a tag."""

from collections.abc import Sequence

from bson import ObjectId

from uvl_plugin.adapter.target import Target
from uvl_plugin.adapter.vectors import reload_samples

FAILED_TAG = "embedding_failed"
_PAGE = 10_000  # ids in one request: MongoDB takes 16 MiB, about 800,000


def tag_failed(target: Target, keys: Sequence[str]) -> None:
    """Tags the samples of some items."""
    _change_tags(target, keys, {}, {"$addToSet": {"tags": FAILED_TAG}})


def untag(target: Target, keys: Sequence[str]) -> None:
    """Takes the tag off the samples of some items, which are about to be tried again."""
    _change_tags(target, keys, {"tags": FAILED_TAG}, {"$pull": {"tags": FAILED_TAG}})


def _change_tags(target: Target, keys: Sequence[str], chosen: dict, change: dict) -> None:
    ids = target.sample_ids(keys)
    for start in range(0, len(ids), _PAGE):
        page = ids[start : start + _PAGE]
        these = {"_id": {"$in": [ObjectId(key) for key in page]}, **chosen}
        target.dataset._sample_collection.update_many(these, change)
        reload_samples(target.dataset, page)

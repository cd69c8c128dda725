"""Documents of MongoDB, read page by page by their ids."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bson import ObjectId
from pymongo.collection import Collection

PAGE = 500  # documents read at once
VECTOR = {"$type": ["binData", "array"]}  # condition on a field: it holds a vector

Rows = Mapping[str, Mapping[str, Any]]  # values of MongoDB by field, by the id of each item


def documents(
    collection: Collection, ids: Sequence[str], fields: list[str]
) -> Iterator[dict[str, Any]]:
    """Some fields of documents as MongoDB keeps them, in the order of ``ids``; deleted ones are
    left out."""
    projection = dict.fromkeys(fields, 1)
    for start in range(0, len(ids), PAGE):
        page = [ObjectId(key) for key in ids[start : start + PAGE]]
        found = collection.find({"_id": {"$in": page}}, projection)
        documents = {document["_id"]: document for document in found}
        yield from (documents[key] for key in page if key in documents)


def stored_values(
    collection: Collection, ids: Sequence[str], path: str
) -> Iterator[tuple[str, Any]]:
    for document in documents(collection, ids, [path]):
        value = value_at(document, path)
        if value is not None:
            yield str(document["_id"]), value


def value_at(document: Any, path: str) -> Any:
    """What a document holds at a path of names with dots between them; None if there is nothing."""
    for name in path.split("."):
        document = (document or {}).get(name)
    return document


def new_label(kind: str, **attributes: Any) -> dict[str, Any]:
    """A label of FiftyOne's class ``kind`` as MongoDB keeps it."""
    return {"_id": ObjectId(), "_cls": kind, "tags": [], **attributes}

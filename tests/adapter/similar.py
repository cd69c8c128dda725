"""Small datasets with vectors, and similarity worked out by hand."""

import contextlib

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np

from uvl_plugin.adapter.similarity_faiss import register

register()
N, DIM = 40, 6


@contextlib.contextmanager
def made(n):
    """A dataset of ``n`` images that do not exist."""
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=f"{i}.png") for i in range(n)], progress=False)
    yield dataset
    dataset.delete()


def vectors_of(n, seed=0, dim=DIM):
    """Rows of many lengths, so that the metrics differ."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n, dim)) * random.uniform(0.5, 3.0, size=(n, 1))
    return (rows + 0.5).astype(np.float32)


def add_vectors(dataset, field="emb", seed=0):
    """Gives every sample a vector, and a parity to filter by."""
    n = len(dataset)
    dataset.add_sample_field(field, fo.VectorField)
    dataset.set_values(field, list(vectors_of(n, seed)))
    dataset.set_values("parity", ["even" if i % 2 == 0 else "odd" for i in range(n)])
    return dataset


def add_objects(dataset, field="boxes"):
    """0 to 3 objects in each sample, with a vector each."""
    counts = [number % 4 for number in range(len(dataset))]
    boxes = [
        fo.Detections(
            detections=[
                fo.Detection(label="ab"[i % 2], bounding_box=[0.1, 0.1, 0.5, 0.5])
                for i in range(count)
            ]
        )
        for count in counts
    ]
    dataset.set_values(field, boxes)
    dataset.add_sample_field(f"{field}.detections.emb", fo.VectorField)
    rows = iter(vectors_of(sum(counts), seed=7))
    dataset.set_values(f"{field}.detections.emb", [[next(rows) for _ in range(n)] for n in counts])
    return dataset


def similarity(samples, **kwargs):
    """An index of this backend; of the field 'emb' with the brain key 'sim' if not told others."""
    kwargs = {"embeddings": "emb", "brain_key": "sim"} | kwargs
    return fob.compute_similarity(samples, backend="faiss", progress=False, **kwargs)


def by_id(dataset, path="emb"):
    """Vector by id, of what has one; ``path`` may be of labels."""
    prefix = path.rpartition(".")[0]
    ids = dataset.values(f"{prefix}.id" if prefix else "id", unwind=bool(prefix))
    rows = dataset.values(path)
    if prefix.endswith("detections") or prefix == "frames":
        rows = [row for some in rows for row in some or ()]
    pairs = zip(ids, rows, strict=True)
    return {key: np.asarray(row, np.float32) for key, row in pairs if row is not None}


def distances(metric, rows, query):
    """Of each row to the query, by the formulas, in float64."""
    query = np.asarray(query, np.float64)
    rows = np.asarray(rows, np.float64).reshape(-1, len(query))
    if metric == "euclidean":
        return np.linalg.norm(rows - query, axis=1)
    products = rows @ query
    if metric == "dotproduct":
        return -products
    return 1.0 - products / (np.linalg.norm(rows, axis=1) * np.linalg.norm(query))


def ranked(vectors, query, metric="cosine", among=None):
    """Ids by distance to the query, and these distances."""
    ids = list(vectors if among is None else among)
    apart = distances(metric, [vectors[key] for key in ids], query)
    order = np.argsort(apart, kind="stable")
    return [ids[row] for row in order], apart[order]


def content(index):
    """Vector by id, as the index holds them."""
    vectors, samples, labels = index.get_embeddings()
    ids = samples if labels is None else labels
    return {key: row.tolist() for key, row in zip(ids.tolist(), vectors, strict=True)}


def same(found, expected):
    """Whether the :func:`content` of an index is these vectors by id, to the last bit."""
    return found == {key: np.asarray(row).tolist() for key, row in expected.items()}

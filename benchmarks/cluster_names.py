"""Whether clusters get the names of their classes, proposed from 200 nouns and from all that the
network knows. Labels make the clusters of the first rows, and judge those of the others."""

import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from benchmarks import photos
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from benchmarks.timing import timed
from uvl_plugin.backbones.open_clip import OpenCLIP
from uvl_plugin.clustering.auto import Auto
from uvl_plugin.clustering.base import Clusterer, cluster_embeddings
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.neighbor_cache import FOLDER
from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.curation.word_vectors import EmbedTexts, word_vectors
from uvl_plugin.curation.words import fitting_names
from uvl_plugin.engine.loaded import LoadedBackbone
from uvl_plugin.engine.settings import Engine
from uvl_plugin.media.sources import ImageFile
from uvl_plugin.proposing import PROMPTS

_CALLED = {"roses": "rose", "sunflowers": "sunflower", "tulips": "tulip"}  # in known_names.txt
_SEEDS = 5
_N_WORDS = 200
_PER_CLUSTER = 24
_WORDNET = 80_000
_DIM = 512
_COLUMNS = ("data", "clusters", "words", "own name first", "among five", "nearest word")


@dataclass(frozen=True)
class Data:
    """Images of known classes.

    Attributes:
        vectors: shape ``(n, dim)``.
        classes: name of the class of each, as the network knows it.
    """

    name: str
    vectors: np.ndarray
    classes: np.ndarray

    @property
    def names(self) -> list[str]:
        return sorted(set(self.classes.tolist()))


@dataclass(frozen=True)
class Vocabulary:
    """All nouns of the network, and their vectors in one way of phrasing them."""

    words: list[str]
    vectors: np.ndarray

    def some(self, own: Sequence[str], seed: int) -> "Vocabulary":
        """The names ``own`` and others drawn at random, 200 in all; synonyms are not left out."""
        others = [word for word in self.words if word not in own]
        drawn = np.random.default_rng(seed).permutation(others)[: _N_WORDS - len(own)]
        kept = sorted([*own, *drawn.tolist()])
        rows = [self.words.index(word) for word in kept]
        return Vocabulary(kept, self.vectors[rows])


def cluster_names(setting: Setting) -> Section:
    """Flowers and CIFAR-10, clusters of labels and found ones; the time that 80,000 nouns take."""
    folder = photos.real_data() / "weights" / "open_clip" / "uvl-mnv2-minitext"
    backbone = OpenCLIP(model=str(folder))
    words = sorted(filter(None, (folder / "known_names.txt").read_text().split("\n")))
    with _own_cache(setting):
        loaded = LoadedBackbone(backbone, Engine(threads=setting.threads))
        texts = loaded.encoder.embed_texts
        assert texts is not None, "it knows text"
        every = Vocabulary(words, word_vectors(texts, backbone.space, words, PROMPTS))
        rows: list[list[str]] = []
        verdicts = []
        for name, wanted in (("flowers5", 4), ("cifar10", 8)):
            data = _data(name, loaded, setting)
            for said, labels in _clusterings(data):
                rows.extend(_rows(data, said, labels, every))
            verdicts.append(_verdict(data, every, wanted))
        body = _BODY.format(table(_COLUMNS, rows), _sizes(texts, words, setting))
    return Section("names for clusters", verdicts, body)


_BODY = """Zero-shot with the open_clip pair `uvl-mnv2-minitext`, a stand-in for CLIP that knows 1,919
nouns and has seen other images of these classes; 24 typical members of each cluster. '200': the
names of the classes and others drawn from what it knows, synonyms not left out; mean and least of
five draws. The name of a found cluster is right if it is that of most of its members. 'nearest
word': the word with the greatest cosine to the mean of the exemplars, which knows nothing of the
other clusters.

{}

{}"""


@contextmanager
def _own_cache(setting: Setting) -> Iterator[None]:
    before = os.environ.get(FOLDER)
    os.environ[FOLDER] = str(setting.folder / "cache")
    try:
        yield
    finally:
        os.environ.pop(FOLDER)
        if before is not None:
            os.environ[FOLDER] = before


def _data(name: str, loaded: LoadedBackbone, setting: Setting) -> Data:
    paths = []
    for folder in sorted((photos.real_data() / "images" / name).glob("*/")):
        files = sorted([*folder.glob("*.jpg"), *folder.glob("*.png")])
        paths += files[: setting.n(60, 6)]
    sources = [ImageFile(str(path), str(path)) for path in paths]
    found: dict[str, np.ndarray] = {}
    for chunk in loaded.embed(sources, len(sources)):
        found |= chunk.vectors
    classes = [_CALLED.get(path.parent.name, path.parent.name) for path in paths]
    return Data(name, np.stack([found[str(path)] for path in paths]), np.array(classes))


def _clusterings(data: Data) -> Iterator[tuple[str, np.ndarray]]:
    """How clusters were made, and the number of each item's."""
    yield "labels", np.unique(data.classes, return_inverse=True)[1]
    k = len(data.names)
    algorithms: dict[str, Clusterer] = {
        f"k-means, {k}": KMeans(n_clusters=k),
        f"k-means, {3 * k}": KMeans(n_clusters=3 * k),
        "auto": Auto(),
    }
    ids = np.array([f"{row:06}" for row in range(len(data.vectors))])
    for said, algorithm in algorithms.items():
        result, _ = cluster_embeddings(Embeddings(ids, data.vectors), algorithm)
        yield f"{said}: {result.n_clusters}" if said == "auto" else said, result.labels


def _rows(data: Data, said: str, labels: np.ndarray, every: Vocabulary) -> Iterator[list[str]]:
    some = [every.some(data.names, seed) for seed in range(_SEEDS)]
    for many in (some, [every]):
        scores = [_scores(data, labels, each) for each in many]
        cells = [_of_draws(column) for column in zip(*scores, strict=True)]
        yield [data.name, said, f"{len(many[0].words):,}", *cells]


def _of_draws(counts: Sequence[tuple[int, int]]) -> str:
    n = counts[0][1]
    found = [count for count, _ in counts]
    if len(found) == 1:
        return f"{found[0]} of {n}"
    return f"{statistics.mean(found):.1f} (least {min(found)}) of {n}"


def _scores(data: Data, labels: np.ndarray, vocabulary: Vocabulary) -> list[tuple[int, int]]:
    """For each column: how many clusters have their name, and how many there are."""
    rows = [_typical(data.vectors, labels == k) for k in range(labels.max() + 1)]
    numbers = np.repeat(np.arange(len(rows)), [len(own) for own in rows])
    exemplars = data.vectors[np.concatenate(rows)]
    proposed = fitting_names(exemplars, numbers, vocabulary.words, vocabulary.vectors)
    first = among = alone = 0
    for number in range(len(rows)):
        names, counts = np.unique(data.classes[labels == number], return_counts=True)
        right = names[counts.argmax()]
        found = [name for name, _ in proposed[number]]
        mean = unit_length(exemplars[numbers == number]).mean(axis=0)
        first += found[:1] == [right]
        among += right in found
        alone += vocabulary.words[int((vocabulary.vectors @ mean).argmax())] == right
    return [(count, len(rows)) for count in (first, among, alone)]


def _typical(vectors: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Rows of the members of a cluster that are nearest to its middle."""
    rows = np.flatnonzero(inside)
    unit = unit_length(vectors[rows])
    return rows[np.argsort(-(unit @ unit.mean(axis=0)), kind="stable")[:_PER_CLUSTER]]


def _verdict(data: Data, every: Vocabulary, wanted: int) -> Verdict:
    labels = np.unique(data.classes, return_inverse=True)[1]
    found = [_scores(data, labels, every.some(data.names, seed))[0] for seed in range(_SEEDS)]
    n = found[0][1]
    return Verdict(
        f"own name first, {data.name}", f"{len(data.vectors):,}, {_SEEDS} vocabularies", "-",
        _of_draws(found), "out of 200 nouns", f"at least {wanted} of {n}",
    )  # fmt: skip


def _sizes(texts: EmbedTexts, words: Sequence[str], setting: Setting) -> str:
    """How long words take: some are embedded, and as many as WordNet has are compared."""
    some = [f"{word} {number}" for number, word in enumerate(words[: setting.n(1500, 50)])]
    new, again = (timed(lambda: word_vectors(texts, "sizes", some, PROMPTS)) for _ in range(2))
    rng, n = np.random.default_rng(0), setting.n(_WORDNET, 500)
    vectors = rng.standard_normal((n, _DIM), np.float32)
    exemplars = rng.standard_normal((100 * _PER_CLUSTER, _DIM), np.float32)
    numbers = np.arange(len(exemplars)) // _PER_CLUSTER
    many = [f"noun {number}" for number in range(n)]
    scored = timed(lambda: fitting_names(exemplars, numbers, many, vectors))
    return (
        f"{len(some) / new.wall:,.0f} words a second are embedded, {len(some):,} in "
        f"{again.wall:.2f} s when they were embedded before; comparing {n:,} words with "
        f"{len(exemplars):,} exemplars of 100 clusters, {_DIM} numbers each: {scored.wall:.1f} s."
    )

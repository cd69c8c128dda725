"""Names for clusters from words, the words themselves, and their vectors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.curation import words as scoring
from uvl_plugin.curation.vocabulary import vocabulary, words_in
from uvl_plugin.curation.word_vectors import word_vectors
from uvl_plugin.curation.words import common_labels, fitting_names

WORDS = ["apple", "boat", "cat", "dog", "elk", "picture"]


def planted(spread=0.05, n=12, seed=0):
    """Three clusters around the first three words; the last word is near to all of them."""
    rng = np.random.default_rng(seed)
    texts = np.eye(8, dtype=np.float32)[:6]
    texts[5, :3] = 0.6
    pictures = np.repeat(texts[:3], n, axis=0) + rng.normal(0, spread, (3 * n, 8))
    return pictures.astype(np.float32), np.repeat([4, 7, 9], n), texts


def by_hand(exemplars, clusters, texts, temperature):
    """Scores of the docstring, slowly and in float64: ``(n_clusters, w)``."""
    fits = []
    for number in np.unique(clusters):
        shares = []
        for picture in exemplars[clusters == number].astype(float):
            cosines = [
                picture @ text / np.linalg.norm(picture) / np.linalg.norm(text) for text in texts
            ]
            powers = np.exp((np.array(cosines) - max(cosines)) / temperature)
            shares.append(powers / powers.sum())
        fits.append(np.mean(shares, axis=0))
    fits, scores = np.array(fits), []
    for row in range(len(fits)):
        others = np.delete(fits, row, axis=0)
        mean = others.mean(axis=0) if len(others) else 0.0
        scores.append(fits[row] ** 2 / (fits[row] + mean))
    return np.array(scores)


def test_a_cluster_gets_its_own_word_first_and_the_word_of_all_later():
    exemplars, clusters, texts = planted()
    found = fitting_names(exemplars, clusters, WORDS, texts, temperature=0.1)
    assert list(found) == [4, 7, 9]
    assert [names[0].name for names in found.values()] == ["apple", "boat", "cat"]
    assert all(names[0].score > 0.9 and names[1].name == "picture" for names in found.values())


@pytest.mark.parametrize("cells", [1, 40, 2**23])
def test_scores_are_the_formula_whatever_the_portions(cells, monkeypatch):
    monkeypatch.setattr(scoring, "_CELLS", cells)
    exemplars, clusters, texts = planted(spread=0.3)
    found = fitting_names(exemplars, clusters, WORDS, texts, count=6, temperature=0.1)
    for names, row in zip(found.values(), by_hand(exemplars, clusters, texts, 0.1), strict=True):
        expected = {word: score for word, score in zip(WORDS, row, strict=True) if score > 2e-4}
        assert len(expected) >= 2
        assert {word: dict(names).get(word) for word in expected} == pytest.approx(
            expected, rel=1e-3
        )


def test_a_word_that_fits_all_clusters_alike_counts_half():
    texts = np.eye(4, dtype=np.float32)[:2]
    exemplars = np.tile(texts[0], (6, 1))
    found = fitting_names(exemplars, np.repeat([0, 1, 2], 2), ["a", "b"], texts)
    assert [names[0] for names in found.values()] == [("a", pytest.approx(0.5))] * 3
    alone = fitting_names(exemplars, np.zeros(6, int), ["a", "b"], texts)
    assert alone[0][0] == ("a", pytest.approx(1.0))


def test_the_score_is_about_the_share_of_the_members_that_are_called_so():
    texts = np.eye(6, dtype=np.float32)
    exemplars = texts[[0, 0, 0, 1, 2, 2, 2, 2]]
    found = fitting_names(exemplars, np.repeat([0, 1], 4), list("abcdef"), texts)
    assert found[0] == [("a", pytest.approx(0.75)), ("b", pytest.approx(0.25))]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n_clusters=st.integers(1, 5), n_words=st.integers(1, 12))
def test_scores_are_shares_and_depend_on_no_order(seed, n_clusters, n_words):
    rng = np.random.default_rng(seed)
    exemplars = rng.normal(size=(15, 6)).astype(np.float32)
    texts = rng.normal(size=(n_words, 6)).astype(np.float32)
    clusters = rng.integers(0, n_clusters, 15)
    words = [f"w{number:02}" for number in range(n_words)]
    found = fitting_names(exemplars, clusters, words, texts, count=n_words)
    rows, columns = rng.permutation(15), rng.permutation(n_words)
    again = fitting_names(
        3.0 * exemplars[rows], clusters[rows], [words[place] for place in columns],
        0.5 * texts[columns], count=n_words,
    )  # fmt: skip
    assert found.keys() == again.keys() == set(clusters.tolist())
    for number, names in found.items():
        scores = [score for _, score in names]
        assert scores == sorted(scores, reverse=True)
        assert all(0 < score <= 1 for score in scores)
        assert sum(scores) <= 1 + 1e-4
        for word in words:  # those of nearly no score are left out
            scores = (dict(every[number]).get(word, 0.0) for every in (found, again))
            assert next(scores) == pytest.approx(next(scores), rel=1e-3, abs=2e-4)


def test_vectors_of_different_lengths_cannot_be_compared():
    with pytest.raises(DataError, match="words have vectors of 4 numbers and the exemplars of 8"):
        fitting_names(np.ones((2, 8)), np.zeros(2), ["a"], np.ones((1, 4)))


def test_without_words_or_exemplars_there_are_no_names():
    assert fitting_names(np.ones((2, 4)), np.array([0, 3]), [], np.ones((0, 4))) == {0: [], 3: []}
    assert fitting_names(np.ones((0, 4)), np.zeros(0, int), ["a"], np.ones((1, 4))) == {}


def test_labels_are_named_by_their_share():
    found = common_labels([(2, "b"), (0, "x"), (2, "a"), (2, "b"), (2, "c")], count=2)
    assert found == {0: [("x", 1.0)], 2: [("b", 0.5), ("a", 0.25)]}


def test_a_vocabulary_is_cleaned_and_sorted():
    found = vocabulary(words_in("sea_star, dog\r\n Dog;\n\n  tabby   cat ,,"))
    assert found.words == ("Dog", "sea star", "tabby cat")
    assert str(found) == "3 words of the list"
    assert vocabulary(["tabby cat", "dog", "sea star", "Dog"]).words == found.words


def test_imagenet_has_its_classes_without_a_network():
    found = vocabulary("ImageNet")
    assert {"daisy", "tabby", "goldfish"} <= set(found.words)
    assert 990 < len(found.words) <= 1000  # two names stand for two classes each


def test_a_file_of_wordnets_size_is_read(tmp_path):
    file = tmp_path / "nouns.txt"
    file.write_text("\ufeff" + "\n".join(f"noun_{number}" for number in range(80_000)), "utf-8")
    found = vocabulary(str(file))
    assert str(found) == "80,000 words of 'nouns.txt'"
    assert found.words[0] == "noun 0"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nouns.csv", b"dog", "no .txt file"),
        ("none.txt", None, "no file"),
        ("bytes.txt", b"\xff\xfe\x00dog", "cannot be read as text"),
        ("zeros.txt", b"dog\0cat", "is no text"),
        ("large.txt", b"dog\n" * 2**18 * 21, "over 20 MiB"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        vocabulary(path)
    assert caught.value.argument == "vocabulary"


@pytest.mark.parametrize(
    ("words", "message"),
    [([" ", ""], "no words"), (["x" * 101], "101 characters"), (range(200_001), "200,001 words")],
)
def test_a_vocabulary_has_bounds(words, message):
    with pytest.raises(SettingsError, match=message):
        vocabulary([str(word) for word in words] if isinstance(words, range) else words)


class Network:
    """Texts to vectors that depend on their letters; counts the texts."""

    def __init__(self, shift=0.0):
        self.n_texts, self.largest, self.shift = 0, 0, shift

    def __call__(self, texts):
        import torch

        self.n_texts += len(texts)
        self.largest = max(self.largest, len(texts))
        rows = [[text.lower().count(letter) + 0.1 for letter in "abcdefgh"] for text in texts]
        return torch.tensor(rows) + self.shift * torch.arange(8)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UVL_CACHE", str(tmp_path))
    return tmp_path / "texts"


PROMPTS = ("a {}", "the {}", "{}")
MANY = [f"{first}{second}{third}" for first in "abcde" for second in "bdfh" for third in "aceg" * 5]


def test_a_word_is_the_mean_of_its_prompts(cache):
    network = Network()
    found = word_vectors(network, "net", ["bad", "cab"], PROMPTS)
    for word, row in zip(["bad", "cab"], found, strict=True):
        texts = unit_length(network([prompt.replace("{}", word) for prompt in PROMPTS]).numpy())
        assert row == pytest.approx(unit_length(texts.mean(axis=0)[None])[0], abs=1e-6)
    assert found.dtype == np.float32


def test_words_are_embedded_in_batches_once(cache):
    network, words = Network(), [f"{word}{number}" for number, word in enumerate(MANY)]
    first = word_vectors(network, "net", words, PROMPTS)
    assert network.n_texts == 3 * (len(words) + 8)
    assert network.largest <= 256
    again = word_vectors(network, "net", words, PROMPTS)
    assert network.n_texts == 3 * (len(words) + 16)  # only the probes
    assert again == pytest.approx(first, abs=2e-3)
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("other", ["space", "prompts", "words", "weights", "damage"])
def test_what_is_kept_is_of_these_very_words_and_weights(cache, other):
    asked = {"space": "net", "words": ["bad", "cab", "egg"], "prompts": PROMPTS}
    word_vectors(Network(), **asked)
    changes = {
        "space": {"space": "net 2"},
        "prompts": {"prompts": ("a {}",)},
        "words": {"words": ["bad", "cab", "hag"]},
    }
    asked |= changes.get(other, {})
    if other == "damage":
        (kept,) = cache.iterdir()
        kept.write_bytes(kept.read_bytes()[:40])
    network = Network(shift=1.0 if other == "weights" else 0.0)
    found = word_vectors(network, **asked)
    assert network.n_texts > 4 * len(asked["prompts"])  # the probes are 3 words
    fresh = word_vectors(Network(network.shift), "unknown", asked["words"], asked["prompts"])
    assert found == pytest.approx(fresh, abs=2e-3)


def test_old_files_go(cache, monkeypatch):
    monkeypatch.setattr("uvl_plugin.curation.word_vectors._MOST_FILES", 2)
    for space in ("one", "two", "three"):
        word_vectors(Network(), space, ["bad"], PROMPTS)
    assert len(list(cache.iterdir())) == 2

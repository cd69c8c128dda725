"""Names for clusters: the words that fit one cluster, and fit the others less."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Progress, part, silent

TEMPERATURE = 0.01  # CLIP's own after training; A. Radford et al., arXiv:2103.00020, section 2.5
COUNT = 5
_LEAST = 1e-4  # score of a name
_CELLS = 2**23  # exemplars times words at a time


class Name(NamedTuple):
    """A proposed name, and how well it fits: 0 to 1."""

    name: str
    score: float


def fitting_names(
    exemplars: np.ndarray,
    clusters: np.ndarray,
    words: Sequence[str],
    texts: np.ndarray,
    *,
    count: int = COUNT,
    temperature: float = TEMPERATURE,
    progress: Progress = silent,
) -> dict[int, list[Name]]:
    """Finds the words that fit a cluster, and fit the others less.

    Each exemplar shares itself out among the words, by the softmax of its cosines to them over
    the temperature, as in CLIP's zero-shot classification (arXiv:2103.00020, section 3.1.2). The
    fit of a word is the mean of these shares over the exemplars of the cluster: about the share
    of them that would be called so. The score is the fit, times fit / (fit + mean fit in the
    other clusters): the factor is 1 where no other cluster fits the word, and 1/2 where it fits
    all of them alike. So words that mean the same share the score, and a word that describes
    the whole dataset gets half of what it would get alone.

    Args:
        exemplars: vectors of some members of each cluster, shape ``(m, dim)``, of any length.
        clusters: number of the cluster of each, shape ``(m,)``.
        words: ``w`` of them, different.
        texts: their vectors in the same space, shape ``(w, dim)``, of any length. Not all are
            compared with all exemplars at once, so that memory does not grow with the words.
        count: most names of a cluster.
        temperature: above 0; the smaller, the more the nearest word of an exemplar counts.

    Returns:
        Names by the number of each cluster, the best first; of equal ones the earlier word. Those
        with a score below 0.0001 are left out.

    Raises:
        DataError: if the vectors are of different lengths.
    """
    if exemplars.shape[1:] != texts.shape[1:]:
        raise DataError(
            f"The words have vectors of {texts.shape[1]} numbers and the exemplars of "
            f"{exemplars.shape[1]}, so they cannot be compared; choose the backbone that made both."
        )
    order = np.argsort(clusters, kind="stable")
    numbers, starts, sizes = np.unique(clusters[order], return_index=True, return_counts=True)
    if not len(words) or not len(numbers):
        return {int(number): [] for number in numbers}
    pictures = unit_length(exemplars[order]) / np.float32(temperature)
    totals = _log_totals(pictures, texts, part(progress, 0.0, 0.5))
    best = np.zeros((len(numbers), 0), np.float32)
    chosen = np.zeros((len(numbers), 0), np.int64)
    for some, logits in _logits(pictures, texts, part(progress, 0.5, 1.0)):
        shares = np.exp(logits - totals[:, None])
        fits = np.add.reduceat(shares, starts, axis=0) / sizes[:, None].astype(np.float32)
        best, chosen = _merged(best, chosen, _scores(fits), some, count)
    return {
        int(number): [
            Name(words[word], float(min(score, 1.0)))
            for word, score in zip(chosen[row].tolist(), best[row].tolist(), strict=True)
            if score >= _LEAST
        ]
        for row, number in enumerate(numbers)
    }


def common_labels(
    labelled: Iterable[tuple[int, str]], *, count: int = COUNT
) -> dict[int, list[Name]]:
    """The most common labels of each cluster; the score is the share of its labelled members that
    have it, 0 to 1.

    Args:
        labelled: number of the cluster, and label, of each item that has both.
        count: most names of a cluster.

    Returns:
        Names by the number of each cluster, the most common first; of equal ones the least.
    """
    found: dict[int, Counter[str]] = {}
    for cluster, label in labelled:
        found.setdefault(cluster, Counter())[label] += 1
    return {
        cluster: [
            Name(label, n / counts.total())
            for label, n in sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:count]
        ]
        for cluster, counts in sorted(found.items())
    }


def _scores(fits: np.ndarray) -> np.ndarray:
    """From the fits in all clusters, ``(n_clusters, w)``; likewise."""
    others = (fits.sum(axis=0) - fits) / max(1, len(fits) - 1)
    whole = fits + np.maximum(others, 0.0)
    return fits * np.divide(fits, whole, out=np.zeros_like(fits), where=whole > 0)


def _logits(
    pictures: np.ndarray, texts: np.ndarray, progress: Progress
) -> Iterator[tuple[slice, np.ndarray]]:
    """Some of the words, and the logits of all exemplars to them."""
    step = max(1, _CELLS // len(pictures))
    for start in range(0, len(texts), step):
        some = slice(start, min(start + step, len(texts)))
        yield some, pictures @ unit_length(np.asarray(texts[some])).T
        progress(some.stop / len(texts), "comparing words with the exemplars")


def _log_totals(pictures: np.ndarray, texts: np.ndarray, progress: Progress) -> np.ndarray:
    """Log of the sum of the exponentials of each exemplar's logits, shape ``(m,)``."""
    totals = np.full(len(pictures), -np.inf, np.float32)
    for _, logits in _logits(pictures, texts, progress):
        most = logits.max(axis=1)
        own = most + np.log(np.exp(logits - most[:, None]).sum(axis=1))
        totals = np.logaddexp(totals, own)
    return totals


def _merged(
    best: np.ndarray, chosen: np.ndarray, scores: np.ndarray, some: slice, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best of those found so far and of some more words; both ``(n_clusters, <= count)``."""
    more = np.broadcast_to(np.arange(some.start, some.stop), scores.shape)
    scores, words = np.hstack([best, scores]), np.hstack([chosen, more])
    first = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(scores, first, axis=1), np.take_along_axis(words, first, axis=1)

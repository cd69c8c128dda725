"""Vectors of words, made once for each backbone and kept on disk."""

import contextlib
import hashlib
import io
import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.clustering import neighbor_cache
from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.core.progress import Pace, Progress, silent
from uvl_plugin.core.scratch import new_rows
from uvl_plugin.core.whole_file import PARTIAL, write_whole

if TYPE_CHECKING:
    import torch

EmbedTexts = Callable[[list[str]], "torch.Tensor"]

_BATCH = 256  # texts that are in memory at once
_PROBES = 8  # words whose vectors tell whether the network is still the one that made them
_AGREE = 0.999  # least cosine of such a vector to the one that is kept
_MOST_FILES = 20
_logger = logging.getLogger(__name__)


def word_vectors(
    embed_texts: EmbedTexts,
    space: str,
    words: Sequence[str],
    prompts: Sequence[str],
    progress: Progress = silent,
) -> np.ndarray:
    """Vectors of words: of each the mean direction of its vectors in all prompts, as CLIP does
    for its ensembles (arXiv:2103.00020, section 3.1.4).

    They are kept in the folder ``texts`` beside the other caches, in half precision. What is
    kept is used only if a few words still get the same vectors, so that other weights under the
    same name are noticed.

    Args:
        embed_texts: see :class:`~uvl_plugin.backbones.base.Encoder`.
        space: of the backbone, names it with its weights.
        prompts: such as ``"a photo of a {}"``; the word stands for ``{}``.

    Returns:
        Shape ``(len(words), dim)``, float32, of length 1; a mapped file if memory is short.
    """
    place = _folder() / f"{_key_of(space, words, prompts)}.npy"
    probes = np.unique(np.linspace(0, len(words) - 1, _PROBES).round().astype(int))
    fresh = _embedded(embed_texts, [words[row] for row in probes], prompts, silent)
    kept = _read(place)
    if kept is not None and kept.shape == (len(words), fresh.shape[1]):
        agreement = (unit_length(kept[probes].astype(np.float32)) * fresh).sum(axis=1)
        if agreement.min() >= _AGREE:
            progress(1.0, f"{len(words):,} words had their vectors already")
            return kept.astype(np.float32)
    found = _embedded(embed_texts, words, prompts, progress)
    _write(place, found)
    return found


def _embedded(
    embed_texts: EmbedTexts, words: Sequence[str], prompts: Sequence[str], progress: Progress
) -> np.ndarray:
    step, pace = max(1, _BATCH // len(prompts)), Pace(len(words))
    found: np.ndarray | None = None
    for start in range(0, len(words), step):
        some = words[start : start + step]
        texts = [prompt.replace("{}", word) for word in some for prompt in prompts]
        vectors = unit_length(embed_texts(texts).float().cpu().numpy())
        mean = unit_length(vectors.reshape(len(some), len(prompts), -1).mean(axis=1))
        if found is None:
            found = new_rows(len(words), mean.shape[1])
        found[start : start + step] = mean
        done = start + len(some)
        progress(done / len(words), f"words {pace.said(done)}")
    assert found is not None, "there is at least one word"
    return found


def _folder() -> Path:
    return neighbor_cache.folder().parent / "texts"


def _key_of(space: str, words: Sequence[str], prompts: Sequence[str]) -> str:
    asked = json.dumps([space, list(prompts), list(words)])
    return hashlib.blake2b(asked.encode(), digest_size=20).hexdigest()


def _read(path: Path) -> np.ndarray | None:
    """What is kept, float16; None where there is nothing, or it is damaged."""
    try:
        found = np.load(path, allow_pickle=False)
        os.utime(path)  # the one used last is removed last
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        _logger.warning("'%s' is damaged (%s); the words are embedded again", path, error)
        return None
    return found


def _write(path: Path, vectors: np.ndarray) -> None:
    """Keeps vectors, whole or not at all; the oldest files go."""
    buffer = io.BytesIO()
    np.save(buffer, vectors.astype(np.float16), allow_pickle=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, buffer.getbuffer())
        files = [each for each in path.parent.iterdir() if each.suffix != PARTIAL]
        for old in sorted(files, key=lambda each: each.stat().st_mtime)[:-_MOST_FILES]:
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                old.unlink()
    except OSError as error:  # the vectors are there, only not for the next time
        _logger.warning("the vectors of words cannot be kept in '%s': %s", path.parent, error)

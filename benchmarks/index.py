"""The similarity index by itself: recall, time, memory and disk of every kind."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import photos
from benchmarks.explanation import _mobilenet
from benchmarks.mixture import Mixture, far_from
from benchmarks.results import Section, Verdict, table
from benchmarks.setting import Setting
from uvl_plugin.backbones.base import Encoder
from uvl_plugin.backbones.open_clip import OpenCLIP
from uvl_plugin.media.images import read_image

_ROOT = Path(__file__).resolve().parents[1]
_K = 100
_ASKED = 200  # queries of each sort
_BATCH = 64
_SIDE = 320  # pixels of the input: 10 x 10 places in the last feature map
_EQUAL = 1e-6  # cosines that differ less: rounding of float32
_NAMED = 10  # every so manyth name is a query
_KINDS = ("flat", "flat, float16", "sq8", "hnsw", "ivf", "ivf_pq", "auto")
_MANY = ("auto", "sq8", "ivf_pq")  # kinds for a million vectors
_QUICK = ("flat", "auto")
_EXACT = ("flat", "flat, float16")
_RECALL, _OPEN, _P99 = 0.99, 2.0, 0.050  # what is wanted; seconds
_COLUMNS = (
    "vectors", "kind", "build, s", "CPU s", "its peak", "of it no file", "disk", "open, ms",
    "first, ms", "p50, ms", "p50, far, ms", "p99, ms", "peak", "of it no file", "recall", "far",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """Vectors and queries.

    Attributes:
        vectors: file of NumPy with an array ``(n, dim)``.
        near: queries like the vectors, not among them, ``(m, dim)``.
        far: queries far from all of them.
    """

    name: str
    vectors: Path
    near: np.ndarray
    far: np.ndarray


def index(setting: Setting) -> Section:
    """Every kind on real vectors and on 100,000, some kinds on a million."""
    rows, found = [], {}
    for case, kinds in _cases(setting):
        true = {sort: _true(case, wanted) for sort, wanted in _sorts(case).items()}
        for kind in kinds if not setting.quick else _QUICK:
            found[case.name, kind] = one = _measured(case, kind, true, setting)
            rows.append([case.name, _said_kind(kind, one), *_cells(one)])
        case.vectors.unlink()
    body = f"{_ABOUT} {load()}\n\n{table(_COLUMNS, rows)}"
    return Section("the similarity index by itself", list(_verdicts(found)), body)


_ABOUT = (
    f"The {_K} nearest by cosine, queries one at a time. Flowers: photographs, nine tenths of them "
    "in the index and a tenth as queries. Parts of flowers: the 10 x 10 places of the last feature "
    "map of the small CLIP-like network, likewise. Mixture: 300 normal groups of gamma(2) "
    "distributed sizes and widths of 0.2 to 1.2 of the spread between them, which is 0.985^i along "
    "the principal direction i; seed 0, vectors seed 1, queries seed 7. 'far': queries like text, a "
    "random direction with 0.3 of a vector; with the CLIP-like network real text, every "
    f"{_NAMED}th name that it knows. "
    "Recall against FAISS' brute force: the share that is as near as its last one; flat float16 is "
    "exact too, of vectors that were rounded. Build and queries are each in a "
    "process of its own; 'first': the first query after opening; p50 and p99 with the files in the "
    "system's cache. Peak: resident memory of the process, libraries included, and without pages "
    "of files, which the system can drop."
)


def load() -> str:
    """How busy the machine is: times on a busy one are too long, of both sides."""
    return f"Other work included, {os.getloadavg()[2]:.1f} processes wanted the processor."


def _cases(setting: Setting) -> Iterator[tuple[Case, tuple[str, ...]]]:
    saved = partial(_saved, setting.folder)
    if not setting.quick:
        vectors = _embedded(_mobilenet())
        near, rest = _parted(vectors)
        yield saved("flowers, MobileNetV2", near, rest, far_from(near, 8)), _KINDS
        parts, texts = _parts_and_texts()
        near, rest = (each.reshape(-1, each.shape[-1]) for each in _parted(parts))
        near = near[:: len(near) // _ASKED]
        yield saved("parts of flowers, CLIP-like", near, rest, texts), _KINDS
    for n, dim, kinds in ((100_000, 512, _KINDS), (1_000_000, 256, _MANY)):
        n, mixture = setting.n(n, n // 20), Mixture(dim)
        path = setting.folder / "vectors.npy"
        rows, start = np.lib.format.open_memmap(path, "w+", np.float32, (n, dim)), 0
        for block in mixture.blocks(n):
            rows[start : start + len(block)] = block
            start += len(block)
        del rows
        near, far = mixture.vectors(_ASKED, 7), mixture.like_text(_ASKED, 8)
        yield Case(f"mixture, {n:,} x {dim}", path, near, far), kinds


def _saved(folder: Path, name: str, near: np.ndarray, vectors: np.ndarray, far: np.ndarray) -> Case:
    path = folder / "vectors.npy"
    np.save(path, vectors)
    return Case(f"{name}, {len(vectors):,} x {vectors.shape[1]}", path, near, far)


def _parted(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every tenth, for queries, and the others."""
    held = np.arange(len(vectors)) % 10 == 0
    return vectors[held], vectors[~held]


def _sorts(case: Case) -> dict[str, np.ndarray]:
    return {"near": case.near, "far": case.far}


def _true(case: Case, wanted: np.ndarray) -> np.ndarray:
    """Rows of the nearest, by FAISS' brute force, ``(m, k)``."""
    import faiss

    vectors = np.load(case.vectors)
    faiss.normalize_L2(vectors)
    queries = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
    return faiss.knn(queries, vectors, _K, metric=faiss.METRIC_INNER_PRODUCT)[1]


def _measured(case: Case, kind: str, true: dict[str, np.ndarray], setting: Setting) -> dict:
    folder, queries = setting.folder / "index", setting.folder / "queries.npz"
    np.savez(queries, near=case.near, far=case.far)
    name, _, precision = kind.partition(", ")
    built = _once(setting, "build", str(folder), str(case.vectors), name, precision or "float32")
    asked = _once(setting, "ask", str(folder), str(queries))
    shutil.rmtree(folder)
    rows = np.load(setting.folder / "found.npz")
    recalls = {
        sort: _recall(case, wanted, rows[sort], true[sort]) for sort, wanted in _sorts(case).items()
    }
    return {"build": built, "ask": asked, "recall": recalls}


def _recall(case: Case, wanted: np.ndarray, found: np.ndarray, true: np.ndarray) -> float:
    """By cosines, not by rows: equal vectors may stand for each other."""
    vectors, shares = np.load(case.vectors, mmap_mode="r"), []
    for query, rows, expected in zip(wanted, found, true, strict=True):
        reached, least = (_cosines(vectors[each], query) for each in (rows, expected))
        shares.append(np.mean(reached >= least.min() - _EQUAL))
    return float(np.mean(shares))


def _cosines(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    wide = vectors.astype(np.float64)
    return wide @ query / (np.linalg.norm(wide, axis=1) * np.linalg.norm(query))


def _once(setting: Setting, *arguments: str) -> dict:
    command = [sys.executable, "-m", "benchmarks.index_once", *arguments]
    threads = {"OMP_NUM_THREADS": str(setting.threads)}
    ran = subprocess.run(
        command, cwd=_ROOT, env=os.environ | threads, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(ran.stdout.splitlines()[-1])


def _said_kind(kind: str, one: dict) -> str:
    return f"{kind}: {one['build']['kind']}" if kind == "auto" else kind


def _cells(one: dict) -> list[str]:
    built, asked, recall = one["build"], one["ask"], one["recall"]
    return [
        f"{built['seconds']:.1f}", f"{built['cpu']:.1f}", *_megabytes(built, "peak", "own", "disk"),
        f"{1e3 * asked['open']:.0f}", f"{1e3 * asked['first']:.1f}",
        f"{1e3 * asked['p50']['near']:.2f}", f"{1e3 * asked['p50']['far']:.2f}",
        f"{1e3 * asked['p99']:.1f}", *_megabytes(asked, "peak", "own"),
        f"{recall['near']:.4f}", f"{recall['far']:.4f}",
    ]  # fmt: skip


def _megabytes(found: dict, *names: str) -> list[str]:
    return [f"{found[name] / 1e6:,.0f} MB" for name in names]


def _verdicts(found: dict[tuple[str, str], dict]) -> Iterator[Verdict]:
    for (name, kind), one in found.items():
        if kind in ("auto", *_EXACT):
            recall = one["recall"]
            measured = f"recall@{_K} {recall['near']:.4f}, far queries {recall['far']:.4f}"
            wanted = "1.0" if kind in _EXACT else f"{_RECALL}"
            work = f"index, {_said_kind(kind, one)}, {name.rpartition(', ')[0]}"
            yield Verdict(work, name.rpartition(", ")[2], "-", "-", measured, wanted)
    name, one = next((name, one) for (name, kind), one in reversed(found.items()) if kind == "auto")
    size, built, asked = name.rpartition(", ")[2], one["build"], one["ask"]
    p50 = max(asked["p50"].values())
    said = (
        f"open {1e3 * asked['open']:.0f} ms, query p50 {1e3 * p50:.1f} ms, p99 "
        f"{1e3 * asked['p99']:.1f} ms; peak {built['peak'] / 1e6:,.0f} MB to build, "
        f"{asked['peak'] / 1e6:,.0f} MB to ask; disk {built['disk'] / 1e6:,.0f} MB"
    )
    wanted = f"open {_OPEN:.0f} s, p99 {1e3 * _P99:.0f} ms"
    yield Verdict(
        f"index, {_said_kind('auto', one)}",
        size,
        "-",
        f"build {built['seconds']:.0f} s",
        said,
        wanted,
    )


def _embedded(encoder: Encoder) -> np.ndarray:
    """Vectors of the flowers, ``(n, dim)``."""
    files, found = photos.flowers(), []
    for start in range(0, len(files), _BATCH):
        images = [encoder.preprocess(read_image(path)) for path in files[start : start + _BATCH]]
        found.append(encoder.encode(images))
    return np.concatenate(found)


def _parts_and_texts() -> tuple[np.ndarray, np.ndarray]:
    """Vectors of the places of the last feature map, whose mean is the vector of the image,
    ``(images, places, dim)``, and of names that the text tower knows, ``(m, dim)``."""
    import torch

    folder = photos.real_data() / "weights" / "open_clip" / "uvl-mnv2-minitext"
    encoder = OpenCLIP(model=str(folder), input_size=_SIDE).load("cpu")
    tower: Any = encoder.module.visual
    maps: list[torch.Tensor] = []
    tower.trunk.global_pool.register_forward_pre_hook(lambda _, given: maps.append(given[0]))
    _embedded(encoder)
    with torch.no_grad():
        parts = [tower.head(each.permute(0, 2, 3, 1)).flatten(1, 2).numpy() for each in maps]
    known = (folder / "known_names.txt").read_text().splitlines()[::_NAMED]
    assert encoder.embed_texts is not None
    texts = encoder.embed_texts([f"a photo of a {name}" for name in known]).float().cpu().numpy()
    return np.concatenate(parts), texts

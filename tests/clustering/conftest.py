from types import SimpleNamespace

import numpy as np
import pytest

from uvl_plugin.core.embeddings import Embeddings

SIZES = (70, 55, 40, 30, 20)


@pytest.fixture(scope="session")
def blobs():
    """Five planted groups in 96 dimensions; their truth is numbered as clusters are."""
    random = np.random.default_rng(0)
    truth = random.permutation(np.repeat(np.arange(len(SIZES)), SIZES))
    centres = random.normal(size=(len(SIZES), 96))
    vectors = centres[truth] + 0.25 * random.normal(size=(len(truth), 96))
    ids = [f"item {number}" for number in range(len(truth))]
    return SimpleNamespace(embeddings=Embeddings(ids, vectors, "blobs"), truth=truth, sizes=SIZES)

"""Pools that pickers pick from."""

import numpy as np
import pytest

from uvl_plugin.picking.pool import Pool, prepared

GROUPS, EACH = 5, 36


@pytest.fixture
def make_pool():
    """Makes five round groups that lie apart, named "look 00" to "look 04", the last six items in
    none."""

    def make(order=None, **changes):
        random = np.random.default_rng(0)
        labels = np.arange(GROUPS * EACH) % GROUPS
        vectors = 4 * np.eye(GROUPS, 12)[labels] + random.normal(0, 0.5, (len(labels), 12))
        labels[-6:] = -1
        order = np.arange(len(labels)) if order is None else order
        names = {number: f"look {number:02}" for number in range(GROUPS)}
        known = {name: value[order] for name, value in changes.items()}
        return Pool(prepared(vectors.astype(np.float32))[order], labels[order], names, **known)

    return make

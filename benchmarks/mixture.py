"""Clustered vectors of any number, and queries: near them as pictures are, or far as text is."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_ROWS = 8192
_GROUPS = 300
_DECAY = 0.985  # of the spread from one principal direction to the next
_WIDTHS = (0.2, 1.2)  # spread within a group, of that between the middles of groups
_MEAN = 0.7  # length of the mean of all, of that of a middle: pictures share a direction
_TEXT = 0.3  # share of a picture in a query like text


@dataclass(frozen=True)
class Mixture:
    """Normal groups of different sizes and widths.

    Args:
        dim: length of each vector.
        seed: of the groups, not of what is drawn from them.
    """

    dim: int
    seed: int = 0

    def blocks(self, n: int, seed: int = 1) -> Iterator[np.ndarray]:
        """``n`` vectors, block by block, float32."""
        random = np.random.default_rng(self.seed)
        spread = _DECAY ** np.arange(self.dim)
        spread = (spread / np.sqrt((spread**2).mean())).astype(np.float32)
        turned = np.linalg.qr(random.normal(size=(self.dim, self.dim)))[0].astype(np.float32)
        mean = _MEAN * random.standard_normal(self.dim, np.float32)
        middles = mean + random.standard_normal((_GROUPS, self.dim), np.float32) * spread
        widths = random.uniform(*_WIDTHS, _GROUPS).astype(np.float32)
        share = random.gamma(2.0, size=_GROUPS)
        draw = np.random.default_rng(seed)
        for start in range(0, n, _ROWS):
            m = min(_ROWS, n - start)
            which = draw.choice(_GROUPS, m, p=share / share.sum())
            around = draw.standard_normal((m, self.dim), np.float32) * spread
            yield (middles[which] + widths[which, None] * around) @ turned

    def vectors(self, n: int, seed: int = 1) -> np.ndarray:
        """All of them, shape ``(n, dim)``."""
        return np.concatenate(list(self.blocks(n, seed)))

    def like_text(self, n: int, seed: int = 2) -> np.ndarray:
        """Queries that are far from every vector, shape ``(n, dim)``, float32; see
        :func:`far_from`."""
        return far_from(self.vectors(n, seed), seed)


def far_from(vectors: np.ndarray, seed: int) -> np.ndarray:
    """A random direction with a little of each vector, as text lies far from all pictures
    (W. Liang et al., "Mind the gap", arXiv:2203.02053); shape as ``vectors``."""
    random = np.random.default_rng(seed)
    aside = random.standard_normal(vectors.shape, np.float32)
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    own = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return aside + _TEXT * own

"""Principal directions of content, and two coordinates of it for a map.

content = mean + sum_k a_k s_k e_k + rest,    s_k the standard deviation along e_k
"""

import importlib.util
from dataclasses import dataclass

import numpy as np

DIRECTIONS = 8  # at most, that a page has sliders for
_SHARE = 0.01  # of the variance, the least that a direction has to hold
MAPS = ("pca", "umap")


@dataclass(frozen=True)
class Basis:
    """Principal directions of content.

    Attributes:
        mean: (m,).
        directions: e_k of length 1, (K, m).
        sd: standard deviations along them, (K,).
        share: of the variance that each of them holds, (K,).
    """

    mean: np.ndarray
    directions: np.ndarray
    sd: np.ndarray
    share: np.ndarray

    def coordinates(self, content: np.ndarray) -> np.ndarray:
        """Of content (N, m) along the directions, in its own unit, (N, K)."""
        return (content - self.mean) @ self.directions.T


def principal(content: np.ndarray, most: int = DIRECTIONS) -> Basis:
    """The directions in which content (N, m) varies, the first two in any case if m >= 2.

    Each points where its largest entry is positive.
    """
    content = content.astype(np.float64)
    mean = content.mean(axis=0)
    centred = content - mean
    variance, vectors = np.linalg.eigh(centred.T @ centred / len(content))
    variance, vectors = variance[::-1].clip(min=0), vectors[:, ::-1].T
    largest = np.abs(vectors).argmax(axis=1)[:, None]
    vectors = vectors * np.sign(np.take_along_axis(vectors, largest, axis=1))
    share = variance / max(variance.sum(), np.finfo(float).tiny)
    count = min(most, max(2, int((share >= _SHARE).sum())))
    return Basis(mean, vectors[:count], np.sqrt(variance[:count]), share[:count])


def check_map(kind: str) -> None:
    """Refuse a map whose package is not installed.

    Raises:
        ImportError: if it is not.
    """
    if kind == "umap" and importlib.util.find_spec("umap") is None:
        raise ImportError('map=umap needs umap-learn: pip install "eqvae[umap]", or take map=pca.')


def mapped(content: np.ndarray, basis: Basis, kind: str, seed: int = 0) -> np.ndarray:
    """Two coordinates for each image, (N, 2).

    Args:
        content: (N, m).
        basis: of it.
        kind: "pca", the first two principal directions, or "umap", whose neighbours are neighbours there.
        seed: of umap.
    """
    if kind == "umap" and len(content) > 3:
        from umap import UMAP

        neighbours = min(15, len(content) - 1)
        return UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(content)
    flat = basis.coordinates(content)[:, :2]
    return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))

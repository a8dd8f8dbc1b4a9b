"""What is kept of the images of each cluster while they pass: sums, moments of content, a few examples."""

import heapq
import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eqvae.domains.grid import pixel_coordinates
from eqvae.embedding.resolution import fourier_ring_correlation


class ContentMoments:
    """Means and variances of the content of each cluster, from rows as they come."""

    def __init__(self) -> None:
        self._sums: dict[int, tuple[int, np.ndarray, np.ndarray]] = {}

    def add(self, content: np.ndarray, cluster: np.ndarray) -> None:
        content = content.astype(np.float64)
        for k in np.unique(cluster):
            rows = content[cluster == k]
            count, first, second = self._sums.get(int(k), (0, 0.0, 0.0))
            new = count + len(rows), first + rows.sum(axis=0), second + np.square(rows).sum(axis=0)
            self._sums[int(k)] = new

    def by_size(self) -> np.ndarray:
        """The clusters, those of the most images first, (K,)."""
        return np.array(sorted(self._sums, key=lambda k: (-self._sums[k][0], k)), dtype=int)

    def mean(self, k: int) -> np.ndarray:
        count, first, _ = self._sums[int(k)]
        return first / count

    def distance(self, content: np.ndarray, cluster: np.ndarray) -> np.ndarray:
        """Squared distances to the cluster's mean, in its standard deviations, (N,)."""
        distance = np.zeros(len(content))
        for k in np.unique(cluster):
            count, _, second = self._sums[int(k)]
            mean, rows = self.mean(k), cluster == k
            variance = np.maximum(second / count - mean**2, 1e-6)
            distance[rows] = (np.square(content[rows] - mean) / variance).sum(axis=1)
        return distance


class ImageSums:
    """Sums of images (C, H, H) by cluster and half."""

    def __init__(self, clusters: int, shape: tuple[int, int, int]):
        self.shape = shape
        self.count = torch.zeros(clusters, 2, dtype=torch.float64)
        self.raw = torch.zeros(clusters, 2, *shape, dtype=torch.float64)
        self.aligned = torch.zeros_like(self.raw)
        self.grey = torch.zeros(clusters, shape[0], 1, 1, dtype=torch.float64)

    def add(self, k: Tensor, half: Tensor, raw: Tensor, aligned: Tensor, grey: Tensor) -> None:
        """Images of clusters k (B,) and halves (B,), less their greys, and the greys."""
        place = 2 * k + half
        self.count.view(-1).index_add_(0, place, torch.ones(len(k), dtype=torch.float64))
        for sums, values in ((self.raw, raw), (self.aligned, aligned)):
            sums.view(-1, *self.shape).index_add_(0, place, values.double())
        self.grey.index_add_(0, k, grey.double())

    def averages(self) -> tuple[Tensor, Tensor]:
        """Of the raw and of the aligned images, (K, C, H, H)."""
        count = self.count.sum(dim=1)[:, None, None, None]
        ground = self.grey / count
        return tuple((s.sum(dim=1) / count + ground).float() for s in (self.raw, self.aligned))

    def correlations(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frequencies, FRC of the raw and of the aligned averages, inside a soft disc."""
        window = _soft_disc(self.shape[-1])
        curves = []
        for sums in (self.raw, self.aligned):
            halves = sums.mean(dim=2) / self.count.clamp_min(1)[..., None, None]
            frequency, frc = fourier_ring_correlation(halves[:, 0] * window, halves[:, 1] * window)
            frc[(self.count == 0).any(dim=1)] = torch.nan
            curves.append(frc.numpy())
        return frequency.numpy(), *curves


@dataclass(frozen=True)
class Members:
    """Some images of a cluster, aligned.

    Attributes:
        index: of each in the data.
        images: (n, C, H, H).
    """

    index: list[int]
    images: Tensor


class Highest:
    """The images of the highest scores of each cluster, at most `size` of them."""

    def __init__(self, clusters: int, size: int, shape: tuple[int, int, int]):
        self.size, self.shape = size, shape
        self._heaps: list[list[tuple]] = [[] for _ in range(clusters)]
        self._order = itertools.count()

    def offer(self, k: int, score: float, index: int, image: Tensor) -> None:
        heap = self._heaps[k]
        if self.size and (len(heap) < self.size or score > heap[0][0]):
            entry = (score, next(self._order), index, image.clone())
            (heapq.heappush if len(heap) < self.size else heapq.heapreplace)(heap, entry)

    def members(self) -> list[Members]:
        """Of each cluster, the highest first."""
        return [self._members(heap) for heap in self._heaps]

    def _members(self, heap: list[tuple]) -> Members:
        best = sorted(heap, key=lambda entry: (-entry[0], entry[1]))
        images = torch.stack([e[3] for e in best]) if best else torch.zeros(0, *self.shape)
        return Members([e[2] for e in best], images)


def _soft_disc(size: int) -> Tensor:
    """1 within the inscribed disc, falling to 0 at its border over a tenth of its radius, (H, H)."""
    radius = pixel_coordinates(size, size).double().norm(dim=-1)
    edge, width = size / 2, max(size / 20, 1.0)
    along = ((edge - radius) / width).clamp(0, 1)
    return (1 - (np.pi * along).cos()) / 2

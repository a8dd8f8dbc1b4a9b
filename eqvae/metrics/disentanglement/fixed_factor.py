"""Batches of rows that share the value of one factor and differ in all else, drawn from the data."""

from collections.abc import Callable

import numpy as np

MIN_ROWS = 2  # rows that must share a factor's value, so that a batch is not one sample many times


class FixedFactorBatches:
    """Draws rows that share a factor's value: rows sorted by value, one run of the order for each value.

    Args:
        values: classes of each factor, (N,).
        seed: of the draws.
    """

    def __init__(self, values: dict[str, np.ndarray], seed: int):
        self.generator = np.random.default_rng(seed)
        self.values = list(values.values())
        self.order = [np.argsort(value, kind="stable") for value in self.values]
        self.place = [np.argsort(order) for order in self.order]
        self.counts = [np.bincount(value) for value in self.values]
        # a row that is alone with its value can't be drawn with a partner
        self.shared = [
            np.flatnonzero(count[value] >= MIN_ROWS)
            for count, value in zip(self.counts, self.values, strict=True)
        ]

    def batches(self, count: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """Factors (count,) and rows (count, batch) that share the value of their factor."""
        factor = self.generator.integers(len(self.values), size=count)
        rows = np.empty((count, batch), int)
        for k, value in enumerate(self.values):
            mine = np.flatnonzero(factor == k)
            fixed = value[self._anchors(k, (len(mine), 1))]
            first = np.cumsum(self.counts[k]) - self.counts[k]
            offset = self.generator.random((len(mine), batch)) * self.counts[k][fixed]
            rows[mine] = self.order[k][first[fixed] + offset.astype(int)]
        return rows, factor

    def pairs(self, count: int, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Two sets of rows (count, batch), pairs of different rows with one value, and factors (count,)."""
        factor = self.generator.integers(len(self.values), size=count)
        one, two = np.empty((2, count, batch), int)
        for k, value in enumerate(self.values):
            mine = np.flatnonzero(factor == k)
            anchor = self._anchors(k, (len(mine), batch))
            counts = self.counts[k][value[anchor]]
            first = (np.cumsum(self.counts[k]) - self.counts[k])[value[anchor]]
            # a step of 1 ... counts - 1 around the run never comes back to the anchor
            step = 1 + (self.generator.random(anchor.shape) * (counts - 1)).astype(int)
            place = first + (self.place[k][anchor] - first + step) % counts
            one[mine], two[mine] = anchor, self.order[k][place]
        return one, two, factor

    def _anchors(self, k: int, size: tuple[int, int]) -> np.ndarray:
        return self.shared[k][self.generator.integers(len(self.shared[k]), size=size)]


def chunked(
    draw: Callable[[int], tuple[np.ndarray, np.ndarray]], count: int, size: int = 1_000
) -> tuple[np.ndarray, np.ndarray]:
    """`draw(count)` in bounded memory: joined from draws of at most `size`."""
    parts = [draw(min(size, count - done)) for done in range(0, count, size)]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

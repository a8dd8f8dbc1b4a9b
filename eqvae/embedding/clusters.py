"""Clusters of content: fitted on a sample of the rows, then assigned to each of them."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import torch

from eqvae.embedding.columns import replaced
from eqvae.embedding.table import content_of
from eqvae.metrics.clustering.clusterers import fit_mixture, varying
from eqvae.models.model import Model

CLUSTERS = 10
SAMPLE = 20_000  # rows of content that clusters are fitted on
_STARTS = 3  # of the fit; the likeliest is kept

Probabilities = Callable[[np.ndarray], np.ndarray]  # content (N, m) -> p(cluster | content), (N, K)


class Sample:
    """A random sample of rows that come one by one, the same whatever batches they come in."""

    def __init__(self, seed: int, size: int | None = None):
        self.size, self.draw = SAMPLE if size is None else size, np.random.default_rng(seed)
        self._keys, self._rows = np.empty(0), None

    def add(self, rows: np.ndarray) -> None:
        keys = np.concatenate([self._keys, self.draw.random(len(rows))])
        rows = rows if self._rows is None else np.concatenate([self._rows, rows])
        if len(rows) > self.size:  # the smallest keys stay, in the order of their rows
            kept = np.sort(np.argpartition(keys, self.size)[: self.size])
            keys, rows = keys[kept], rows[kept]
        self._keys, self._rows = keys, rows

    @property
    def rows(self) -> np.ndarray:
        return self._rows


def clusters_of(
    model: Model, content: np.ndarray, clusters: int | None, seed: int
) -> Probabilities | None:
    """How content is assigned to clusters; None if it is not to be.

    Args:
        model: its prior may be a learned mixture.
        content: that a mixture is fitted on, (N, m).
        clusters: how many; None takes the components of the prior, or `CLUSTERS` where it has none, and 0
            is no clusters.
        seed: of the fit.

    Raises:
        ValueError: if clusters is no whole number of at least 0.
    """
    if clusters is not None and (isinstance(clusters, bool) or not isinstance(clusters, int)):
        raise ValueError(f"clusters must be a whole number, or None; got {clusters!r}.")
    if clusters is not None and clusters < 0:
        raise ValueError(f"clusters must be 0, for none, or more; got {clusters}.")
    if clusters == 0:
        return None
    prior, like = model.prior, next(model.parameters())
    if prior.knows_kinds(clusters):
        return lambda c: prior.kinds(torch.from_numpy(c).to(like), clusters, seed).cpu().numpy()
    return _fitted(content, CLUSTERS if clusters is None else clusters, seed)


def clustered(rows: pa.RecordBatch, assign: Probabilities | None) -> pa.RecordBatch:
    """Rows with their clusters."""
    if assign is None:
        return rows
    probabilities = assign(content_of(rows))
    found = {
        "cluster": probabilities.argmax(axis=1),
        "cluster_probability": probabilities.max(axis=1),
    }
    return replaced(rows, found)


def _fitted(content: np.ndarray, clusters: int, seed: int) -> Probabilities:
    """A Gaussian mixture, the likeliest of a few starts, its largest component first."""
    content = content.astype(np.float64)
    live = varying(content)
    most = min(clusters, len(np.unique(content, axis=0)))
    if most < 2 or not live.any():
        return lambda c: np.ones((len(c), 1))
    centre, scale = content[:, live].mean(axis=0), np.sqrt(content[:, live].var(axis=0).mean())
    codes = (content[:, live] - centre) / scale
    starts = [fit_mixture(codes, most, seed + start) for start in range(_STARTS)]
    mixture = max(starts, key=lambda fit: fit.lower_bound_)
    order = np.argsort(-mixture.weights_, kind="stable")
    return lambda c: mixture.predict_proba((c[:, live].astype(np.float64) - centre) / scale)[
        :, order
    ]

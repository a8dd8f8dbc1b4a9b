"""Rows that fit the gauge of a pose and rows that are scored."""

import numpy as np
from numpy.typing import ArrayLike

from eqvae.metrics.inputs import as_array, check_lengths


def gauge_split(
    labels: np.ndarray, groups: np.ndarray, fit: ArrayLike | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the rows that fit the gauge and of the rows that are scored, as `pose_errors` takes them.

    Args:
        labels: class of each row, (N,).
        groups: source of each row, (N,).
        fit: the first mask if it is given already; None splits the sources of each class into halves.
        seed: of the split.
    """
    if fit is not None:
        mask = as_array(fit, "fit", 1)
        check_lengths(poses=len(labels), fit=mask)
        if mask.dtype != bool:
            raise ValueError(
                f"fit must be a boolean mask, True for the rows that fit the gauge; got {mask.dtype}."
            )
        unfitted = np.setdiff1d(labels[~mask], labels[mask])
        if mask.all() or len(unfitted):
            lacking = f"no row of class(es) {unfitted.tolist()} to fit"
            what = "no row to score" if mask.all() else lacking
            raise ValueError(
                f"fit must leave rows of every scored class on both sides; it leaves {what}. "
                "Give None to split each class into halves."
            )
        return mask, ~mask
    generator = np.random.default_rng(seed)
    fitted, scored = np.zeros((2, len(labels)), dtype=bool)
    for c in np.unique(labels):
        rows = np.flatnonzero(labels == c)
        sources = np.unique(groups[rows])
        of_row = groups[rows]
        if len(sources) == 1:  # one source only: its rows must do
            sources = of_row = np.arange(len(rows))
        if len(rows) < 2:
            continue
        half = generator.permutation(sources)[: (len(sources) + 1) // 2]
        chosen = np.isin(of_row, half)
        fitted[rows[chosen]] = scored[rows[~chosen]] = True
    return fitted, scored


def shuffle_within(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A permutation of the rows that keeps the classes."""
    where = np.argsort(labels, kind="stable")
    index = np.empty(len(labels), dtype=int)
    index[where] = np.lexsort((generator.random(len(labels)), labels))
    return index

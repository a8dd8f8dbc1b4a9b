"""Codes and factors as whole numbers, and the information between them that a table of counts shows.

    I(z_d; v) = sum_{i,j} p_ij log(p_ij / (p_i p_j)),      z_d in 20 bins of equal width over its range.

This is what the literature uses on single columns; blocks of columns need `information.py`.
"""

import numpy as np

from eqvae.metrics.inputs import Factors, as_factors


def histogram_bins(codes: np.ndarray, bins: int = 20, quantile: bool = False) -> np.ndarray:
    """Index of the bin of every value, column by column, (N, D).

    Args:
        codes: (N, D).
        bins: of equal width over the range of the column.
        quantile: bins of equal mass instead: one outlier can't squeeze the rest into one bin.
    """
    columns = []
    for column in codes.T:
        if quantile:
            edges = np.unique(np.quantile(column, np.linspace(0, 1, bins + 1)))
        else:
            edges = np.histogram_bin_edges(column, bins)
        columns.append(np.digitize(column, edges[1:-1]))
    return np.stack(columns, axis=1)


def table_information(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Information between all pairs of columns of whole numbers >= 0, nats.

    Args:
        first: (N, D), bins.
        second: (N, F), classes.

    Returns:
        (D, F).
    """
    rows, columns = first.max(axis=0) + 1, second.max(axis=0) + 1
    result = np.zeros((first.shape[1], second.shape[1]))
    for d, f in np.ndindex(result.shape):
        cell = first[:, d] * columns[f] + second[:, f]
        joint = np.bincount(cell, minlength=rows[d] * columns[f]).reshape(rows[d], columns[f])
        entropies = [_entropy(joint.sum(axis=1)), _entropy(joint.sum(axis=0)), _entropy(joint)]
        result[d, f] = entropies[0] + entropies[1] - entropies[2]
    return np.maximum(result, 0)


def class_factors(factors: Factors, n: int, bins: int = 20) -> dict[str, np.ndarray]:
    """Every factor as classes 0, 1, ..., which the per-axis protocols want.

    Classes stay. A number with more than 64 values is cut into bins of equal width. A vector of unit
    length (cos, sin) becomes its angle; any other vector is taken component by component.

    Returns:
        {name: int64 (N,)}; component j of a vector is called "name[j]".
    """
    scalars: dict[str, np.ndarray] = {}
    for name, values in as_factors(factors, n).items():
        if values.ndim == 1:
            scalars[name] = values
        elif values.shape[1] == 2 and np.allclose(np.square(values).sum(axis=1), 1, atol=1e-4):
            angle = np.arctan2(values[:, 1], values[:, 0]).round(6)
            scalars[name] = np.where(angle <= -np.pi + 1e-5, np.pi, angle).round(6)
        else:
            scalars |= {f"{name}[{j}]": column for j, column in enumerate(values.T)}
    classes = {}
    for name, values in scalars.items():
        distinct, index = np.unique(values, return_inverse=True)
        if len(distinct) > 64 and values.dtype.kind == "f":
            index = histogram_bins(values[:, None], bins)[:, 0]
        classes[name] = index
    return classes


def quantile_classes(factors: dict[str, np.ndarray], bins: int) -> dict[str, np.ndarray]:
    """Every factor as classes, numbers cut at quantiles; a vector gives the class of its tuple of bins."""
    classes = {}
    for name, values in factors.items():
        columns = values.reshape(len(values), -1)
        if columns.dtype.kind == "f":
            edges = np.quantile(columns, np.arange(1, bins) / bins, axis=0)
            columns = np.stack(
                [np.searchsorted(edges[:, j], columns[:, j]) for j in range(columns.shape[1])],
                axis=1,
            )
        classes[name] = np.unique(columns, axis=0, return_inverse=True)[1].ravel()
    return classes


def _entropy(counts: np.ndarray) -> float:
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())

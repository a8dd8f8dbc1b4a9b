"""Coordinates in which nothing depends on the basis, scale or shear inside a block of columns."""

import numpy as np

from eqvae.metrics.inputs import Blocks, as_blocks


def whiten(values: np.ndarray) -> np.ndarray:
    """Coordinates of identity covariance, (N, rank); constant or repeated directions are dropped.

    Two sets of coordinates that differ by an invertible linear map get whitened coordinates that differ
    by a rotation, so all distances agree.
    """
    centred = values.reshape(len(values), -1) - values.reshape(len(values), -1).mean(axis=0)
    scale = centred.std(axis=0)
    moving = scale > 1e-7 * np.abs(values.reshape(len(values), -1)).max(axis=0)
    if not moving.any():
        return np.empty((len(values), 0))
    u, s, _ = np.linalg.svd(centred[:, moving] / scale[moving], full_matrices=False)
    return u[:, s > 1e-6 * s[0]] * np.sqrt(len(values))


def whitened_blocks(codes: np.ndarray, blocks: Blocks) -> list[np.ndarray]:
    """Every block of the codes (N, D) in whitened coordinates, (N, rank); constant blocks are left out."""
    points = [whiten(codes[:, columns]) for columns in as_blocks(blocks, codes.shape[1]).values()]
    return [z for z in points if z.shape[1]]


def moving_columns(codes: np.ndarray) -> np.ndarray:
    """Which columns vary by more than rounding, (D,) of bool."""
    return codes.std(axis=0) > 1e-12 * np.abs(codes).max(axis=0)

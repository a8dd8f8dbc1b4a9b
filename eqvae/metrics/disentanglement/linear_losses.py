"""Linear prediction of a factor from codes, on held-out samples, beside a guess that sees no code."""

import numpy as np

Losses = tuple[
    np.ndarray, np.ndarray
]  # of each held-out row: with the codes, and of the blind guess, (M,)


def square_losses(z: np.ndarray, v: np.ndarray, fit: np.ndarray, held: np.ndarray) -> Losses:
    """Squared errors of linear regression of vectors v (N, k), and of their mean alone."""
    design = np.concatenate([z, np.ones((len(z), 1))], axis=1)
    weights, *_ = np.linalg.lstsq(design[fit], v[fit], rcond=None)
    loss = np.square(v[held] - design[held] @ weights).sum(axis=1)
    return loss, np.square(v[held] - v[fit].mean(axis=0)).sum(axis=1)


def balanced_losses(z: np.ndarray, v: np.ndarray, fit: np.ndarray, held: np.ndarray) -> Losses:
    """Errors of a linear discriminant of classes v (N,), every class of the same weight, and of guessing."""
    kinds, index, counts = np.unique(v[fit], return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(index, column) for column in z[fit].T], axis=1) / counts[:, None]
    deviation = z[fit] - means[index]
    # a noiseless code has no spread within a class; the ridge is 1e-6 of the total variance
    spread = deviation.T @ deviation / len(fit) + 1e-6 * np.eye(z.shape[1])
    scaled = np.linalg.solve(np.linalg.cholesky(spread), np.concatenate([z[held], means]).T).T
    points, centres = np.split(scaled, [len(held)])
    squared = np.square(points[:, None] - centres).sum(axis=2)
    truth, present = np.unique(v[held], return_inverse=True)
    balance = len(held) / len(truth) / np.bincount(present)[present]  # every class weighs the same
    wrong = kinds[squared.argmin(axis=1)] != v[held]
    return wrong * balance, np.full(len(held), 1 - 1 / len(kinds)) * balance

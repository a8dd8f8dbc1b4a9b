"""D_LSBD as the literature's code computes it, to compare with published numbers and to show its blind spots.

Reference: Tonnaer et al., Quantifying and learning linear symmetry-based disentanglement (ICML 2022).
"""

import numpy as np

from eqvae.metrics.inputs import Codes, as_array
from eqvae.metrics.score import Score

PAGE = "d_lsbd"
CONSTANT = 1e-12  # a variance below this part of the mean square is rounding


def d_lsbd_reference(codes: Codes, *, max_frequency: int = 10) -> dict[str, Score]:
    """D_LSBD as the literature computes it, for comparison only.

    For each axis of a full, regular torus of angles: subtract the mean over that axis, project on two
    principal components, divide each by sqrt(2) times its standard deviation, turn back by omega theta and
    take the spread around the mean; the least over omega in -max_frequency ... max_frequency, and the mean
    over axes. The whitening makes a circle of any ellipse, what is left outside the plane is not seen,
    and any frequency passes, 0 too.

    A second component without variance (one real number a block) is divided by its own rounding error in
    that protocol; here it enters with the 1/2 that unrelated noise has.

    Args:
        codes: (M_1, ..., M_K, D), codes at angles 2 pi m / M_k of the K rotations.
        max_frequency: largest |omega| searched.

    Returns:
        "d_lsbd_reference", and "omega_1", ..., "omega_K", what was found.

    Raises:
        ValueError: if there are not 1 to 4 axes of angles and at least two columns.
    """
    grid = as_array(codes, "codes", (2, 3, 4, 5)).astype(float)
    if grid.shape[-1] < 2:
        raise ValueError(f"codes must have at least two columns; got {grid.shape[-1]}.")
    about = {"n": grid[..., 0].size, "page": PAGE, "legacy": True}
    errors, found = [], {}
    for axis, size in enumerate(grid.shape[:-1]):
        moving = (grid - grid.mean(axis=axis, keepdims=True)).reshape(-1, grid.shape[-1])
        moving = moving - moving.mean(axis=0)
        if np.mean(moving**2) <= CONSTANT * np.mean(grid**2):
            reason = f"the codes are constant along axis {axis}; the protocol divides by 0"
            return {"d_lsbd_reference": Score.null(reason, better="lower", **about)}
        u, size_of, _ = np.linalg.svd(moving, full_matrices=False)
        present = size_of[:2] > 1e-7 * size_of[0]
        plane = u[:, :2] * np.sqrt((len(u) - 1) / 2) * present  # mean square 1/2 each, as published
        spread = (len(u) - 1) / len(u)  # as published: 1/2 for each, whatever it holds
        theta = (2 * np.pi / size * np.indices(grid.shape[:-1])[axis]).ravel()
        omegas = np.arange(-max_frequency, max_frequency + 1)
        turned = np.exp(-1j * omegas[:, None] * theta) @ (plane @ [1, 1j]) / len(theta)
        error = spread - np.abs(turned) ** 2
        errors.append(max(error.min(), 0.0))
        omega = omegas[error.argmin()]
        found[f"omega_{axis + 1}"] = Score(omega, better="neither", **about)
    value = Score(np.mean(errors), better="lower", ceiling=0.0, floor=1.0, **about)
    return {"d_lsbd_reference": value} | found

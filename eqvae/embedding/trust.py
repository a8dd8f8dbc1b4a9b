"""How well the angle of an object is known, from the posterior of its pose."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from eqvae.distributions import rows_of
from eqvae.distributions.pose import PosePosterior, credible_degrees
from eqvae.distributions.posterior import Posterior
from eqvae.distributions.symmetry_order import symmetry_order

_POINTS = 720  # of the grid of angles
_LEVEL, _UNKNOWN = 0.9, 270.0  # degrees
_LIKELIEST = (8, 32, 128)  # a posterior is evaluated with as many bins as hold all but 1e-7


def angle_trust(posterior: Posterior) -> dict[str, np.ndarray]:
    """The columns that say how far to trust an angle.

    A frame vector has one mode, so it shows no symmetry order.
    """
    several = posterior.shows_symmetry
    density = _angle_log_density(posterior.pose)
    log_q = density.cpu().numpy()
    order = symmetry_order(log_q) if several else np.ones(len(log_q), dtype=int)
    credible = credible_degrees(density, _LEVEL).cpu().numpy()
    mass = np.exp(log_q) / _POINTS
    mass /= mass.sum(axis=1, keepdims=True)
    # circular standard deviation of k theta, divided by k
    wave = np.fft.rfft(mass, axis=1)[np.arange(len(mass)), np.maximum(order, 1)]
    spread = np.sqrt(-2 * np.log(np.clip(np.abs(wave), 1e-12, 1))) / np.maximum(order, 1)
    known = credible < _UNKNOWN
    columns = {
        "angle_credible90_degrees": credible,
        "angle_sd_degrees": np.ma.masked_array(np.rad2deg(spread), mask=~known | (order == 0)),
        "pose_known": known,
    }
    return columns | ({"symmetry_order": order} if several else {})


def _angle_log_density(pose: PosePosterior) -> Tensor:
    """As `PosePosterior.angle_log_density`, from the likeliest bins alone, which is many times faster."""
    log_weights, order = pose.log_weights.sort(dim=1, descending=True)
    needed = (log_weights.double().exp().cumsum(dim=1) < 1 - 1e-7).sum(dim=1) + 1
    density = torch.empty(len(pose), _POINTS, dtype=torch.float64, device=log_weights.device)
    below = 0
    for most in (*_LIKELIEST, log_weights.shape[1] + 1):
        here = ((needed > below) & (needed <= most)).nonzero()[:, 0]
        below = most
        if len(here):
            kept = order[here, :most]
            bins = pose.bins[here].gather(1, kept[:, :, None].expand(-1, -1, 4))
            weights = log_weights[here, :most].log_softmax(dim=1)
            some = replace(rows_of(pose, here), bins=bins, log_weights=weights)
            density[here] = some.angle_log_density(_POINTS)
    return density

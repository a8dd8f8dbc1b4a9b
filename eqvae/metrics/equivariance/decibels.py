"""Errors of decoded images in decibels, EQ-R for rotations and EQ-T for translations.

    10 log10(I_max^2 / mean squared error),    I_max = 1, the range of our images,

on the inscribed disc.

Reference: Karras et al., Alias-free generative adversarial networks (2021), appendix E,
https://arxiv.org/abs/2106.12423. Their I_max is 2.
"""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from eqvae.domains import Domain, SquareGrid
from eqvae.metrics.equivariance.errors import Errors
from eqvae.metrics.intervals import Resampling
from eqvae.metrics.score import Score


def mean_squares(errors: Errors, shape: torch.Size, domain: Domain | None = None) -> np.ndarray:
    """Mean squared error for each value of the images that was compared, (M, B).

    Args:
        errors: by `disc_norms`, or `masked_norms` of another domain.
        shape: of the images, (B, C, *domain.shape).
        domain: where the images live; the square grid if None.
    """
    domain = SquareGrid(int(shape[-1])) if domain is None else domain
    return errors.squared / (domain.mask().sum().item() * shape[1])


def decibels(squared_errors: Tensor) -> float:
    """10 log10(1 / mean squared error) for images in [0, 1]; higher is better."""
    return -10 * math.log10(float(squared_errors.mean()) + 1e-30)


def decibel_score(
    errors: Errors,
    shape: torch.Size,
    floor: Errors | None = None,
    seed: int = 0,
    domain: Domain | None = None,
) -> Score:
    """EQ-R or EQ-T of decoded images, in decibels; the floor is what unrelated images give.

    Args:
        errors, shape, domain: as for `mean_squares`.
        floor: the images' own `resampling_errors`, which then are the ceiling; None if the expected
            images were rendered without interpolation.
        seed: of the bootstrap.
    """
    squared = mean_squares(errors, shape, domain)
    chance = mean_squares(replace(errors, squared=errors.unrelated), shape, domain)
    interval = Resampling(seed=seed).of_mean(squared.mean(0))
    if interval is not None:
        interval = tuple(decibels(np.asarray(max(end, 0.0))) for end in interval[::-1])
    several = squared.shape[1] > 1 and squared.any() and chance.any()
    return Score(
        decibels(squared),
        n=squared.shape[1],
        floor=decibels(chance) if several else None,
        ceiling=None if floor is None else decibels(mean_squares(floor, shape, domain)),
        interval=interval,
        unit="dB",
        page="eq-r-and-eq-t",
    )

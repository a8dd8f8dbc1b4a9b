"""Disk harmonics that fit a grid, and the fibre group that goes with a symmetry."""

import math

from eqvae.nn.harmonics import DiskHarmonics
from eqvae.symmetry.groups import Symmetry
from eqvae.symmetry.representations import LatentRepresentation


def fitted_harmonics(size: int, degree: int, reach: float = 0.6) -> DiskHarmonics:
    """Disk harmonics that reach over a fraction of the half side of a grid.

    Args:
        size: side of the grid.
        degree: N, lowered where the grid is too coarse for it.
        reach: radius that the basis covers, in half sides.
    """
    radius = reach * size / 2
    degree = min(degree, int(3.0 * radius / 2 - 1))  # keeps the band below 3 rad / pixel
    return DiskHarmonics(size, degree, width=radius / math.sqrt(2 * degree + 2))


def fibre_symmetry(symmetry: Symmetry) -> Symmetry:
    """The group of the read-out: SO(2) or O(2), which hold every C_N or D_N."""
    return Symmetry(reflections=symmetry.reflections)


def check_steerable(representation: LatentRepresentation, symmetry: Symmetry) -> None:
    """Refuse latents that a steerable network can't carry.

    Raises:
        ValueError: if there is no position, or a frequency that the symmetry can't tell from lower ones.
    """
    if not representation.position:
        raise ValueError(
            "representation must carry a position for a steerable network, which reads and writes its "
            "features there; got position=False. Set latent.position=true."
        )
    representation.check(symmetry)

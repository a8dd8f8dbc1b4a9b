"""Correlations over all rotations of two sets of coefficients, and the poses that they find."""

from eqvae.three.search.align import align
from eqvae.three.search.correlation import RotationGrid, on_grid, pairs, whitening
from eqvae.three.search.docking import RigidDocking
from eqvae.three.search.euler import rotated, wigner_blocks
from eqvae.three.search.fitting import RigidFit
from eqvae.three.search.newton import refine
from eqvae.three.search.poses import Poses
from eqvae.three.search.posterior import RotationPosterior
from eqvae.three.search.rotations import RotationSearch

__all__ = [
    "Poses",
    "RigidDocking",
    "RigidFit",
    "RotationGrid",
    "RotationPosterior",
    "RotationSearch",
    "align",
    "on_grid",
    "pairs",
    "refine",
    "rotated",
    "whitening",
    "wigner_blocks",
]

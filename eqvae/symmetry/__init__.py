"""Groups, representations and their actions: the only place that knows conventions."""

from eqvae.symmetry.groups import PlaneMotions
from eqvae.symmetry.motions import compose, identity, inverse, motion
from eqvae.symmetry.representations import Block, Representation

__all__ = [
    "Block",
    "PlaneMotions",
    "Representation",
    "compose",
    "identity",
    "inverse",
    "motion",
]

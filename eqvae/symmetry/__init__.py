"""Groups, representations and their actions: the only place that knows conventions."""

from eqvae.symmetry.actions import act_on_image
from eqvae.symmetry.groups import Symmetry
from eqvae.symmetry.motions import compose, identity, inverse, motion
from eqvae.symmetry.representations import Block, LatentRepresentation

__all__ = [
    "Block",
    "LatentRepresentation",
    "Symmetry",
    "act_on_image",
    "compose",
    "identity",
    "inverse",
    "motion",
]

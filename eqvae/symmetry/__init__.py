"""Groups, representations and their actions: the only place that knows conventions."""

from eqvae.symmetry.actions import FasterAction, LatentAction, OwnAction
from eqvae.symmetry.group import Generator, Group
from eqvae.symmetry.motions import (
    angle_of,
    apply,
    compose,
    identity,
    inverse,
    linear_of,
    motion,
    reflection_of,
    retract,
    shift_of,
    with_angle,
    with_shift,
)
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Block, Representation, Slices

__all__ = [
    "Block",
    "FasterAction",
    "Generator",
    "Group",
    "LatentAction",
    "OwnAction",
    "PlaneMotions",
    "Representation",
    "Slices",
    "angle_of",
    "apply",
    "compose",
    "identity",
    "inverse",
    "linear_of",
    "motion",
    "reflection_of",
    "retract",
    "shift_of",
    "with_angle",
    "with_shift",
]

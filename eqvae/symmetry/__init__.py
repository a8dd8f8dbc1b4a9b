"""Groups, representations and their actions: the only place that knows conventions."""

from eqvae.symmetry.centred import CentredSimilarities
from eqvae.symmetry.group import Generator, Group
from eqvae.symmetry.motions import (
    angle_of,
    apply,
    compose,
    has_scale,
    identity,
    inverse,
    linear_of,
    log_scale_of,
    motion,
    reflection_of,
    retract,
    shift_of,
    with_angle,
    with_log_scale,
    with_shift,
    without_scale,
)
from eqvae.symmetry.plane import PlaneMotions
from eqvae.symmetry.representations import Block, Representation, Slices
from eqvae.symmetry.similarities import Similarities

__all__ = [
    "Block",
    "CentredSimilarities",
    "Generator",
    "Group",
    "PlaneMotions",
    "Representation",
    "Similarities",
    "Slices",
    "angle_of",
    "apply",
    "compose",
    "has_scale",
    "identity",
    "inverse",
    "linear_of",
    "log_scale_of",
    "motion",
    "reflection_of",
    "retract",
    "shift_of",
    "with_angle",
    "with_log_scale",
    "with_shift",
    "without_scale",
]

"""Groups, representations and their actions: the only place that knows conventions."""

from eqvae.symmetry.actions import FasterAction, LatentAction, OwnAction
from eqvae.symmetry.affine import AffineRepresentation, TensorRepresentation
from eqvae.symmetry.blocks import Block
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
from eqvae.symmetry.regular import RegularRepresentation
from eqvae.symmetry.representations import Representation, Slices
from eqvae.symmetry.similarities import Similarities
from eqvae.symmetry.space import SpaceRotations
from eqvae.symmetry.space_motions import (
    PoseDistance,
    SpaceMotions,
    equal_poses,
    nearest_distance,
    pose_distance,
    space_motion,
    translation_of,
    turn_of,
    with_translation,
)
from eqvae.symmetry.space_representations import SpaceRepresentation

__all__ = [
    "AffineRepresentation",
    "Block",
    "CentredSimilarities",
    "FasterAction",
    "Generator",
    "Group",
    "LatentAction",
    "OwnAction",
    "PlaneMotions",
    "PoseDistance",
    "RegularRepresentation",
    "Representation",
    "Similarities",
    "Slices",
    "SpaceMotions",
    "SpaceRepresentation",
    "SpaceRotations",
    "TensorRepresentation",
    "angle_of",
    "apply",
    "compose",
    "equal_poses",
    "has_scale",
    "identity",
    "inverse",
    "linear_of",
    "log_scale_of",
    "motion",
    "nearest_distance",
    "pose_distance",
    "reflection_of",
    "retract",
    "shift_of",
    "space_motion",
    "translation_of",
    "turn_of",
    "with_angle",
    "with_log_scale",
    "with_shift",
    "with_translation",
    "without_scale",
]

"""Energies and forces of a molecule: a law that is built in, asked for, or left out.

    model = force_field("gradient", frames.elements)
    fit(model, training, validation)
    model.predict(positions).forces

docs/three.md has the numbers. It needs torch alone: ase and tblite, the extra `molecules`, make the frames
of `xtb` and are met by `calculator`.
"""

from eqvae.three.energy.curl import CurlPenalty
from eqvae.three.energy.fit import Fit, Fitted, fit
from eqvae.three.energy.forces import (
    DirectForces,
    ForceField,
    GradientForces,
    Predicted,
    force_field,
    frozen,
)
from eqvae.three.energy.frames import Frames, read_frames
from eqvae.three.energy.network import PairNetwork, PlainNetwork

__all__ = [
    "CurlPenalty",
    "DirectForces",
    "Fit",
    "Fitted",
    "ForceField",
    "Frames",
    "GradientForces",
    "PairNetwork",
    "PlainNetwork",
    "Predicted",
    "fit",
    "force_field",
    "frozen",
    "read_frames",
]

"""The SE(3)-VAE and its reference without symmetry: structures to content, handedness and pose, and back."""

from eqvae.three.vae.conformers import MoleculeConformers
from eqvae.three.vae.datamodule import PosedStructures, StructureDataModule
from eqvae.three.vae.decoder import CanonicalDecoder
from eqvae.three.vae.encoder import InvariantEncoder
from eqvae.three.vae.model import SpaceVAE
from eqvae.three.vae.orbit_mixture import SpaceOrbitMixture
from eqvae.three.vae.orbit_prior import SpaceOrbitPosedPrior, SpaceOrbitPrior
from eqvae.three.vae.pictures import StructurePictures
from eqvae.three.vae.plain import PlainStructureDecoder, PlainStructureEncoder, PlainStructureVAE
from eqvae.three.vae.pose import SpacePosePosterior
from eqvae.three.vae.posed import SpacePosedPosterior
from eqvae.three.vae.posing import Moved, SpacePosing, Still
from eqvae.three.vae.prior import SpacePosedPrior
from eqvae.three.vae.rigid import RigidLikelihood, RigidMarginal
from eqvae.three.vae.sources import (
    AdenylateKinasePaths,
    HingedChains,
    StructureFile,
    StructureSet,
    StructureSource,
)
from eqvae.three.vae.start import StartFromMean

__all__ = [
    "AdenylateKinasePaths",
    "CanonicalDecoder",
    "HingedChains",
    "InvariantEncoder",
    "MoleculeConformers",
    "Moved",
    "PlainStructureDecoder",
    "PlainStructureEncoder",
    "PlainStructureVAE",
    "PosedStructures",
    "RigidLikelihood",
    "RigidMarginal",
    "SpaceOrbitMixture",
    "SpaceOrbitPosedPrior",
    "SpaceOrbitPrior",
    "SpacePosePosterior",
    "SpacePosedPosterior",
    "SpacePosedPrior",
    "SpacePosing",
    "SpaceVAE",
    "StartFromMean",
    "Still",
    "StructureDataModule",
    "StructureFile",
    "StructurePictures",
    "StructureSet",
    "StructureSource",
]

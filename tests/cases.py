"""What the tests of laws run over: groups, latents, and motions of each group."""

import torch
from torch import Tensor

from eqvae.symmetry import LatentRepresentation, Symmetry

SYMMETRIES = [
    Symmetry.trivial(),
    Symmetry.cyclic(4),
    Symmetry.cyclic(8),
    Symmetry.dihedral(1),
    Symmetry.dihedral(4),
    Symmetry.so2(),
    Symmetry.o2(),
]
LATENTS = [
    LatentRepresentation(multiplicities=(4, 2, 1)),
    LatentRepresentation(multiplicities=(0, 1, 0, 3), sign=2),
    LatentRepresentation(multiplicities=(3,), sign=1, position=False),
    LatentRepresentation(multiplicities=(1, 2, 3, 1), position=False),
]
BY_NAME = {"ids": lambda value: getattr(value, "name", None) or str(value)}


def draw(symmetry: Symmetry, n: int, seed: int = 0, shift: float = 4.0) -> Tensor:
    """Random motions in float64, (n, 4)."""
    generator = torch.Generator().manual_seed(seed)
    return symmetry.sample(n, shift=shift, generator=generator).double()


def latent_id(representation: LatentRepresentation) -> str:
    return "+".join(f"{b.copies}{b.name}" for b in representation.blocks)
